//! Feeds: made, changed and deleted with their webhooks, and asked about.

use super::engine::{Read, Tree};
use super::head::{self, Head};
use super::keys::{self, DueKind, FromKey, Grave, Index};
use super::lists::{self, Due};
use super::marks::{self, Marks};
use super::rows::{damaged, load, save};
use super::txn::Txn;
use super::{Domain, Pace, Units, calls, cleaning, connections, health, ledger, progress, runs};
use crate::ids::{ConnectionId, FeedId};
use crate::store::{
    DueFeed, Feed, FeedHealth, FeedSettings, FeedState, Feeds, LedgerEntry, LogHead, PageCommit, PageCommitted,
    PollStart, Progress, RunFinish, ShardId, StoreError,
};
use anyhook_connectors::model::ObjectType;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

pub(super) const WHAT: &str = "feed";

/// The feed of this id.
pub(super) fn feed(read: &dyn Read, id: FeedId) -> Result<Option<Feed>, StoreError> {
    load(read, Tree::Feeds, id.as_bytes(), WHAT)
}

/// How polling goes.
pub(super) fn state(read: &dyn Read, id: FeedId) -> Result<Option<FeedState>, StoreError> {
    load(read, Tree::FeedStates, id.as_bytes(), "feed state")
}

/// Sets how polling goes, and tells of what has turned bad or good.
pub(super) fn keep_state(txn: &mut Txn<'_>, id: FeedId, new: &FeedState) -> Result<(), StoreError> {
    let old = state(txn, id)?.unwrap_or_default();
    health::tell_feed(txn, id, &old, new)?;
    save(txn, Tree::FeedStates, id.as_bytes(), "feed state", new)
}

/// The ids of a connection's feeds, in their order.
pub(super) fn of_connection(
    read: &dyn Read,
    connection: ConnectionId,
    limit: usize,
) -> Result<Vec<FeedId>, StoreError> {
    lists::ids(read, &Index::FeedOfConnection.key(&[connection.as_bytes()]), None, limit)
}

/// The feed of this connection, object type and set of filters.
pub(super) fn find(
    read: &dyn Read,
    connection: ConnectionId,
    object_type: ObjectType,
    filters: &BTreeMap<String, String>,
) -> Result<Option<Feed>, StoreError> {
    let Some(row) = read.get(Tree::Index, &keys::subject(connection, object_type, filters))? else { return Ok(None) };
    feed(read, FeedId::from_key(&row).ok_or_else(|| damaged("index"))?)
}

/// Adds a feed, due at `now` unless nothing of it is active or its connection is paused.
pub(super) fn insert(txn: &mut Txn<'_>, new: &Feed, is_held: bool, now: DateTime<Utc>) -> Result<(), StoreError> {
    if txn.has(Tree::Feeds, new.id.as_bytes())? {
        return Err(StoreError::Exists(WHAT));
    }
    save(txn, Tree::Feeds, new.id.as_bytes(), WHAT, new)?;
    let subject = keys::subject(new.connection_id, new.object_type, &new.filters);
    txn.put(Tree::Index, subject, new.id.as_bytes());
    txn.put(Tree::Index, Index::FeedOfConnection.key(&[new.connection_id.as_bytes(), new.id.as_bytes()]), &[]);
    head::keep(txn, new.id, &Head { revision: new.revision, ..Head::default() });
    let is_active = new.settings.interval_ms.is_some();
    let mut marks = Marks { shard: new.shard, due: None, pings: 0, is_active, is_held };
    marks.due = marks.is_polled().then_some(now);
    marks::keep(txn, new.id, None, &marks);
    Ok(())
}

/// Deletes a feed. Rows of its log and ledger are left to be cleaned up.
pub(super) fn delete(txn: &mut Txn<'_>, feed: &Feed) -> Result<(), StoreError> {
    let id = feed.id.as_bytes();
    marks::remove(txn, feed.id)?;
    txn.remove(Tree::Feeds, id);
    txn.remove(Tree::FeedStates, id);
    txn.remove(Tree::LogHeads, id);
    txn.remove(Tree::Sweeps, id);
    txn.remove(Tree::Index, keys::subject(feed.connection_id, feed.object_type, &feed.filters));
    txn.remove(Tree::Index, Index::FeedOfConnection.key(&[feed.connection_id.as_bytes(), id]));
    txn.put(Tree::Graves, Grave::Feed.key(id), &[]);
    calls::forget(txn, calls::Scope::feed(feed.id));
    Ok(())
}

