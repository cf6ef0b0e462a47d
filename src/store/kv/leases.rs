//! Nodes' lives, shards' leases, and pauses of budget buckets.

use super::engine::{Place, Read, Tree, Value};
use super::keys::{self, FromKey};
use super::rows::{Reader, Writer, damaged};
use super::txn::Txn;
use super::{Domain, Pace, Units, moves};
use crate::ids::NodeId;
use crate::store::{Duty, Fence, Heartbeat, Leases, LiveNode, Pause, SHARDS, ShardId, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const WHAT: &str = "lease";
/// Rows of format 1 say until when a shard is held, and are of no duty: what they held is free, with its epoch.
pub(super) const FORMAT: u8 = 2;
const NODE: &str = "node";
const NODE_FORMAT: u8 = 1;
/// Pauses have their length since format 2.
const PAUSE_FORMAT: u8 = 2;
/// What a pause of format 1 counts as at most: a day.
const OLD_PAUSE_MS: u64 = 86_400_000;

/// The row of a duty's shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) epoch: u64,
    pub(super) by: Option<NodeId>,
}

impl Held {
    pub(super) fn encode(self) -> Value {
        let mut row = Writer::new(FORMAT);
        row.u64(self.epoch);
        row.option(self.by, |row, node| row.raw(node.as_bytes()));
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let format = row.first().copied().unwrap_or_default();
        let mut row = Reader::new(WHAT, FORMAT, row)?;
        let epoch = row.u64()?;
        let by = row.option(|row| row.array().map(NodeId::from_bytes))?;
        Ok(Held { epoch, by: by.filter(|_| format >= FORMAT) })
    }
}

/// The row of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) duties: Vec<Duty>,
    pub(super) until: DateTime<Utc>,
    pub(super) ttl_ms: u64,
}

impl Life {
    pub(super) fn encode(&self) -> Value {
        let mut row = Writer::new(NODE_FORMAT);
        row.u8(self.duties.iter().fold(0, |bits, duty| bits | bit(*duty)));
        row.time(self.until);
        row.u64(self.ttl_ms);
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut row = Reader::new(NODE, NODE_FORMAT, row)?;
        let bits = row.u8()?;
        let duties = Duty::ALL.into_iter().filter(|duty| bits & bit(*duty) != 0).collect();
        Ok(Life { duties, until: row.time()?, ttl_ms: row.u64()? })
    }

    /// One that has longer to live than any is given was told of before the clock went back.
    fn is_alive(&self, now: DateTime<Utc>) -> bool {
        now < self.until && self.until <= later(now, self.ttl_ms.saturating_mul(2))
    }

    /// One that is still to come, where the clock has gone back, is none that anybody waits for either.
    fn is_long_over(&self, now: DateTime<Utc>) -> bool {
        !self.is_alive(now) && (now < self.until || later(self.until, self.ttl_ms) <= now)
    }
}

fn bit(duty: Duty) -> u8 {
    match duty {
        Duty::Poll => 1,
        Duty::Deliver => 2,
    }
}

