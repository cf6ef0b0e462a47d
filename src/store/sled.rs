//! The embedded store: sled on one machine's disk, for one process at a time.
//!
//! sled's own `flush` is no barrier against a loss of power: on Linux it calls `sync_file_range`, which does not empty
//! the disk's cache. One thread therefore owns all writes ([`committer`]), and syncs sled's file itself before anything
//! is acknowledged. An error of the disk, or a sign of corruption, is final: the store answers
//! [`StoreError::Unavailable`] from then on, and the process should end ([`super::Store::failure`]).

mod committer;
mod engine;

use super::kv::engine::Read;
use super::kv::queue::Queue;
use super::kv::txn::Txn;
use super::kv::{Domain, Pace, Units, WAKES_MAX};
use super::{StoreError, Wake};
use crate::limits::StoreLimits;
use committer::Committer;
use engine::SledEngine;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{broadcast, watch};

/// How often sled writes out what nobody waits for, in milliseconds. Segments that it reuses meanwhile are safe against a
/// loss of power only after that.
const FLUSH_EVERY_MS: u64 = 100;

/// A store on disk.
pub struct SledStore {
    engine: Arc<SledEngine>,
    wakes: broadcast::Sender<Wake>,
    queue: Queue,
    /// None only while it is dropped.
    committer: Option<JoinHandle<()>>,
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in this directory, and makes it where there is none.
    ///
    /// - [`StoreError::Unavailable`] where another process has it open, or the disk fails.
    /// - Leases of processes before this one are void: only one at a time can open it.
    /// - It blocks while sled reads its file, about a second for every 400 MB.
    pub fn open(path: &Path, limits: &StoreLimits) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(limits.cache_bytes)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let database = config.open().map_err(|error| cannot_open(path, &error))?;
        let engine = Arc::new(SledEngine::new(database).map_err(|error| cannot_open(path, &error))?);
        // A sync acts on the file, not on the descriptor, so that sled's own writes are synced by it too.
        let file = File::open(path.join("db")).map_err(|error| cannot_open(path, &error))?;
        File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| cannot_open(path, &error))?;

        let wakes = broadcast::Sender::new(WAKES_MAX);
        let queue = Queue::new(limits);
        let mut committer = Committer::new(engine.clone(), file, queue.inbox(), wakes.clone(), limits.clone());
        committer.void_leases()?;
        let thread = std::thread::Builder::new().name("store-committer".into());
        let thread = thread.spawn(move || committer.run()).map_err(|error| cannot_open(path, &error))?;
        Ok(SledStore { engine, wakes, queue, committer: Some(thread) })
    }

    /// Bytes that the store takes on disk. The file never shrinks.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.engine.disk_bytes()
    }
}

fn cannot_open(path: &Path, error: &dyn fmt::Display) -> StoreError {
    StoreError::Unavailable(format!(
        "{} cannot be opened: {error}; see that no other process uses it, and that the disk is writable",
        path.display()
    ))
}

impl Drop for SledStore {
    /// Waits until what was asked for is durable and the file is free again.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.committer.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's committer has panicked");
        }
    }
}

impl Units for SledStore {
    async fn write<T: Send + 'static>(
        &self,
        domain: Domain,
        pace: Pace,
        work: impl Fn(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.engine.check()?;
        self.queue.ask(domain, pace, work).await.map_err(|error| self.engine.why().unwrap_or(error))
    }

    async fn read<T: Send>(
        &self,
        look: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        self.engine.check()?;
        look(&self.engine.durable())
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    fn failure(&self) -> watch::Receiver<Option<String>> {
        self.engine.failure()
    }
}