/// What two sets of webhooks ask for together.
pub(super) fn joined(a: &FeedSettings, b: &FeedSettings) -> FeedSettings {
    let interval_ms = a.interval_ms.into_iter().chain(b.interval_ms).min();
    let longest_ms = a.longest_ms().into_iter().chain(b.longest_ms()).min();
    FeedSettings {
        interval_ms,
        interval_max_ms: longest_ms.filter(|longest| Some(*longest) > interval_ms),
        keeps_raw: a.keeps_raw || b.keeps_raw,
        tells_created: a.tells_created || b.tells_created,
        tells_deleted: a.tells_deleted || b.tells_deleted,
    }
}

/// Gives a feed the settings that follow from its webhooks. Without a change, nothing happens.
pub(super) fn settle(
    txn: &mut Txn<'_>,
    feed: Feed,
    settings: FeedSettings,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if feed.settings == settings {
        return Ok(());
    }
    let known = (feed.settings.interval_ms, feed.settings.longest_ms());
    let feed = Feed { settings, revision: feed.revision + 1, ..feed };
    save(txn, Tree::Feeds, feed.id.as_bytes(), WHAT, &feed)?;
    let mut head = head::head(txn, feed.id)?.ok_or(StoreError::Missing(WHAT))?;
    head.revision = feed.revision;
    head::keep(txn, feed.id, &head);

    let mut marks = marks::marks(txn, feed.id)?.ok_or(StoreError::Missing(WHAT))?;
    let due_before = marks.due;
    marks.is_active = feed.settings.interval_ms.is_some();
    marks.due = match (known, feed.settings.interval_ms.zip(feed.settings.longest_ms())) {
        _ if !marks.is_polled() => None,
        ((None, _), Some(_)) => Some(now),
        ((Some(known), _), Some((shortest, _))) if shortest < known => sooner(due_before, now, shortest),
        ((_, Some(known)), Some((_, longest))) if longest < known => sooner(due_before, now, longest),
        _ => due_before,
    };
    marks::keep(txn, feed.id, due_before, &marks);
    Ok(())
}

fn sooner(due: Option<DateTime<Utc>>, now: DateTime<Utc>, wait_ms: u64) -> Option<DateTime<Utc>> {
    due.map(|due| due.min(later(now, wait_ms)))
}

