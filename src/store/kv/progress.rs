//! How far a feed, or one of its parents, has read.

use super::engine::{Read, Tree, Value};
use super::keys::under;
use super::rows::{Reader, Writer};
use super::txn::Txn;
use crate::ids::FeedId;
use crate::store::{Progress, StoreError};
use anyhook_connectors::walk::Checkpoint;

pub(super) const WHAT: &str = "progress";
pub(super) const FORMAT: u8 = 1;

pub(super) fn encode(progress: &Progress) -> Value {
    let mut row = Writer::new(FORMAT);
    row.option(progress.watermark, Writer::time);
    row.option(progress.server_time, Writer::time);
    row.option(progress.cursor.as_deref(), Writer::text);
    row.option(progress.checkpoint.as_ref(), |row, checkpoint| {
        row.option(checkpoint.from, Writer::time);
        row.u64(checkpoint.offset);
        row.option(checkpoint.token.as_deref(), Writer::text);
    });
    row.option(progress.etag.as_deref(), Writer::text);
    row.finish()
}

pub(super) fn decode(row: &[u8]) -> Result<Progress, StoreError> {
    let mut row = Reader::new(WHAT, FORMAT, row)?;
    Ok(Progress {
        watermark: row.option(Reader::time)?,
        server_time: row.option(Reader::time)?,
        cursor: row.option(Reader::text)?,
        checkpoint: row.option(|row| {
            Ok(Checkpoint { from: row.option(Reader::time)?, offset: row.u64()?, token: row.option(Reader::text)? })
        })?,
        etag: row.option(Reader::text)?,
    })
}

/// The row of a parent.
pub(super) fn progress(read: &dyn Read, feed: FeedId, parent: &str) -> Result<Option<Progress>, StoreError> {
    read.get(Tree::Progress, &under(feed.as_bytes(), parent.as_bytes()))?.map(|row| decode(&row)).transpose()
}

/// Sets it.
pub(super) fn keep(txn: &mut Txn<'_>, feed: FeedId, parent: &str, progress: &Progress) {
    txn.put(Tree::Progress, under(feed.as_bytes(), parent.as_bytes()), encode(progress));
}
