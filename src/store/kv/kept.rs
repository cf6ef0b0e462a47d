//! Pages that are kept before a log's beginning, so that they can be sent again.

use super::engine::{Read, Scan, Span, Tree};
use super::keys::FromKey;
use super::rows::{damaged, from_json, load, save};
use super::txn::Txn;
use super::{head, pages};
use crate::ids::FeedId;
use crate::store::{Keep, Kept, LogHead, StoreError, TRIM_PAGES_MAX};
use chrono::{DateTime, Utc};

const WHAT: &str = "kept pages";
/// Pages that one call drops: as many as leave the log in one, and as many again.
const DROPPED_MAX: u64 = 2 * TRIM_PAGES_MAX;

/// What is kept of a feed whose log is this.
pub(super) fn kept(read: &dyn Read, feed: FeedId, log: &LogHead, now: DateTime<Utc>) -> Result<Kept, StoreError> {
    let row = load(read, Tree::Kept, feed.as_bytes(), WHAT)?;
    Ok(row.unwrap_or_else(|| Kept::unknown(log.start, now)))
}

/// A page of the log, or one that is kept before it.
pub(super) fn page(read: &dyn Read, feed: FeedId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(head) = head::head(read, feed)? else { return Ok(None) };
    let kept: Option<Kept> = load(read, Tree::Kept, feed.as_bytes(), WHAT)?;
    let oldest = kept.map_or(head.log.start, |kept| kept.oldest);
    match (oldest..head.log.end).contains(&sequence) {
        true => pages::get(read, Tree::LogPages, feed.as_bytes(), sequence),
        false => Ok(None),
    }
}

/// Pages before `until` leave the log: they are kept, and what is beyond the bounds goes. Answers the bytes that left.
pub(super) fn leave(
    txn: &mut Txn<'_>,
    feed: FeedId,
    log: &LogHead,
    until: u64,
    keep: &Keep,
) -> Result<u64, StoreError> {
    let mut kept = kept(txn, feed, log, keep.at)?;
    let mut left = 0;
    for sequence in log.start..until {
        left += pages::bytes(txn, Tree::LogPages, feed.as_bytes(), sequence)?;
    }
    kept.bytes += left;
    if until > log.start {
        kept.left(until, keep);
    }
    drop_surplus(txn, feed, &mut kept, until.max(log.start), keep)?;
    save(txn, Tree::Kept, feed.as_bytes(), WHAT, &kept)?;
    Ok(left)
}

fn drop_surplus(txn: &mut Txn<'_>, feed: FeedId, kept: &mut Kept, start: u64, keep: &Keep) -> Result<bool, StoreError> {
    let before = kept.oldest;
    while kept.oldest < start && kept.oldest - before < DROPPED_MAX && kept.has_surplus(keep) {
        let bytes = pages::remove(txn, Tree::LogPages, feed.as_bytes(), kept.oldest)?;
        kept.dropped(bytes);
    }
    Ok(kept.oldest > before)
}

/// Those of some feeds, in the order of their ids, that keep more than is to be kept; and the last that was looked at,
/// where there may be more.
pub(super) fn surplus(
    read: &dyn Read,
    after: Option<FeedId>,
    keep: &Keep,
    feeds_max: usize,
) -> Result<(Vec<FeedId>, Option<FeedId>), StoreError> {
    let span = Span::after(&[], after.as_ref().map(|feed| &feed.as_bytes()[..]));
    let (mut found, mut last, mut count) = (Vec::new(), None, 0);
    for row in read.range(Tree::Kept, span, Scan::Up).take(feeds_max) {
        let (key, row) = row?;
        let feed = FeedId::from_key(&key).ok_or_else(|| damaged(WHAT))?;
        if from_json::<Kept>(WHAT, &row)?.has_surplus(keep) {
            found.push(feed);
        }
        (last, count) = (Some(feed), count + 1);
    }
    Ok((found, last.filter(|_| count == feeds_max)))
}

/// Drops what a feed keeps beyond the bounds.
pub(super) fn forget(txn: &mut Txn<'_>, feed: FeedId, keep: &Keep) -> Result<(), StoreError> {
    let Some(head) = head::head(txn, feed)? else { return Ok(()) };
    let Some(mut kept) = load::<Kept>(txn, Tree::Kept, feed.as_bytes(), WHAT)? else { return Ok(()) };
    if drop_surplus(txn, feed, &mut kept, head.log.start, keep)? {
        save(txn, Tree::Kept, feed.as_bytes(), WHAT, &kept)?;
    }
    Ok(())
}
