//! When a feed is due, how often it was pinged, and whether it is polled at all.

use super::engine::{Place, Read, Tree, Value};
use super::keys::DueKind;
use super::rows::{Reader, Writer};
use super::txn::Txn;
use crate::ids::FeedId;
use crate::store::{ShardId, StoreError, Wake};
use chrono::{DateTime, Utc};

pub(super) const WHAT: &str = "feed mark";
pub(super) const FORMAT: u8 = 1;

/// The row. It exists as long as its feed does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) shard: ShardId,
    /// When it is due, with a row in the index of due feeds.
    pub(super) due: Option<DateTime<Utc>>,
    pub(super) pings: u64,
    /// True while it has an active webhook.
    pub(super) is_active: bool,
    /// True while its connection is paused: it would be in the way of others at the front of the index.
    pub(super) is_held: bool,
}

impl Marks {
    /// True if it may become due.
    pub(super) fn is_polled(&self) -> bool {
        self.is_active && !self.is_held
    }

    pub(super) fn encode(&self) -> Value {
        let mut row = Writer::new(FORMAT);
        row.u16(self.shard.0);
        row.u64(self.pings);
        row.u8(u8::from(self.is_active));
        row.u8(u8::from(self.is_held));
        row.option(self.due, Writer::time);
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut row = Reader::new(WHAT, FORMAT, row)?;
        let (shard, pings, is_active, is_held) = (ShardId(row.u16()?), row.u64()?, row.bool()?, row.bool()?);
        Ok(Marks { shard, pings, is_active, is_held, due: row.option(Reader::time)? })
    }
}

/// Where a feed's row stands.
pub(super) fn place(feed: FeedId) -> Place {
    (Tree::FeedMarks, feed.as_bytes().to_vec())
}

/// The row of a feed.
pub(super) fn marks(read: &dyn Read, feed: FeedId) -> Result<Option<Marks>, StoreError> {
    read.get(Tree::FeedMarks, feed.as_bytes())?.map(|row| Marks::decode(&row)).transpose()
}

/// Sets it, with its row in the index of due feeds. Tells who waits if it is due sooner than it was.
pub(super) fn keep(txn: &mut Txn<'_>, feed: FeedId, due_before: Option<DateTime<Utc>>, marks: &Marks) {
    if marks.due != due_before {
        if let Some(at) = due_before {
            txn.remove(Tree::Due, DueKind::Poll.key(marks.shard, at, feed.as_bytes()));
        }
        if let Some(at) = marks.due {
            txn.put(Tree::Due, DueKind::Poll.key(marks.shard, at, feed.as_bytes()), &[]);
            if due_before.is_none_or(|before| at < before) {
                txn.wake(Wake::FeedDue(feed));
            }
        }
    }
    txn.put(Tree::FeedMarks, feed.as_bytes(), marks.encode());
}

/// Removes it with its row in the index.
pub(super) fn remove(txn: &mut Txn<'_>, feed: FeedId) -> Result<(), StoreError> {
    if let Some((marks, at)) = marks(txn, feed)?.and_then(|marks| marks.due.map(|at| (marks, at))) {
        txn.remove(Tree::Due, DueKind::Poll.key(marks.shard, at, feed.as_bytes()));
    }
    txn.remove(Tree::FeedMarks, feed.as_bytes());
    Ok(())
}
