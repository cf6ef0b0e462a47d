//! The Store contract over an ordered key-value engine, by noun.
//!
//! - A unit of work is a closure over a transaction ([`txn::Txn`]): it reads, decides and writes. Where it fails, nothing
//!   of it is kept.
//! - What runs units, and makes them durable, is a [`Units`]: the tests' memory, or sled's committer.
//! - A noun's file has its rows, its keys' meaning and its calls; what several nouns share is a function on `&dyn Read`
//!   or `&mut Txn`.

mod arrivals;
mod audit;
mod behind;
mod call_rings;
mod calls;
mod cleaning;
mod connections;
mod deliveries;
mod delivery_row;
mod destinations;
mod endings;
pub(crate) mod engine;
mod feeds;
mod head;
mod health;
mod insights;
mod kept;
mod keys;
mod leaf;
mod leases;
mod ledger;
mod listings;
mod lists;
mod log;
mod marks;
mod notifications;
mod pages;
mod progress;
mod replays;
mod rows;
mod runs;
#[cfg(test)]
mod samples;
mod subscriptions;
mod sweeps;
pub(crate) mod txn;
mod webhooks;
mod workspaces;

pub(crate) use leases::void_leases;

use super::{Store, StoreError, Wake};
use engine::Read;
use std::future::Future;
use tokio::sync::{broadcast, watch};
use txn::Txn;

/// Wakes that a receiver may be behind before it is told that it lags.
pub(crate) const WAKES_MAX: usize = 4_096;

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

/// Runs units of work.
pub(crate) trait Units: Send + Sync + 'static {
    /// Runs a unit and returns once what it wrote is durable.
    fn write<T: Send + 'static>(
        &self,
        pace: Pace,
        work: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Reads, on the caller's thread.
    fn read<T>(&self, look: impl FnOnce(&dyn Read) -> Result<T, StoreError>) -> Result<T, StoreError>;

    /// What has become durable.
    fn subscribe(&self) -> broadcast::Receiver<Wake>;

    /// Why nothing can be read or written any more, once that is so.
    fn failure(&self) -> watch::Receiver<Option<String>> {
        watch::channel(None).1
    }
}

impl<U: Units> Store for U {
    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.subscribe()
    }

    fn failure(&self) -> watch::Receiver<Option<String>> {
        Units::failure(self)
    }
}
