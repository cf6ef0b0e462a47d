//! What a poll run writes: its pages, and its end.

use super::calls::{self, Fold, Scope};
use super::engine::{Place, Read, Tree};
use super::head::{self, Head};
use super::marks::Marks;
use super::txn::Txn;
use super::{endings, feeds, health, insights, leases, ledger, log, marks, progress};
use crate::ids::FeedId;
use crate::log::EncodedPage;
use crate::store::{Contact, FeedHealth, Fence, PageCommit, PageCommitted, RunFinish, StoreError};
use chrono::{DateTime, Utc};

/// Keeps one page of a run. This is the hottest unit of all: a lease, a head, a progress, a leaf and the page.
pub(super) fn commit_page(txn: &mut Txn<'_>, commit: &PageCommit) -> Result<PageCommitted, StoreError> {
    let mut head = open(txn, commit.fence, commit.feed, commit.feed_revision, commit.expected_end)?;
    let before = head.clone();
    progress::keep(txn, commit.feed, &commit.parent, &commit.progress)?;
    if let Some(forget_before_ms) = commit.forget_before_ms {
        head.swept = ledger::sweep(txn, commit.feed, &head.swept, forget_before_ms)?;
    }
    ledger::set(txn, commit.feed, &commit.ledger, commit.forget_before_ms)?;
    close(txn, commit.feed, &before, &mut head, &commit.pages)?;
    Ok(PageCommitted { end: head.log.end })
}

/// The feed's head, if it is as a run has seen it.
pub(super) fn open(
    txn: &Txn<'_>,
    fence: Fence,
    feed: FeedId,
    revision: u64,
    expected_end: u64,
) -> Result<Head, StoreError> {
    txn.expect(&|| vec![leases::place(fence), head::place(feed)])?;
    leases::check(txn, fence)?;
    let head = head::head(txn, feed)?.ok_or(StoreError::Missing(feeds::WHAT))?;
    if head.revision != revision {
        return Err(StoreError::Conflict("feed's revision"));
    }
    if head.log.end != expected_end {
        return Err(StoreError::Conflict("log"));
    }
    Ok(head)
}

/// Adds pages to the log, and keeps the head where it has changed.
pub(super) fn close(
    txn: &mut Txn<'_>,
    feed: FeedId,
    before: &Head,
    head: &mut Head,
    pages: &[EncodedPage],
) -> Result<(), StoreError> {
    log::append(txn, feed, head, pages)?;
    if head != before {
        head::keep(txn, feed, head);
    }
    Ok(())
}

/// Ends a run.
pub(super) fn finish(txn: &mut Txn<'_>, mut finish: RunFinish) -> Result<(), StoreError> {
    txn.expect(&|| places(&finish))?;
    leases::check(txn, finish.fence)?;
    let mut marks = marks::marks(txn, finish.feed)?.ok_or(StoreError::Missing(feeds::WHAT))?;
    let is_overtaken = overtaken(txn, &marks, &mut finish)?;
    feeds::keep_state(txn, finish.feed, &finish.state)?;
    let due_before = marks.due;
    marks.due = next_due(&marks, &finish);
    marks::keep(txn, finish.feed, due_before, &marks);
    if let Some(call) = &finish.call {
        endings::tell_run(txn, call, &finish.state, finish.contact.as_ref())?;
    }
    if let Some(contact) = finish.contact.filter(|_| !is_overtaken) {
        let at = finish.state.checked_at.or(finish.due_at).unwrap_or(DateTime::UNIX_EPOCH);
        health::note_contact(txn, finish.feed, contact, at)?;
    }
    if let Some(call) = finish.call {
        insights::count(txn, &call)?;
        calls::record(txn, Scope::feed(finish.feed), call, Fold::EmptyRuns)?;
    }
    Ok(())
}

fn places(finish: &RunFinish) -> Vec<Place> {
    let state = (Tree::FeedStates, finish.feed.as_bytes().to_vec());
    let mut places = vec![leases::place(finish.fence), marks::place(finish.feed), state];
    if let Some(call) = &finish.call {
        places.push((Tree::Listeners, call.workspace_id.as_bytes().to_vec()));
        places.extend(insights::places(call));
        places.push(calls::place(Scope::feed(finish.feed)));
    }
    places
}

/// True where a run's credentials were refused while someone asked for another run, as new credentials do: what is known
/// of the feed's health stays until that one tells.
fn overtaken(read: &dyn Read, marks: &Marks, finish: &mut RunFinish) -> Result<bool, StoreError> {
    let is_refused = matches!(finish.contact, Some(Contact::Refused { .. }));
    let is_overtaken = is_refused && marks.pings > finish.state.pings_done;
    if is_overtaken {
        finish.state.health = feeds::state(read, finish.feed)?.unwrap_or_default().health;
    }
    Ok(is_overtaken)
}

/// When the feed is due after a run: as the run says, or at once where something happened meanwhile.
fn next_due(marks: &Marks, finish: &RunFinish) -> Option<DateTime<Utc>> {
    if !marks.is_polled() {
        return None;
    }
    let is_pinged = marks.pings > finish.state.pings_done;
    // The run saw no active webhook, but there is one by now.
    let is_awake = finish.due_at.is_none() && finish.state.health == FeedHealth::Healthy;
    if is_pinged || is_awake {
        let now = finish.state.checked_at.or(finish.due_at).or(marks.due);
        return Some(now.unwrap_or(DateTime::UNIX_EPOCH));
    }
    finish.due_at
}
