//! The committer: one thread that gathers units of work, runs them, and makes them durable together.
//!
//! gather -> run each unit in one transaction -> sled's transaction -> flush -> sync the file -> answer all
//!
//! Work waits for company as long as its pace allows ([`crate::store::kv::inbox`]), so that a barrier serves many: an
//! answer that nobody is in a hurry for causes none of its own for a while.

use super::engine::SledEngine;
use crate::limits::StoreLimits;
use crate::store::kv::inbox::Inbox;
use crate::store::kv::queue::Unit;
use crate::store::kv::txn::Txn;
use crate::store::kv::void_leases;
use crate::store::{StoreError, Wake};
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
    inbox: Arc<Inbox<Unit>>,
    wakes: broadcast::Sender<Wake>,
    limits: StoreLimits,
}

impl Committer {
    pub(super) fn new(
        engine: Arc<SledEngine>,
        file: File,
        inbox: Arc<Inbox<Unit>>,
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
        let alarm = Alarm { engine: self.engine.clone(), inbox: self.inbox.clone() };
        while let Some(group) = self.inbox.take() {
            self.commit(group);
        }
        drop(alarm);
    }

    fn commit(&mut self, group: Vec<Unit>) {
        let engine = self.engine.clone();
        let mut units = group.into_iter().peekable();
        while units.peek().is_some() {
            let mut txn = Txn::new(&*engine, &self.limits);
            let mut done = Vec::new();
            while txn.len() < ROWS_MAX
                && txn.bytes() < BYTES_MAX
                && let Some(mut unit) = units.next()
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
struct Alarm {
    engine: Arc<SledEngine>,
    inbox: Arc<Inbox<Unit>>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.engine.fail(&"the store's committer has panicked");
            self.inbox.close();
            // Whoever waits for an answer of these learns that there is none.
            while self.inbox.take().is_some() {}
        }
    }
}
