//! A feed's hottest row: where its log begins and ends, under which revision it is, and how far its ledger is swept.

use super::engine::{Place, Read, Tree, Value};
use super::rows::{Reader, Writer};
use super::txn::Txn;
use crate::ids::FeedId;
use crate::store::{LogHead, StoreError};

pub(super) const WHAT: &str = "log head";
pub(super) const FORMAT: u8 = 1;

/// The row. It exists as long as its feed does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) log: LogHead,
    /// The feed's revision, so that a page commit need not read the feed.
    pub(super) revision: u64,
    /// Ledger leaves up to this id have been looked at for what is to be forgotten.
    pub(super) swept: Vec<u8>,
}

impl Head {
    pub(super) fn encode(&self) -> Value {
        let mut row = Writer::new(FORMAT);
        row.u64(self.log.start);
        row.u64(self.log.end);
        row.u64(self.log.bytes);
        row.u64(self.revision);
        row.raw(&self.swept);
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut row = Reader::new(WHAT, FORMAT, row)?;
        let log = LogHead { start: row.u64()?, end: row.u64()?, bytes: row.u64()? };
        Ok(Head { log, revision: row.u64()?, swept: row.rest().to_vec() })
    }
}

/// Where a feed's row stands.
pub(super) fn place(feed: FeedId) -> Place {
    (Tree::LogHeads, feed.as_bytes().to_vec())
}

/// The row of a feed.
pub(super) fn head(read: &dyn Read, feed: FeedId) -> Result<Option<Head>, StoreError> {
    read.get(Tree::LogHeads, feed.as_bytes())?.map(|row| Head::decode(&row)).transpose()
}

/// Sets it.
pub(super) fn keep(txn: &mut Txn<'_>, feed: FeedId, head: &Head) {
    txn.put(Tree::LogHeads, feed.as_bytes(), head.encode());
}
