//! The shards this node works on. Whoever writes for a shard asks here for its fence, and tells here when it was fenced.

use crate::clock::Clock;
use crate::ids::NodeId;
use crate::store::{Lease, SHARDS, ShardId, Store, StoreError};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

/// Holds this node's leases.
#[derive(Debug)]
pub struct LeaseKeeper {
    node: NodeId,
    ttl_ms: u64,
    held: RwLock<HashMap<ShardId, Lease>>,
    changed: broadcast::Sender<()>,
}

/// Hears of shards that were won or lost. Those who wait are woken in the order in which they began to, so that a
/// simulated life repeats.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<()>);

impl Changes {
    /// Waits for a change since the last time this was asked; never returns once there can be none.
    pub async fn changed(&mut self) {
        if let Err(RecvError::Closed) = self.0.recv().await {
            std::future::pending().await
        }
    }
}

impl LeaseKeeper {
    /// A keeper that holds nothing yet.
    pub fn new(node: NodeId, ttl_ms: u64) -> Self {
        LeaseKeeper { node, ttl_ms, held: RwLock::default(), changed: broadcast::Sender::new(1) }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The lease of a shard, if this node holds it.
    pub fn lease(&self, shard: ShardId) -> Option<Lease> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).get(&shard).copied()
    }

    /// The shards this node holds.
    pub fn shards(&self) -> Vec<ShardId> {
        let mut shards: Vec<_> = self.held.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        shards.sort_unstable();
        shards
    }

    /// Changes whenever a shard was won or lost.
    pub fn changes(&self) -> Changes {
        Changes(self.changed.subscribe())
    }

    /// Forgets a shard that turned out to be another's.
    pub fn lost(&self, shard: ShardId) {
        let gone = self.held.write().unwrap_or_else(PoisonError::into_inner).remove(&shard).is_some();
        if gone {
            self.tell();
        }
    }

    /// Whether anybody listens does not matter.
    fn tell(&self) {
        let _ = self.changed.send(());
    }

    /// Renews what is held and takes what is free, once.
    pub async fn renew(&self, store: &dyn Store, clock: &Clock) -> Result<(), StoreError> {
        let leases = store.hold_shards(self.node, clock.now(), self.ttl_ms, SHARDS).await?;
        let leases: HashMap<_, _> = leases.into_iter().map(|lease| (lease.fence.shard, lease)).collect();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let is_changed = held.len() != leases.len()
            || leases.iter().any(|(shard, lease)| held.get(shard).is_none_or(|known| known.fence != lease.fence));
        *held = leases;
        drop(held);
        if is_changed {
            self.tell();
        }
        Ok(())
    }

    /// Renews until told to stop, then gives everything back.
    pub async fn run(&self, store: &dyn Store, clock: &Clock, stop: CancellationToken) {
        let every = Duration::from_millis((self.ttl_ms / 3).max(1));
        while stop.run_until_cancelled(clock.sleep(every)).await.is_some() {
            if let Err(error) = self.renew(store, clock).await {
                tracing::error!(%error, "leases could not be renewed; work stops when they expire");
            }
        }
        self.held.write().unwrap_or_else(PoisonError::into_inner).clear();
        if let Err(error) = store.release_shards(self.node).await {
            tracing::warn!(%error, "leases could not be given back; they expire by themselves");
        }
    }
}
