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
mod domain;
mod endings;
pub(crate) mod engine;
mod feeds;
mod head;
mod health;
pub(crate) mod inbox;
mod insight_row;
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
pub(crate) mod queue;
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

pub(crate) use keys::index_owner_at;
pub(crate) use leases::void_leases;

use super::{Store, StoreError, Wake};
use chrono::{DateTime, Utc};
pub(crate) use domain::Domain;
use engine::Read;
pub(crate) use queue::Pace;
use std::future::Future;
use tokio::sync::{broadcast, watch};
use txn::Txn;

/// Wakes that a receiver may be behind before it is told that it lags.
pub(crate) const WAKES_MAX: usize = 4_096;

/// Runs units of work.
pub(crate) trait Units: Send + Sync + 'static {
    /// Runs a unit and returns once what it wrote is durable. An engine may run it several times, and keeps what the last
    /// run did: it is a function of what it reads.
    fn write<T: Send + 'static>(
        &self,
        domain: Domain,
        pace: Pace,
        work: impl Fn(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Reads.
    fn read<T: Send>(
        &self,
        look: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Looks after what an engine has to see to now and then.
    fn tidy(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// What the clock shows that decides who lives, given what ours does.
    fn time(&self, ours: DateTime<Utc>) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send {
        std::future::ready(Ok(ours))
    }

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
