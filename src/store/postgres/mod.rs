//! The store for several nodes: PostgreSQL, with the same units of work as the embedded one.
//!
//! A tree is a table ([`layout`]), a unit of work a part of a transaction ([`writing`]). Units of different shards run
//! beside each other, on this node and on others; those of one shard one after the other, since each transaction first
//! locks what its units work on ([`locks`]). What was written is told to the other nodes ([`wakes`]).
//!
//! No error of the database is final: what fails in passing is tried again for a while, and then answered as
//! [`StoreError::Unavailable`]. What ends the process is a panic of ours, and a schema that has become too new for this
//! build.

mod database;
mod endpoint;
mod failure;
mod fetching;
mod layout;
mod locks;
mod moving;
mod pipeline;
mod ranges;
mod reading;
mod running;
mod schema;
mod sql;
mod tls;
mod transaction;
mod wakes;
mod writing;

#[cfg(test)]
mod tests;

pub use endpoint::{PostgresOptions, WrongUrl};
pub(crate) use moving::PostgresSide;

use super::kv::engine::Read;
use super::kv::queue::Queue;
use super::kv::txn::Txn;
use super::kv::{Domain, Pace, Units, WAKES_MAX};
use super::{ShardId, StoreError, Wake};
use crate::limits::StoreLimits;
use chrono::{DateTime, Utc};
use database::Database;
use deadpool_postgres::Client;
use failure::told;
use reading::Reading;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use writing::Writer;

/// Shards of ids that are remembered.
const SHARDS_KNOWN_MAX: usize = 65_536;
/// How often partitions are looked after.
const PARTITIONS_EVERY: Duration = Duration::from_secs(600);

/// A store in PostgreSQL.
pub struct PostgresStore {
    database: Database,
    /// One for each writer.
    queues: Vec<Queue>,
    writers: Vec<JoinHandle<()>>,
    wakes: broadcast::Sender<Wake>,
    shards: Mutex<HashMap<Domain, ShardId>>,
    partitions_at: Mutex<Option<Instant>>,
    calls_kept_days: i32,
    stop: CancellationToken,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects, and makes the schema or brings it forward.
    ///
    /// - [`StoreError::Unavailable`] where the database cannot be reached or refuses.
    /// - [`StoreError::Unreadable`] where a newer build has made the schema and this one cannot work beside it.
    /// - It must be called in a runtime of several threads: reads wait on theirs.
    pub async fn open(options: &PostgresOptions, limits: &StoreLimits) -> Result<Self, StoreError> {
        let database = Database::new(options, limits)?;
        let calls_kept_days = kept_days(limits);
        let mut client = database.client_soon().await.map_err(told)?;
        schema::migrate(&mut client, &database.endpoint.schema).await?;
        drop(client);

        let (wakes, stop) = (broadcast::Sender::new(WAKES_MAX), CancellationToken::new());
        let mut store = PostgresStore {
            queues: Vec::new(),
            writers: Vec::new(),
            wakes,
            shards: Mutex::default(),
            partitions_at: Mutex::default(),
            calls_kept_days,
            stop,
            database,
        };
        for number in 0..limits.writers.max(1) {
            store.start_writer(number, limits)?;
        }
        store.tidy().await?;
        let (database, wakes, stop) = (store.database.clone(), store.wakes.clone(), store.stop.clone());
        let (mut first, deadline) = (wakes.subscribe(), database.deadline);
        tokio::spawn(wakes::listen(database, wakes, stop));
        // It says that it hears before anyone can have missed something. Where it cannot yet, it goes on trying.
        if tokio::time::timeout(deadline, first.recv()).await.is_err() {
            tracing::warn!("other nodes' work is not heard of yet");
        }
        Ok(store)
    }