fn later(at: DateTime<Utc>, by_ms: u64) -> DateTime<Utc> {
    let span = i64::try_from(by_ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
    at.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The time at which a unit runs that was asked for at `now`. It may have waited for so long that by `now` those would
/// seem dead who have told since that they live.
fn at_last(txn: &Txn<'_>, now: DateTime<Utc>) -> DateTime<Utc> {
    later(now, u64::try_from(txn.waited().as_millis()).unwrap_or(u64::MAX))
}

/// All shards of all duties.
fn all() -> impl Iterator<Item = (Duty, ShardId)> {
    Duty::ALL.into_iter().flat_map(|duty| (0..SHARDS).map(move |shard| (duty, ShardId(shard))))
}

fn held(read: &dyn Read, duty: Duty, shard: ShardId) -> Result<Held, StoreError> {
    let row = match read.get(Tree::Leases, &keys::lease(duty, shard))? {
        // Not taken since rows were of a duty: its epochs go on.
        None => read.get(Tree::Leases, &keys::shard(shard))?,
        row => row,
    };
    row.map_or(Ok(Held::default()), |row| Held::decode(&row))
}

/// All rows of leases, read together: each on its own would be a way to the database and back.
struct Holdings(BTreeMap<Vec<u8>, Held>);

impl Holdings {
    fn read(read: &dyn Read) -> Result<Self, StoreError> {
        let rows = read.prefix(Tree::Leases, &[]).map(|row| {
            let (key, row) = row?;
            Ok((key.to_vec(), Held::decode(&row)?))
        });
        rows.collect::<Result<_, _>>().map(Holdings)
    }

    fn of(&self, duty: Duty, shard: ShardId) -> Held {
        let row = self.0.get(&keys::lease(duty, shard)[..]).or_else(|| self.0.get(&keys::shard(shard)[..]));
        row.copied().unwrap_or_default()
    }
}

fn keep(txn: &mut Txn<'_>, duty: Duty, shard: ShardId, held: Held) {
    txn.put(Tree::Leases, keys::lease(duty, shard), held.encode());
}

/// Where the row stands that a fence is checked against.
pub(super) fn place(fence: Fence) -> Place {
    (Tree::Leases, keys::lease(fence.duty, fence.shard))
}

/// Sees that a fence is still good.
pub(crate) fn check(read: &dyn Read, fence: Fence) -> Result<(), StoreError> {
    if held(read, fence.duty, fence.shard)?.epoch == fence.epoch { Ok(()) } else { Err(StoreError::Fenced(fence)) }
}

/// Ends a lease. The epoch that follows makes its fences void at once.
fn release(txn: &mut Txn<'_>, duty: Duty, shard: ShardId, held: Held) {
    keep(txn, duty, shard, Held { epoch: held.epoch + 1, by: None });
}

/// The nodes there are rows of.
fn lives(read: &dyn Read) -> Result<BTreeMap<NodeId, Life>, StoreError> {
    let rows = read.prefix(Tree::Nodes, &[]).map(|row| {
        let (key, row) = row?;
        let id = NodeId::from_key(&key).ok_or_else(|| damaged(NODE))?;
        Ok((id, Life::decode(&row)?))
    });
    rows.collect()
}

fn heartbeat(txn: &mut Txn<'_>, node: NodeId, life: Life, now: DateTime<Utc>) -> Result<Heartbeat, StoreError> {
    moves::check(txn)?;
    txn.put(Tree::Nodes, node.as_bytes().to_vec(), life.encode());
    let mut nodes = lives(txn)?;
    for (id, _) in nodes.extract_if(.., |_, life| life.is_long_over(now)) {
        txn.remove(Tree::Nodes, id.as_bytes().to_vec());
    }
    nodes.retain(|_, life| life.is_alive(now));
    let holdings = Holdings::read(txn)?;
    let mut answer = Heartbeat::default();
    for (duty, shard) in all() {
        let Held { epoch, by } = holdings.of(duty, shard);
        match by {
            Some(holder) if holder == node => answer.held.push(Fence { duty, shard, epoch }),
            Some(holder) if nodes.contains_key(&holder) => {}
            _ => answer.free.push((duty, shard)),
        }
    }
    answer.nodes = nodes.into_iter().map(|(id, life)| LiveNode { id, duties: life.duties }).collect();
    Ok(answer)
}

/// An epoch ends only while nobody commits by it.
fn lock(txn: &mut Txn<'_>, shards: impl Iterator<Item = ShardId>) -> Result<(), StoreError> {
    txn.lock(&shards.map(Domain::Shard).collect::<Vec<_>>())
}

fn take(
    txn: &mut Txn<'_>,
    node: NodeId,
    shards: &BTreeSet<(Duty, ShardId)>,
    now: DateTime<Utc>,
) -> Result<Vec<Fence>, StoreError> {
    lock(txn, shards.iter().map(|(_, shard)| *shard))?;
    moves::check(txn)?;
    let lives = lives(txn)?;
    let is_alive = |node: NodeId| lives.get(&node).is_some_and(|life| life.is_alive(now));
    let holdings = Holdings::read(txn)?;
    let mut taken = Vec::with_capacity(shards.len());
    for &(duty, shard) in shards {
        let Held { mut epoch, by } = holdings.of(duty, shard);
        if by.is_some_and(|holder| holder != node && is_alive(holder)) {
            continue;
        }
        if by != Some(node) {
            epoch += 1;
            keep(txn, duty, shard, Held { epoch, by: Some(node) });
        }
        taken.push(Fence { duty, shard, epoch });
    }
    Ok(taken)
}

fn give(txn: &mut Txn<'_>, fences: &BTreeSet<Fence>) -> Result<(), StoreError> {
    lock(txn, fences.iter().map(|fence| fence.shard))?;
    let holdings = Holdings::read(txn)?;
    for &Fence { duty, shard, epoch } in fences {
        let held = holdings.of(duty, shard);
        if held.epoch == epoch && held.by.is_some() {
            release(txn, duty, shard, held);
        }
    }
    Ok(())
}

/// Ends the lives of a node, or of all nodes, and with them their leases. The fences are void from then on.
fn leave(txn: &mut Txn<'_>, node: Option<NodeId>) -> Result<(), StoreError> {
    let mut own = Vec::new();
    let holdings = Holdings::read(txn)?;
    for (duty, shard) in all() {
        let held = holdings.of(duty, shard);
        own.extend(held.by.is_some_and(|by| node.is_none_or(|node| node == by)).then_some((duty, shard, held)));
    }
    lock(txn, own.iter().map(|(_, shard, _)| *shard))?;
    own.into_iter().for_each(|(duty, shard, held)| release(txn, duty, shard, held));
    let gone = match node {
        Some(node) => vec![node],
        None => lives(txn)?.into_keys().collect(),
    };
    gone.iter().for_each(|node| txn.remove(Tree::Nodes, node.as_bytes().to_vec()));
    Ok(())
}

/// The nodes that live, and until when they do unless they tell again.
pub(crate) fn alive(read: &dyn Read, now: DateTime<Utc>) -> Result<Vec<(NodeId, DateTime<Utc>)>, StoreError> {
    let lives = lives(read)?.into_iter().filter(|(_, life)| life.is_alive(now));
    Ok(lives.map(|(id, life)| (id, life.until)).collect())
}

/// The rows that a store begins with whose work was done by another before: each epoch follows that store's, so that no
/// fence is shown a second time, in whatever store.
pub(crate) fn successors(read: &dyn Read) -> Result<Vec<(Vec<u8>, Value)>, StoreError> {
    let rows = all().map(|(duty, shard)| {
        let epoch = held(read, duty, shard)?.epoch + 1;
        Ok((keys::lease(duty, shard), Held { epoch, by: None }.encode()))
    });
    rows.collect()
}

/// Ends all leases: for an engine that one process at a time can open, when it has been opened.
pub(crate) fn void_leases(txn: &mut Txn<'_>) -> Result<(), StoreError> {
    leave(txn, None)
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
    async fn time(&self, ours: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
        Units::time(self, ours).await
    }

    async fn heartbeat(
        &self,
        node: NodeId,
        duties: &[Duty],
        now: DateTime<Utc>,
        ttl_ms: u64,
    ) -> Result<Heartbeat, StoreError> {
        let duties = duties.to_vec();
        let beat = move |txn: &mut Txn<'_>| {
            let now = at_last(txn, now);
            heartbeat(txn, node, Life { duties: duties.clone(), until: later(now, ttl_ms), ttl_ms }, now)
        };
        self.write(Domain::Store, Pace::Now, beat).await
    }

    async fn take_shards(
        &self,
        node: NodeId,
        shards: &[(Duty, ShardId)],
        now: DateTime<Utc>,
    ) -> Result<Vec<Fence>, StoreError> {
        let shards = shards.iter().copied().collect();
        self.write(Domain::Store, Pace::Now, move |txn| take(txn, node, &shards, at_last(txn, now))).await
    }

    async fn give_shards(&self, fences: &[Fence]) -> Result<(), StoreError> {
        let fences = fences.iter().copied().collect();
        self.write(Domain::Store, Pace::Now, move |txn| give(txn, &fences)).await
    }

    async fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.write(Domain::Store, Pace::Now, move |txn| leave(txn, Some(node))).await
    }

    async fn pause(&self, quota: &str) -> Result<Option<Pause>, StoreError> {
        self.read(|read| pause(read, quota)).await
    }

    async fn extend_pause(&self, quota: &str, pause: Pause) -> Result<(), StoreError> {
        let quota = quota.to_owned();
        self.write(Domain::quota(&quota), Pace::Now, move |txn| extend_pause(txn, &quota, pause)).await
    }
}

#[cfg(test)]
mod tests;
