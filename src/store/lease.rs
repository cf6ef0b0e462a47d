//! Shards and their leases.

use super::StoreError;
use crate::ids::NodeId;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many shards there are. Fixed for the life of a store: rows carry their shard.
pub const SHARDS: u16 = 64;

/// A share of the work: a budget bucket's feeds, listing jobs and webhooks stay together in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard of a budget bucket.
    pub fn of_bucket(bucket: &str) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_64(bucket.as_bytes());
        ShardId(u16::try_from(hash % u64::from(SHARDS)).unwrap_or(0))
    }
}

/// Proof of a lease: the shard and the epoch it was taken in. Every change of hands begins a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The shard.
    pub shard: ShardId,
    /// The epoch.
    pub epoch: u64,
}

/// A shard in a node's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// What to show when writing.
    pub fence: Fence,
    /// Until when nobody else can take it.
    pub expires_at: DateTime<Utc>,
}

/// How long a quota at a vendor pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Until when, by our clock.
    pub until: DateTime<Utc>,
    /// How long it was when it began, in milliseconds: a clock that has gone back since makes it no longer.
    pub length_ms: u64,
}

impl Pause {
    /// A pause that begins now.
    pub fn starting(now: DateTime<Utc>, length: Duration) -> Self {
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let span = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        Pause { until: now.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC), length_ms }
    }

    /// What is left of it: never more than all of it.
    pub fn left(&self, now: DateTime<Utc>) -> Duration {
        (self.until - now).to_std().unwrap_or_default().min(Duration::from_millis(self.length_ms))
    }
}

/// Leases.
#[async_trait]
pub trait Leases {
    /// Renews a node's leases, takes free shards until it has `want` of them, and answers all it holds.
    ///
    /// - A shard whose holder's lease has not expired is never taken, unless it would last longer than twice `ttl_ms`:
    ///   then the clock has gone back since.
    /// - A shard taken over begins a new epoch; one renewed keeps its epoch.
    /// - Where it holds more than `want`, the surplus is released.
    async fn hold_shards(
        &self,
        node: NodeId,
        now: DateTime<Utc>,
        ttl_ms: u64,
        want: u16,
    ) -> Result<Vec<Lease>, StoreError>;

    /// Gives a node's shards back, so that others need not wait for its leases to expire.
    async fn release_shards(&self, node: NodeId) -> Result<(), StoreError>;

    /// How long a quota pauses, because the vendor said so: a budget bucket's, or one that several share. What was kept
    /// by an old build has no length and counts as a day.
    async fn pause(&self, quota: &str) -> Result<Option<Pause>, StoreError>;

    /// Pauses a quota.
    ///
    /// - A pause is only ever extended: of two that run, what is left of the longer one counts.
    /// - One that a clock which has gone back since makes seem longer than it was gives way to a new one.
    async fn extend_pause(&self, quota: &str, pause: Pause) -> Result<(), StoreError>;
}
