//! Shards' leases, and pauses of budget buckets.

use super::engine::{Read, Tree, Value};
use super::keys;
use super::rows::{Reader, Writer};
use super::txn::Txn;
use super::{Domain, Pace, Units};
use crate::ids::NodeId;
use crate::store::{Fence, Lease, Leases, Pause, SHARDS, ShardId, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

pub(super) const WHAT: &str = "lease";
pub(super) const FORMAT: u8 = 1;
/// Pauses have their length since format 2.
const PAUSE_FORMAT: u8 = 2;
/// What a pause of format 1 counts as at most: a day.
const OLD_PAUSE_MS: u64 = 86_400_000;

/// The row of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) epoch: u64,
    /// Who holds it, and until when.
    pub(super) by: Option<(NodeId, DateTime<Utc>)>,
}

impl Held {
    pub(super) fn encode(self) -> Value {
        let mut row = Writer::new(FORMAT);
        row.u64(self.epoch);
        row.option(self.by, |row, (node, expires_at)| {
            row.raw(node.as_bytes());
            row.time(expires_at);
        });
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut row = Reader::new(WHAT, FORMAT, row)?;
        let epoch = row.u64()?;
        Ok(Held { epoch, by: row.option(|row| Ok((NodeId::from_bytes(row.array()?), row.time()?)))? })
    }
}

fn held(read: &dyn Read, shard: ShardId) -> Result<Held, StoreError> {
    let row = read.get(Tree::Leases, &keys::shard(shard))?;
    row.map_or(Ok(Held::default()), |row| Held::decode(&row))
}

fn keep(txn: &mut Txn<'_>, shard: ShardId, held: Held) {
    txn.put(Tree::Leases, keys::shard(shard), held.encode());
}

/// Sees that a fence is still good.
pub(super) fn check(read: &dyn Read, fence: Fence) -> Result<(), StoreError> {
    if held(read, fence.shard)?.epoch == fence.epoch { Ok(()) } else { Err(StoreError::Fenced(fence)) }
}

/// Ends a lease. The epoch that follows makes its fences void at once.
fn release(txn: &mut Txn<'_>, shard: ShardId, held: Held) {
    keep(txn, shard, Held { epoch: held.epoch + 1, by: None });
}

fn hold(
    txn: &mut Txn<'_>,
    node: NodeId,
    now: DateTime<Utc>,
    ttl: TimeDelta,
    want: u16,
) -> Result<Vec<Lease>, StoreError> {
    let expires_at = now.checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let shards = (0..SHARDS).map(ShardId).map(|shard| Ok((shard, held(txn, shard)?)));
    let shards = shards.collect::<Result<Vec<_>, StoreError>>()?;
    let (own, others): (Vec<_>, Vec<_>) =
        shards.into_iter().partition(|(_, held)| held.by.is_some_and(|(holder, _)| holder == node));
    // A lease that has longer to live than any is given was made before the clock went back: nobody renews it.
    let longest = now.checked_add_signed(ttl * 2).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let is_over = |expires_at: DateTime<Utc>| expires_at <= now || expires_at > longest;
    let free = others.into_iter().filter(|(_, held)| held.by.is_none_or(|(_, expires_at)| is_over(expires_at)));

    let (kept, surplus) = own.split_at(own.len().min(want.into()));
    surplus.iter().for_each(|(shard, held)| release(txn, *shard, *held));
    let taken = free.take(usize::from(want) - kept.len());
    let taken = taken.map(|(shard, held)| (shard, Held { epoch: held.epoch + 1, ..held }));
    let all = kept.iter().copied().chain(taken).map(|(shard, held)| {
        keep(txn, shard, Held { epoch: held.epoch, by: Some((node, expires_at)) });
        Lease { fence: Fence { shard, epoch: held.epoch }, expires_at }
    });
    Ok(all.collect())
}

/// Ends the leases of a node, or of all nodes. A shard's fences are void from then on.
fn release_all(txn: &mut Txn<'_>, node: Option<NodeId>) -> Result<(), StoreError> {
    for shard in (0..SHARDS).map(ShardId) {
        let held = held(txn, shard)?;
        if held.by.is_some_and(|(holder, _)| node.is_none_or(|node| node == holder)) {
            release(txn, shard, held);
        }
    }
    Ok(())
}

/// Ends all leases: for an engine that one process at a time can open, when it has been opened.
pub(crate) fn void_leases(txn: &mut Txn<'_>) -> Result<(), StoreError> {
    release_all(txn, None)
}

pub(super) fn pause(read: &dyn Read, quota: &str) -> Result<Option<Pause>, StoreError> {
    let Some(row) = read.get(Tree::Pauses, quota.as_bytes())? else { return Ok(None) };
    let format = row.first().copied().unwrap_or_default();
    let mut row = Reader::new("pause", PAUSE_FORMAT, &row)?;
    let until = row.time()?;
    Ok(Some(Pause { until, length_ms: if format >= PAUSE_FORMAT { row.u64()? } else { OLD_PAUSE_MS } }))
}

pub(super) fn extend_pause(txn: &mut Txn<'_>, quota: &str, new: Pause) -> Result<(), StoreError> {
    let span = i64::try_from(new.length_ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
    let now = new.until.checked_sub_signed(span).unwrap_or(DateTime::<Utc>::MIN_UTC);
    if pause(txn, quota)?.is_none_or(|known| known.left(now) < new.left(now)) {
        let mut row = Writer::new(PAUSE_FORMAT);
        row.time(new.until);
        row.u64(new.length_ms);
        txn.put(Tree::Pauses, quota.as_bytes(), row.finish());
    }
    Ok(())
}

#[async_trait]
impl<U: Units> Leases for U {
    async fn hold_shards(
        &self,
        node: NodeId,
        now: DateTime<Utc>,
        ttl_ms: u64,
        want: u16,
    ) -> Result<Vec<Lease>, StoreError> {
        let ttl = i64::try_from(ttl_ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
        self.write(Domain::Store, Pace::Now, move |txn| hold(txn, node, now, ttl, want)).await
    }

    async fn release_shards(&self, node: NodeId) -> Result<(), StoreError> {
        self.write(Domain::Store, Pace::Now, move |txn| release_all(txn, Some(node))).await
    }

    async fn pause(&self, quota: &str) -> Result<Option<Pause>, StoreError> {
        self.read(|read| pause(read, quota)).await
    }

    async fn extend_pause(&self, quota: &str, pause: Pause) -> Result<(), StoreError> {
        let quota = quota.to_owned();
        self.write(Domain::quota(&quota), Pace::Now, move |txn| extend_pause(txn, &quota, pause)).await
    }
}
