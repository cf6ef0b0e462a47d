//! How far a feed, or one of its parents, has read.

use super::engine::{Place, Read, Tree, Value};
use super::keys::under;
use super::rows::{Reader, Writer, damaged, open};
use super::txn::Txn;
use crate::ids::FeedId;
use crate::store::{Progress, StoreError};

pub(super) const WHAT: &str = "progress";
/// 1 had no `created_from`.
pub(super) const FORMAT: u8 = 2;

pub(super) fn encode(progress: &Progress) -> Result<Value, StoreError> {
    let mut row = Writer::new(FORMAT);
    row.option(progress.watermark, Writer::time);
    row.option(progress.server_time, Writer::time);
    row.option(progress.cursor.as_deref(), Writer::text);
    // A walk's own state: its fields are the walk's business, so that it stands as JSON.
    let checkpoint = progress.checkpoint.as_ref().map(serde_json::to_string).transpose();
    let checkpoint = checkpoint.map_err(|error| StoreError::Unreadable(format!("no checkpoint: {error}")))?;
    row.option(checkpoint.as_deref(), Writer::text);
    row.option(progress.etag.as_deref(), Writer::text);
    row.option(progress.created_from, Writer::time);
    Ok(row.finish())
}

pub(super) fn decode(row: &[u8]) -> Result<Progress, StoreError> {
    let (format, _) = open(WHAT, FORMAT, row)?;
    let mut row = Reader::new(WHAT, FORMAT, row)?;
    Ok(Progress {
        watermark: row.option(Reader::time)?,
        server_time: row.option(Reader::time)?,
        cursor: row.option(Reader::text)?,
        checkpoint: row
            .option(Reader::text)?
            .map(|json| serde_json::from_str(&json).map_err(|_| damaged(WHAT)))
            .transpose()?,
        etag: row.option(Reader::text)?,
        created_from: if format > 1 { row.option(Reader::time)? } else { None },
    })
}

/// Where a parent's row stands.
pub(super) fn place(feed: FeedId, parent: &str) -> Place {
    (Tree::Progress, under(feed.as_bytes(), parent.as_bytes()))
}

/// The row of a parent.
pub(super) fn progress(read: &dyn Read, feed: FeedId, parent: &str) -> Result<Option<Progress>, StoreError> {
    read.get(Tree::Progress, &under(feed.as_bytes(), parent.as_bytes()))?.map(|row| decode(&row)).transpose()
}

/// Sets it.
pub(super) fn keep(txn: &mut Txn<'_>, feed: FeedId, parent: &str, progress: &Progress) -> Result<(), StoreError> {
    txn.put(Tree::Progress, under(feed.as_bytes(), parent.as_bytes()), encode(progress)?);
    Ok(())
}