    fn start_writer(&mut self, number: usize, limits: &StoreLimits) -> Result<(), StoreError> {
        let queue = Queue::new(limits);
        let writer =
            Writer::new(self.database.clone(), queue.inbox(), self.wakes.clone(), limits.clone(), Handle::current());
        let thread = std::thread::Builder::new().name(format!("store-writer-{number}"));
        let thread = thread.spawn(move || writer.run());
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("a thread cannot be started: {error}")))?;
        self.queues.push(queue);
        self.writers.push(thread);
        Ok(())
    }

    /// The domain to be locked for one that is named by an id. A row's shard never changes; where there is no such row,
    /// any will do, since there is nothing to be worked on.
    async fn resolve(&self, domain: Domain) -> Result<Domain, StoreError> {
        if locks::of(domain).is_some() {
            return Ok(domain);
        }
        if let Some(shard) = self.shards.lock().unwrap_or_else(PoisonError::into_inner).get(&domain) {
            return Ok(Domain::Shard(*shard));
        }
        let found = self.read(|read| domain.shard(read)).await?;
        if let Some(shard) = found {
            let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
            if shards.len() >= SHARDS_KNOWN_MAX {
                shards.clear();
            }
            shards.insert(domain, shard);
        }
        Ok(Domain::Shard(found.unwrap_or(ShardId(0))))
    }

    fn queue(&self, domain: Domain) -> Result<&Queue, StoreError> {
        let lock = locks::of(domain).unwrap_or_default();
        let number = usize::try_from(lock).unwrap_or_default().checked_rem(self.queues.len());
        number.and_then(|number| self.queues.get(number)).ok_or(StoreError::Unavailable("it has been closed".into()))
    }
}

/// For how many days calls are kept.
fn kept_days(limits: &StoreLimits) -> i32 {
    i32::try_from(limits.calls_kept_ms.div_ceil(86_400_000)).unwrap_or(i32::MAX / 2)
}

/// What the database's clock shows.
async fn time(database: &Database, client: &Client) -> Result<DateTime<Utc>, StoreError> {
    let now = client.query_one("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8", &[]);
    let micros: i64 = database.answered(now).await.map_err(told)?.get(0);
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| StoreError::Unavailable("the database's clock shows no time of this world".into()))
}

impl Drop for PostgresStore {
    /// Waits until what was asked for is durable, or given up.
    fn drop(&mut self) {
        self.stop.cancel();
        self.queues.iter().for_each(Queue::close);
        let writers = std::mem::take(&mut self.writers);
        let join = move || {
            for writer in writers {
                if writer.join().is_err() {
                    tracing::error!("a writer of the store has panicked");
                }
            }
        };
        // Writers need the runtime to end what they have begun.
        match Handle::try_current() {
            Ok(handle) if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread => {
                tokio::task::block_in_place(join);
            }
            _ => join(),
        }
    }
}

impl Units for PostgresStore {
    async fn write<T: Send + 'static>(
        &self,
        domain: Domain,
        pace: Pace,
        work: impl Fn(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let domain = self.resolve(domain).await?;
        self.queue(domain)?.ask(domain, pace, work).await
    }

    async fn read<T: Send>(
        &self,
        look: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let client = self.database.client_soon().await.map_err(told)?;
        tokio::task::block_in_place(|| look(&Reading::new(&client, &self.database)))
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    fn failure(&self) -> watch::Receiver<Option<String>> {
        self.database.failure.subscribe()
    }

    async fn time(&self, _ours: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
        let client = self.database.client_soon().await.map_err(told)?;
        time(&self.database, &client).await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let is_due = {
            let mut at = self.partitions_at.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = at.is_none_or(|at| at.elapsed() >= PARTITIONS_EVERY);
            if is_due {
                *at = Some(Instant::now());
            }
            is_due
        };
        if is_due {
            let mut client = self.database.client_soon().await.map_err(told)?;
            let schema = &self.database.endpoint.schema;
            schema::keep_partitions(&mut client, schema, self.calls_kept_days).await.map_err(told)?;
        }
        Ok(())
    }
}
