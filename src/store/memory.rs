//! A store in memory: for tests and simulations. Nothing outlives the process.

use super::kv::engine::{MemoryEngine, Read};
use super::kv::txn::Txn;
use super::kv::{Domain, Pace, Units, WAKES_MAX};
use super::{StoreError, Wake};
use crate::limits::StoreLimits;
use std::sync::{Mutex, PoisonError};
use tokio::sync::broadcast;

/// A store in memory. Calls are done when they return, without a thread or a wait, so that it keeps step with a paused
/// clock.
#[derive(Debug)]
pub struct MemoryStore {
    engine: Mutex<MemoryEngine>,
    limits: StoreLimits,
    wakes: broadcast::Sender<Wake>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: &StoreLimits) -> Self {
        let wakes = broadcast::Sender::new(WAKES_MAX);
        MemoryStore { engine: Mutex::default(), limits: limits.clone(), wakes }
    }
}

impl Units for MemoryStore {
    async fn write<T: Send + 'static>(
        &self,
        _domain: Domain,
        _pace: Pace,
        work: impl Fn(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (result, wakes) = {
            let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            let mut txn = Txn::new(&*engine, &self.limits);
            let result = txn.unit(work);
            let (batch, wakes) = txn.finish();
            engine.apply(batch);
            (result, wakes)
        };
        for wake in wakes {
            // Nobody listens: nobody waits.
            let _ = self.wakes.send(wake);
        }
        result
    }

    async fn read<T: Send>(
        &self,
        look: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        look(&*self.engine.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }
}
