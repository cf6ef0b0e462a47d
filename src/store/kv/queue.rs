//! The queue in front of a committer: units of work that wait, and for how long they may wait for company.

use super::domain::Domain;
use super::inbox::Inbox;
use super::txn::Txn;
use crate::limits::StoreLimits;
use crate::store::StoreError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

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

/// Where units are put. Who takes them from its inbox learns when there will be no more.
pub(crate) struct Queue {
    inbox: Arc<Inbox<Unit>>,
    permits: Arc<Semaphore>,
    limits: StoreLimits,
}

impl Queue {
    /// A queue of `store.queue_max` places.
    pub(crate) fn new(limits: &StoreLimits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.queue_max));
        Queue { inbox: Arc::new(Inbox::new()), permits, limits: limits.clone() }
    }

    /// Where its units are taken from.
    pub(crate) fn inbox(&self) -> Arc<Inbox<Unit>> {
        self.inbox.clone()
    }

    /// Takes no more units. What waits is still worked on.
    pub(crate) fn close(&self) {
        self.inbox.close();
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
        let unit = Unit { domain, asked_at: Instant::now(), work };
        self.inbox.add(unit, pace.linger(&self.limits)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}
