//! The committer: one thread that gathers units of work, runs them, and makes them durable together.
//!
//! gather -> run each unit in one transaction -> sled's transaction -> flush -> sync the file -> answer all
//!
//! Work waits for company as long as its pace allows, so that a barrier serves many: an answer that nobody is in a hurry
//! for causes none of its own for a while.

use super::engine::SledEngine;
use crate::limits::StoreLimits;
use crate::store::kv::txn::Txn;
use crate::store::kv::{Pace, void_leases};
use crate::store::{StoreError, Wake};
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// Rows of one transaction, beyond which no further unit joins it.
const ROWS_MAX: usize = 3_000;
/// Bytes of one transaction, beyond which no further unit joins it.
const BYTES_MAX: usize = 16 << 20;
/// Units of one group.
const UNITS_MAX: usize = 1_024;
/// Units in no hurry that make a group by themselves.
const LAZY_MAX: usize = 256;

/// Says how the work ended, once it is known whether it is durable.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Work = Box<dyn FnOnce(&mut Txn<'_>) -> Reply + Send>;

/// A unit of work that waits.
pub(super) struct Unit {
    pace: Pace,
    run: Work,
}

impl Unit {
    pub(super) fn new(pace: Pace, run: impl FnOnce(&mut Txn<'_>) -> Reply + Send + 'static) -> Self {
        Unit { pace, run: Box::new(run) }
    }
}

/// Owns all writes.
pub(super) struct Committer {
    engine: Arc<SledEngine>,
    file: File,
    inbox: Receiver<Unit>,
    wakes: broadcast::Sender<Wake>,
    limits: StoreLimits,
}

impl Committer {
    pub(super) fn new(
        engine: Arc<SledEngine>,
        file: File,
        inbox: Receiver<Unit>,
        wakes: broadcast::Sender<Wake>,
        limits: StoreLimits,
    ) -> Self {
        Committer { engine, file, inbox, wakes, limits }
    }

    /// Ends the leases of processes before this one.
    pub(super) fn void_leases(&mut self) -> Result<(), StoreError> {
        let engine = self.engine.clone();
        let mut txn = Txn::new(&*engine, &self.limits);
        txn.unit(void_leases)?;
        self.keep(txn)
    }

    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self) {
        let alarm = Alarm(self.engine.clone());
        let mut group = Vec::with_capacity(UNITS_MAX);
        while self.gather(&mut group) {
            self.commit(&mut group);
        }
        drop(alarm);
    }

    /// Waits for units, and for the company that each of them allows; false at the end.
    fn gather(&self, group: &mut Vec<Unit>) -> bool {
        let mut until: Option<Instant> = None;
        while group.len() < LAZY_MAX {
            let next = match until {
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())),
            };
            match next {
                Ok(unit) if unit.pace == Pace::Now => {
                    group.push(unit);
                    break;
                }
                Ok(unit) => {
                    let latest = Instant::now() + self.linger(unit.pace);
                    until = Some(until.map_or(latest, |until| until.min(latest)));
                    group.push(unit);
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return !group.is_empty(),
            }
        }
        group.extend(self.inbox.try_iter().take(UNITS_MAX - group.len()));
        true
    }

    fn linger(&self, pace: Pace) -> Duration {
        match pace {
            Pace::Now => Duration::ZERO,
            Pace::Page => Duration::from_micros(self.limits.page_linger_us),
            Pace::Lazy => Duration::from_millis(self.limits.position_linger_ms),
        }
    }

    fn commit(&mut self, group: &mut Vec<Unit>) {
        let engine = self.engine.clone();
        let mut units = group.drain(..).peekable();
        while units.peek().is_some() {
            let mut txn = Txn::new(&*engine, &self.limits);
            let mut replies = Vec::new();
            while txn.len() < ROWS_MAX
                && txn.bytes() < BYTES_MAX
                && let Some(unit) = units.next()
            {
                replies.push((unit.run)(&mut txn));
            }
            let durable = self.keep(txn);
            replies.into_iter().for_each(|reply| reply(durable.clone()));
        }
    }

    /// Makes what a transaction holds durable, and then tells of it.
    fn keep(&self, txn: Txn<'_>) -> Result<(), StoreError> {
        self.engine.check()?;
        let (batch, wakes) = txn.finish();
        if batch.len > 0 {
            self.engine.apply(batch)?;
            self.engine.flush()?;
            self.file.sync_data().map_err(|error| self.engine.fail(&error))?;
            self.engine.show();
        }
        for wake in wakes {
            // Nobody listens: nobody waits.
            let _ = self.wakes.send(wake);
        }
        Ok(())
    }
}

/// Notes it if the committer panics: no write would ever be answered again.
struct Alarm(Arc<SledEngine>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&"the store's committer has panicked");
        }
    }
}
