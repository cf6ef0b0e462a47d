//! The queue in front of a committer: units of work that wait, and for how long they may wait for company.
//!
//! A barrier serves many units: an answer that nobody is in a hurry for causes none of its own for a while.

use super::domain::Domain;
use super::txn::Txn;
use crate::limits::StoreLimits;
use crate::store::StoreError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Units of one group.
const UNITS_MAX: usize = 1_024;
/// Units in no hurry that make a group by themselves.
const LAZY_MAX: usize = 256;

/// How long a unit of work may wait for company.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Not at all.
    Now,
    /// As long as a page may.
    Page,
    /// As long as a position may.
    Lazy,
}

impl Pace {
    fn linger(self, limits: &StoreLimits) -> Duration {
        match self {
            Pace::Now => Duration::ZERO,
            Pace::Page => Duration::from_micros(limits.page_linger_us),
            Pace::Lazy => Duration::from_millis(limits.position_linger_ms),
        }
    }
}

/// A unit of work that waits for its turn. It may be run several times; the last run counts.
pub(crate) struct Unit {
    pub(crate) domain: Domain,
    pace: Pace,
    asked_at: Instant,
    work: Box<dyn Work>,
}

impl Unit {
    /// Runs it in a transaction. Where it fails, nothing of it stays there.
    pub(crate) fn run(&mut self, txn: &mut Txn<'_>) {
        self.work.run(txn);
    }

    /// How long ago it was asked for.
    pub(crate) fn waited(&self) -> Duration {
        self.asked_at.elapsed()
    }

    /// Answers whoever asked for it, once it is known whether what it wrote is durable.
    pub(crate) fn answer(self, durable: Result<(), StoreError>) {
        self.work.answer(durable);
    }
}

trait Work: Send {
    fn run(&mut self, txn: &mut Txn<'_>);
    fn answer(self: Box<Self>, durable: Result<(), StoreError>);
}

struct Asked<T, F> {
    work: F,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
    /// Its place in the queue, which is free once it is answered.
    _permit: OwnedSemaphorePermit,
}

impl<T, F> Work for Asked<T, F>
where
    T: Send,
    F: Fn(&mut Txn<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, txn: &mut Txn<'_>) {
        self.result = Some(txn.unit(&self.work));
    }

    fn answer(self: Box<Self>, durable: Result<(), StoreError>) {
        let Asked { result, answer, .. } = *self;
        // Who asked may have gone; the work is done all the same.
        let _ = answer.send(durable.and_then(|()| result.unwrap_or_else(|| Err(ended()))));
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("it has been closed".into())
}

/// Where units are put.
pub(crate) struct Queue {
    sender: SyncSender<Unit>,
    permits: Arc<Semaphore>,
}

impl Queue {
    /// A queue of `store.queue_max` places, and its other end.
    pub(crate) fn new(limits: &StoreLimits) -> (Self, Inbox) {
        let (sender, receiver) = sync_channel(limits.queue_max);
        let inbox = Inbox { receiver, limits: limits.clone() };
        (Queue { sender, permits: Arc::new(Semaphore::new(limits.queue_max)) }, inbox)
    }

    /// Puts a unit into the queue and waits until it is durable. While there is room, it is in the queue when this is
    /// first polled: units keep the order in which they were asked for.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        domain: Domain,
        pace: Pace,
        work: impl Fn(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Waiting for a permit would not keep the order, since tokio makes a busy task's waits give way.
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.permits.clone().acquire_owned().await.map_err(|_| ended())?,
        };
        let (sender, answer) = oneshot::channel();
        let work = Box::new(Asked { work, result: None, answer: sender, _permit: permit });
        // There are as many places as permits, so that this neither waits nor finds the queue full.
        self.sender.try_send(Unit { domain, pace, asked_at: Instant::now(), work }).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// Where units are taken from.
pub(crate) struct Inbox {
    receiver: Receiver<Unit>,
    limits: StoreLimits,
}

impl Inbox {
    /// Waits for units, and for the company that each of them allows; false at the end.
    pub(crate) fn gather(&self, group: &mut VecDeque<Unit>) -> bool {
        let mut until: Option<Instant> = None;
        while group.len() < LAZY_MAX {
            let next = match until {
                None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())),
            };
            match next {
                Ok(unit) if unit.pace == Pace::Now => {
                    group.push_back(unit);
                    break;
                }
                Ok(unit) => {
                    let latest = Instant::now() + unit.pace.linger(&self.limits);
                    until = Some(until.map_or(latest, |until| until.min(latest)));
                    group.push_back(unit);
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return !group.is_empty(),
            }
        }
        group.extend(self.receiver.try_iter().take(UNITS_MAX.saturating_sub(group.len())));
        true
    }
}