fn later(now: DateTime<Utc>, ms: u64) -> DateTime<Utc> {
    let wait = i64::try_from(ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Takes a feed out of polling while its connection is paused, and back.
pub(super) fn hold(txn: &mut Txn<'_>, feed: FeedId, is_held: bool, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut marks = marks::marks(txn, feed)?.ok_or(StoreError::Missing(WHAT))?;
    let due_before = marks.due;
    marks.is_held = is_held;
    marks.due = marks.is_polled().then(|| due_before.map_or(now, |due| due.min(now)));
    marks::keep(txn, feed, due_before, &marks);
    Ok(())
}

/// Takes what does not work for being retried: a person has acted.
pub(super) fn retry(txn: &mut Txn<'_>, id: FeedId) -> Result<(), StoreError> {
    let Some(mut state) = state(txn, id)?.filter(|state| !state.health.is_healthy()) else { return Ok(()) };
    state.health = state.health.retried();
    keep_state(txn, id, &state)
}

/// Counts a vendor's wish for a poll. Where its own refusal of the credentials keeps the feed waiting, that is all: a
/// busy vendor must not have us ask with what it refuses all the time.
pub(super) fn ping_by_vendor(txn: &mut Txn<'_>, feed: FeedId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let is_refused = state(txn, feed)?
        .is_some_and(|state| matches!(state.health, FeedHealth::Unhealthy { is_credential: true, .. }));
    if !is_refused {
        return ping(txn, feed, now).map(|_| ());
    }
    let mut marks = marks::marks(txn, feed)?.ok_or(StoreError::Missing(WHAT))?;
    marks.pings += 1;
    marks::keep(txn, feed, marks.due, &marks);
    Ok(())
}

/// Asks for a poll now, and answers how often that was asked.
pub(super) fn ping(txn: &mut Txn<'_>, feed: FeedId, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut marks = marks::marks(txn, feed)?.ok_or(StoreError::Missing(WHAT))?;
    let due_before = marks.due;
    marks.pings += 1;
    if marks.is_polled() {
        marks.due = Some(due_before.map_or(now, |due| due.min(now)));
        txn.wake(crate::store::Wake::FeedDue(feed));
    }
    marks::keep(txn, feed, due_before, &marks);
    Ok(marks.pings)
}

fn poll_start(read: &dyn Read, id: FeedId) -> Result<Option<PollStart>, StoreError> {
    let trees = [Tree::Feeds, Tree::FeedStates, Tree::FeedMarks, Tree::LogHeads];
    read.expect(&|| trees.iter().map(|tree| (*tree, id.as_bytes().to_vec())).collect())?;
    let Some(feed) = feed(read, id)? else { return Ok(None) };
    let Some(connection) = connections::connection(read, feed.connection_id)? else { return Ok(None) };
    let state = state(read, id)?.unwrap_or_default();
    let pings = marks::marks(read, id)?.map_or(0, |marks| marks.pings);
    let log = head::head(read, id)?.unwrap_or_default().log;
    Ok(Some(PollStart { feed, connection, state, pings, log }))
}

fn stand(read: &dyn Read, feed: FeedId, parent: &str) -> Result<(Progress, LogHead), StoreError> {
    read.expect(&|| vec![head::place(feed), progress::place(feed, parent)])?;
    let Some(head) = head::head(read, feed)? else { return Ok(Default::default()) };
    Ok((progress::progress(read, feed, parent)?.unwrap_or_default(), head.log))
}

fn due(read: &dyn Read, shards: &[ShardId], until: DateTime<Utc>, limit: usize) -> Result<Vec<DueFeed>, StoreError> {
    let due = lists::due(read, DueKind::Poll, shards, until, limit)?.into_iter();
    Ok(due.map(|Due { at, shard, id }| DueFeed { feed: FeedId::from_bytes(id), shard, due_at: at }).collect())
}

#[async_trait]
impl<U: Units> Feeds for U {
    async fn feed(&self, id: FeedId) -> Result<Option<Feed>, StoreError> {
        self.read(|read| feed(read, id)).await
    }

    async fn feeds_of_connection(&self, connection: ConnectionId, limit: usize) -> Result<Vec<Feed>, StoreError> {
        self.read(|read| {
            let ids = of_connection(read, connection, limit)?;
            ids.into_iter().filter_map(|id| feed(read, id).transpose()).collect()
        })
        .await
    }

    async fn feed_state(&self, id: FeedId) -> Result<FeedState, StoreError> {
        self.read(|read| Ok(state(read, id)?.unwrap_or_default())).await
    }

    async fn feed_states(&self, ids: &[FeedId]) -> Result<Vec<FeedState>, StoreError> {
        self.read(|read| {
            read.expect(&|| ids.iter().map(|id| (Tree::FeedStates, id.as_bytes().to_vec())).collect())?;
            ids.iter().map(|id| Ok(state(read, *id)?.unwrap_or_default())).collect()
        })
        .await
    }

    async fn poll_start(&self, feed: FeedId) -> Result<Option<PollStart>, StoreError> {
        self.read(|read| poll_start(read, feed)).await
    }

    async fn stand(&self, feed: FeedId, parent: &str) -> Result<(Progress, LogHead), StoreError> {
        self.read(|read| stand(read, feed, parent)).await
    }

    async fn progress(&self, feed: FeedId, parent: &str) -> Result<Progress, StoreError> {
        self.read(|read| Ok(stand(read, feed, parent)?.0)).await
    }

    async fn feed_due(&self, id: FeedId) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read(|read| Ok(marks::marks(read, id)?.and_then(|marks| marks.due))).await
    }

    async fn due_feeds(
        &self,
        shards: &[ShardId],
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueFeed>, StoreError> {
        self.read(|read| due(read, shards, until, limit)).await
    }

    async fn ping_feed(&self, feed: FeedId, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.write(Domain::Feed(feed), Pace::Now, move |txn| ping(txn, feed, now)).await
    }

    async fn pings(&self, feed: FeedId) -> Result<u64, StoreError> {
        self.read(|read| Ok(marks::marks(read, feed)?.map_or(0, |marks| marks.pings))).await
    }

    async fn ledger(&self, feed: FeedId, ids: &[&str]) -> Result<Vec<Option<LedgerEntry>>, StoreError> {
        self.read(|read| match head::head(read, feed)? {
            Some(_) => ledger::look_up(read, feed, ids),
            None => Ok(vec![None; ids.len()]),
        })
        .await
    }

    async fn commit_page(&self, commit: PageCommit) -> Result<PageCommitted, StoreError> {
        self.write(Domain::Shard(commit.fence.shard), Pace::Page, move |txn| runs::commit_page(txn, &commit)).await
    }

    async fn finish_run(&self, finish: RunFinish) -> Result<(), StoreError> {
        self.write(Domain::Shard(finish.fence.shard), Pace::Page, move |txn| runs::finish(txn, finish.clone())).await
    }

    async fn clean_up(&self, rows_max: usize) -> Result<bool, StoreError> {
        self.tidy().await?;
        self.write(Domain::Store, Pace::Page, move |txn| cleaning::clean_up(txn, rows_max)).await
    }
}
