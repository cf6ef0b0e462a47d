//! Webhooks that fall behind their log: marks of what they missed, deletions kept for them, and the way back.

use super::calls::{self, Fold, Scope};
use super::engine::{Read, Scan, Span, Tree};
use super::keys::under;
use super::rows::{from_json, save};
use super::txn::Txn;
use super::{delivery_row, head, leases, listings, webhooks};
use crate::ids::{FeedId, WebhookId};
use crate::store::{CatchUp, JobMode, KeptDeletion, Missed, Position, StoreError, Stream, Trim};

const WHAT: &str = "kept deletion";
/// Kept deletions that nobody needs any more which one trim removes.
const REMOVED_MAX: usize = 1_000;

/// Keeps what a trim up to `until` takes from webhooks that have not read it.
pub(super) fn remember(txn: &mut Txn<'_>, trim: Trim, until: u64) -> Result<(), StoreError> {
    let webhooks = webhooks::all_of_feed(txn, trim.feed)?;
    let mut is_behind = false;
    for webhook in &webhooks {
        let Some(mut delivery) = delivery_row::delivery(txn, webhook.id)? else { continue };
        let sequence = delivery.state.position.sequence;
        if sequence < until {
            let unknown = Missed { since: None, sequence, pages: until - sequence, lost_deletions: true };
            let named = trim.missed.iter().find(|(id, _)| *id == webhook.id);
            let missed = named.map_or(unknown, |(_, missed)| *missed);
            let due_before = delivery.due();
            delivery.state.missed = Some(delivery.state.missed.map_or(missed, |before| before.and(missed)));
            delivery_row::keep(txn, webhook.id, due_before, &delivery);
        }
        is_behind |= delivery.state.missed.is_some() || delivery.state.listing.is_some();
    }
    if !is_behind {
        return forget_some(txn, trim.feed);
    }
    for id in &trim.returned {
        txn.remove(Tree::Deletions, under(trim.feed.as_bytes(), id.as_bytes()));
    }
    for deletion in &trim.deletions {
        save(txn, Tree::Deletions, &under(trim.feed.as_bytes(), deletion.id.as_bytes()), WHAT, deletion)?;
    }
    match keep_within(txn, &trim)? {
        Some(last) => mark_lost(txn, trim.feed, last),
        None => Ok(()),
    }
}

/// Drops deletions beyond what is to be kept; answers the sequence of the latest of them.
fn keep_within(txn: &mut Txn<'_>, trim: &Trim) -> Result<Option<u64>, StoreError> {
    let mut kept = Vec::new();
    for row in txn.prefix(Tree::Deletions, trim.feed.as_bytes()) {
        let (key, row) = row?;
        let deletion: KeptDeletion = from_json(WHAT, &row)?;
        kept.push((deletion.sequence, deletion.at, key.to_vec()));
    }
    kept.sort_unstable();
    let surplus = kept.len().saturating_sub(trim.keep_max);
    let mut last = None;
    for (number, (sequence, at, key)) in kept.into_iter().enumerate() {
        if number < surplus || at < trim.keep_since {
            txn.remove(Tree::Deletions, key);
            last = Some(sequence);
        }
    }
    Ok(last)
}

/// Webhooks that missed the page with this sequence have lost deletions.
fn mark_lost(txn: &mut Txn<'_>, feed: FeedId, sequence: u64) -> Result<(), StoreError> {
    for webhook in webhooks::all_of_feed(txn, feed)? {
        let Some(mut delivery) = delivery_row::delivery(txn, webhook.id)? else { continue };
        let due_before = delivery.due();
        let missed = delivery.state.missed.as_mut();
        if let Some(missed) = missed.filter(|missed| missed.sequence <= sequence && !missed.lost_deletions) {
            missed.lost_deletions = true;
            delivery_row::keep(txn, webhook.id, due_before, &delivery);
        }
    }
    Ok(())
}

fn forget_some(txn: &mut Txn<'_>, feed: FeedId) -> Result<(), StoreError> {
    let keys = txn.prefix(Tree::Deletions, feed.as_bytes()).take(REMOVED_MAX).map(|row| row.map(|(key, _)| key));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    keys.into_iter().for_each(|key| txn.remove(Tree::Deletions, &*key));
    Ok(())
}

/// A feed's kept deletions in the order of their ids, after `after`.
pub(super) fn kept(
    read: &dyn Read,
    feed: FeedId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<KeptDeletion>, StoreError> {
    let span = Span::after(feed.as_bytes(), after.map(str::as_bytes));
    read.range(Tree::Deletions, span, Scan::Up).take(limit).map(|row| from_json(WHAT, &row?.1)).collect()
}

/// False for a webhook that has read on though its pages were trimmed: they were still at hand. What a destination has
/// missed is never at hand again; it is told of ([`super::destinations::tell_missed`]).
pub(super) fn is_behind(read: &dyn Read, id: WebhookId, position: Position) -> Result<bool, StoreError> {
    let Some(webhook) = webhooks::webhook(read, id)? else { return Ok(true) };
    Ok(head::head(read, webhook.feed_id)?.is_some_and(|head| position.sequence < head.log.start))
}

/// Makes a listing job of what a webhook missed.
pub(super) fn begin(txn: &mut Txn<'_>, catch_up: CatchUp) -> Result<(), StoreError> {
    let CatchUp { fence, mut job, resume_at, skipped, call } = catch_up;
    leases::check(txn, fence)?;
    let mut delivery = delivery_row::delivery(txn, job.webhook_id)?.ok_or(StoreError::Missing(webhooks::WHAT))?;
    let log = head::head(txn, job.feed_id)?.ok_or(StoreError::Missing("feed"))?.log;
    let due_before = delivery.due();
    let state = &mut delivery.state;
    let sequence = state.position.sequence;
    if sequence >= log.start || job.mode != JobMode::CatchUp {
        return Err(StoreError::Conflict("position"));
    }
    if state.listing.is_some() {
        return Err(StoreError::Exists("open listing job"));
    }
    // A log that an older build has trimmed left no mark.
    let unknown = Missed { since: None, sequence, pages: log.start - sequence, lost_deletions: true };
    let missed = state.missed.take().unwrap_or(unknown);
    let missed = skipped.map_or(missed, |skipped| missed.and(skipped));
    (job.updated_gte, job.missed) = (missed.since, Some(missed));
    state.listing = Some(job.id);
    state.position = Position { sequence: resume_at.clamp(log.start, log.end), offset: 0 };
    state.retry.take_if(|retry| retry.stream == Stream::Live);
    delivery_row::keep(txn, job.webhook_id, due_before, &delivery);
    calls::record(txn, Scope::webhook(job.webhook_id), call, Fold::Nothing)?;
    listings::add(txn, &job)
}
