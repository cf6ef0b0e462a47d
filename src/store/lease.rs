//! Shards, who works on them, and pauses of quotas.

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

/// A kind of work. The shards of each are held on their own, so that a node may do one and leave the other to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// Polling feeds, listing history, registering webhooks at vendors.
    Poll,
    /// Delivering, trimming logs, replays.
    Deliver,
}

impl Duty {
    /// All of them.
    pub const ALL: [Duty; 2] = [Duty::Poll, Duty::Deliver];

    /// Its name in settings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Duty::Poll => "poll",
            Duty::Deliver => "deliver",
        }
    }
}

/// Proof of a lease: what was taken, and the epoch it was taken in. Every change of hands begins a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// For what work.
    pub duty: Duty,
    /// The shard.
    pub shard: ShardId,
    /// The epoch.
    pub epoch: u64,
}

/// A node that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveNode {
    /// Which.
    pub id: NodeId,
    /// What it takes shards for.
    pub duties: Vec<Duty>,
}

/// How things stand when a node has told that it lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// What the node holds, by duty and shard.
    pub held: Vec<Fence>,
    /// The nodes that live, itself among them, by id.
    pub nodes: Vec<LiveNode>,
    /// What nobody holds who lives, by duty and shard.
    pub free: Vec<(Duty, ShardId)>,
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

/// Leases. A node holds shards for as long as it lives, and it lives for as long as it says so: renewing is one row, however
/// many shards there are. `now` is what [`Leases::time`] answered; a call that has to wait before it is carried out counts
/// from then on.
#[async_trait]
pub trait Leases {
    /// The time by the clock that decides who lives, given what ours shows. Where nodes share a store it is the store's
    /// own; else ours.
    async fn time(&self, ours: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError>;

    /// Tells that a node lives, for `ttl_ms` from now on, and what it takes shards for. Answers how things stand.
    ///
    /// - It keeps what it holds, with the epochs. What it held when its life ended is still its own where nobody has taken
    ///   it since.
    /// - A node lives until its time is over. One that would live for longer than twice as long as it asked for does not:
    ///   then the clock has gone back since.
    /// - What a node holds that does not live is free. Rows of nodes that have long been dead are removed.
    async fn heartbeat(
        &self,
        node: NodeId,
        duties: &[Duty],
        now: DateTime<Utc>,
        ttl_ms: u64,
    ) -> Result<Heartbeat, StoreError>;

    /// Takes shards, and answers those that were taken.
    ///
    /// - A shard that a living node holds is never taken, and not answered. One that the node holds itself it keeps.
    /// - Each that is taken begins a new epoch: what others show of it is void at once.
    async fn take_shards(
        &self,
        node: NodeId,
        shards: &[(Duty, ShardId)],
        now: DateTime<Utc>,
    ) -> Result<Vec<Fence>, StoreError>;

    /// Gives shards back, so that others can take them at once.
    ///
    /// - The epoch ends. What has passed to another since is left alone.
    async fn give_shards(&self, fences: &[Fence]) -> Result<(), StoreError>;

    /// Ends a node's life: all that it holds is given back.
    async fn leave(&self, node: NodeId) -> Result<(), StoreError>;

    /// How long a quota pauses, because the vendor said so: a budget bucket's, or one that several share. What was kept
    /// by an old build has no length and counts as a day.
    async fn pause(&self, quota: &str) -> Result<Option<Pause>, StoreError>;

    /// Pauses a quota.
    ///
    /// - A pause is only ever extended: of two that run, what is left of the longer one counts.
    /// - One that a clock which has gone back since makes seem longer than it was gives way to a new one.
    async fn extend_pause(&self, quota: &str, pause: Pause) -> Result<(), StoreError>;
}
