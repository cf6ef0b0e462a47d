//! The committer: one thread that gathers units of work, runs them, and makes them durable together.
//!
//! gather -> run each unit in one transaction -> sled's transaction -> flush -> sync the file -> answer all

use super::engine::SledEngine;
use crate::limits::StoreLimits;
use crate::store::kv::queue::{Inbox, Unit};
use crate::store::kv::txn::Txn;
use crate::store::kv::void_leases;
use crate::store::{StoreError, Wake};
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Rows of one transaction, beyond which no further unit joins it.
const ROWS_MAX: usize = 3_000;
/// Bytes of one transaction, beyond which no further unit joins it.
const BYTES_MAX: usize = 16 << 20;
/// Owns all writes.
pub(super) struct Committer {
    engine: Arc<SledEngine>,
    file: File,
    inbox: Inbox,
    wakes: broadcast::Sender<Wake>,
    limits: StoreLimits,
}

impl Committer {
    pub(super) fn new(
        engine: Arc<SledEngine>,
        file: File,
        inbox: Inbox,
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
        let mut group = VecDeque::new();
        while self.inbox.gather(&mut group) {
            self.commit(&mut group);
        }
        drop(alarm);
    }

    fn commit(&mut self, group: &mut VecDeque<Unit>) {
        let engine = self.engine.clone();
        while !group.is_empty() {
            let mut txn = Txn::new(&*engine, &self.limits);
            let mut done = Vec::new();
            while txn.len() < ROWS_MAX
                && txn.bytes() < BYTES_MAX
                && let Some(mut unit) = group.pop_front()
            {
                unit.run(&mut txn);
                done.push(unit);
            }
            let durable = self.keep(txn);
            done.into_iter().for_each(|unit| unit.answer(durable.clone()));
        }
    }

    /// Makes what a transaction holds durable, and then tells of it.
    fn keep(&self, txn: Txn<'_>) -> Result<(), StoreError> {
        self.engine.check()?;
        let (batch, wakes) = txn.finish();
        if batch.len > 0 {
            self.engine.keep(batch, &self.file)?;
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
