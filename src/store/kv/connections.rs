//! Connections.

use super::calls::{self, Scope};
use super::engine::{Read, Tree};
use super::keys::{Grave, Index};
use super::lists::{self, SortKey};
use super::rows::{Reader, Writer, load, save};
use super::txn::Txn;
use super::webhooks::all_of_feed;
use super::{Domain, Pace, Units, deliveries, feeds, notifications, subscriptions};
use crate::ids::{ConnectionId, WebhookId, WorkspaceId};
use crate::store::{Connection, ConnectionQuery, Connections, FeedHealth, NotificationEvent, StoreError, Wake};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub(super) const WHAT: &str = "connection";
const COUNT: &str = "count of connections";
const COUNT_FORMAT: u8 = 1;

/// The connection of this id.
pub(super) fn connection(read: &dyn Read, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    load(read, Tree::Connections, id.as_bytes(), WHAT)
}

/// Sets a connection.
pub(super) fn keep(txn: &mut Txn<'_>, connection: &Connection) -> Result<(), StoreError> {
    txn.wake(Wake::ConnectionChanged(connection.id));
    keep_quietly(txn, connection)
}

/// Sets a connection of which nothing changed that anyone waits for.
pub(super) fn keep_quietly(txn: &mut Txn<'_>, connection: &Connection) -> Result<(), StoreError> {
    save(txn, Tree::Connections, connection.id.as_bytes(), WHAT, connection)
}

fn index_key(connection: &Connection) -> Vec<u8> {
    Index::ConnectionOfWorkspace.key(&[connection.workspace_id.as_bytes(), connection.id.as_bytes()])
}

/// How many connections a workspace has: a row of its own, since going through them all for each new one would take ever
/// longer. Where it is missing they are counted.
fn count(read: &dyn Read, workspace: WorkspaceId) -> Result<u64, StoreError> {
    match read.get(Tree::Index, &Index::ConnectionCount.key(&[workspace.as_bytes()]))? {
        Some(row) => Reader::new(COUNT, COUNT_FORMAT, &row)?.u64(),
        None => read.prefix(Tree::Index, &Index::ConnectionOfWorkspace.key(&[workspace.as_bytes()])).try_fold(
            0,
            |count, row| {
                row?;
                Ok(count + 1)
            },
        ),
    }
}

/// Counts a connection that comes or goes, before its index row does. Units of all shards write there.
fn recount(txn: &mut Txn<'_>, workspace: WorkspaceId, change: impl Fn(u64) -> u64) -> Result<(), StoreError> {
    txn.lock(&[Domain::Workspace(workspace)])?;
    let mut row = Writer::new(COUNT_FORMAT);
    row.u64(change(count(txn, workspace)?));
    txn.put(Tree::Index, Index::ConnectionCount.key(&[workspace.as_bytes()]), row.finish());
    Ok(())
}

fn insert(txn: &mut Txn<'_>, new: &Connection) -> Result<(), StoreError> {
    if txn.has(Tree::Connections, new.id.as_bytes())? {
        return Err(StoreError::Exists(WHAT));
    }
    recount(txn, new.workspace_id, |count| count + 1)?;
    txn.put(Tree::Index, index_key(new), &[]);
    keep(txn, new)?;
    tell(txn, new, NotificationEvent::ConnectionCreated, new.created_at, "the connection was made")
}

fn tell(
    txn: &mut Txn<'_>,
    connection: &Connection,
    event: NotificationEvent,
    at: DateTime<Utc>,
    description: &str,
) -> Result<(), StoreError> {
    notifications::write(txn, notifications::of_connection(connection, event, at, description))
}

/// Tells what a person has changed; what the engine writes by itself leaves `updated_at`.
fn tell_change(txn: &mut Txn<'_>, old: &Connection, new: &Connection) -> Result<(), StoreError> {
    let at = new.updated_at;
    match (old.is_paused, new.is_paused) {
        (false, true) => tell(txn, new, NotificationEvent::ConnectionPaused, at, "the connection was paused")?,
        (true, false) => tell(txn, new, NotificationEvent::ConnectionUnpaused, at, "the connection's pause has ended")?,
        _ => {}
    }
    let (is_paused, revision) = (new.is_paused, new.revision);
    let is_otherwise_same = *new == Connection { is_paused, revision, updated_at: at, ..old.clone() };
    if old.updated_at == at || is_otherwise_same {
        return Ok(());
    }
    let is_auth = old.auth_revision != new.auth_revision;
    let description = if is_auth { "the connection has new credentials" } else { "the connection was changed" };
    tell(txn, new, NotificationEvent::ConnectionUpdated, at, description)
}

fn replace(txn: &mut Txn<'_>, new: Connection) -> Result<Connection, StoreError> {
    let old = connection(txn, new.id)?.ok_or(StoreError::Missing(WHAT))?;
    if old.revision != new.revision {
        return Err(StoreError::Conflict(WHAT));
    }
    // A token that the engine renewed by itself is no reason to ask again: a vendor that refuses it all the same would
    // be asked without end.
    let is_given = old.auth_revision != new.auth_revision && old.updated_at != new.updated_at;
    let new = Connection {
        workspace_id: old.workspace_id,
        auth_given_at: if is_given { Some(new.updated_at) } else { old.auth_given_at },
        created_at: old.created_at,
        bucket: old.bucket.clone(),
        shard: old.shard,
        revision: old.revision + 1,
        ..new
    };
    keep(txn, &new)?;
    tell_change(txn, &old, &new)?;
    if old.is_paused != new.is_paused {
        pause_feeds(txn, &new)?;
    }
    if is_given {
        try_feeds(txn, &new)?;
    }
    Ok(new)
}

/// Feeds and retries of a paused connection are not due until the pause ends.
fn pause_feeds(txn: &mut Txn<'_>, connection: &Connection) -> Result<(), StoreError> {
    for feed in feeds::of_connection(txn, connection.id, usize::MAX)? {
        feeds::hold(txn, feed, connection.is_paused, connection.updated_at)?;
        for webhook in all_of_feed(txn, feed)? {
            deliveries::rest(txn, webhook.id, webhook.is_paused || connection.is_paused)?;
        }
    }
    Ok(())
}

/// New credentials have come: what rested for want of them is tried again. The ping makes a run that is under way with
/// the old ones be followed by another, whatever comes of it.
fn try_feeds(txn: &mut Txn<'_>, connection: &Connection) -> Result<(), StoreError> {
    for feed in feeds::of_connection(txn, connection.id, usize::MAX)? {
        feeds::ping(txn, feed, connection.updated_at)?;
        let state = feeds::state(txn, feed)?;
        if state.is_some_and(|state| matches!(state.health, FeedHealth::Unhealthy { is_credential: true, .. })) {
            feeds::retry(txn, feed)?;
        }
    }
    Ok(())
}

fn delete(txn: &mut Txn<'_>, id: ConnectionId, now: DateTime<Utc>) -> Result<Vec<WebhookId>, StoreError> {
    let old = connection(txn, id)?.ok_or(StoreError::Missing(WHAT))?;
    let mut deleted = Vec::new();
    for feed in feeds::of_connection(txn, id, usize::MAX)? {
        for webhook in all_of_feed(txn, feed)? {
            subscriptions::remove(txn, &webhook, now)?;
            deleted.push(webhook.id);
        }
        if let Some(feed) = feeds::feed(txn, feed)? {
            feeds::delete(txn, &feed)?;
        }
    }
    recount(txn, old.workspace_id, |count| count.saturating_sub(1))?;
    txn.remove(Tree::Index, index_key(&old));
    txn.remove(Tree::Connections, id.as_bytes());
    calls::forget(txn, Scope::connection(id));
    txn.put(Tree::Graves, Grave::Arrivals.key(id.as_bytes()), Vec::new());
    txn.put(Tree::Graves, Grave::Insights.key(id.as_bytes()), Vec::new());
    txn.wake(Wake::ConnectionChanged(id));
    tell(txn, &old, NotificationEvent::ConnectionDeleted, now, "the connection was deleted with its webhooks")?;
    Ok(deleted)
}

fn matches(query: &ConnectionQuery, connection: &Connection) -> bool {
    let has_category = |wanted: &String| connection.categories.contains(wanted);
    (query.categories.is_empty() || query.categories.iter().any(has_category))
        && query.environment.as_ref().is_none_or(|wanted| *wanted == connection.environment)
        && query.external_xref.as_ref().is_none_or(|wanted| connection.external_xref.as_ref() == Some(wanted))
        && query.updated_gte.is_none_or(|since| connection.updated_at >= since)
}

fn list(read: &dyn Read, workspace: WorkspaceId, query: &ConnectionQuery) -> Result<Vec<Connection>, StoreError> {
    let ids: Vec<ConnectionId> =
        lists::ids(read, &Index::ConnectionOfWorkspace.key(&[workspace.as_bytes()]), None, usize::MAX)?;
    let mut found = Vec::new();
    for id in ids {
        let Some(row) = connection(read, id)?.filter(|row| matches(query, row)) else { continue };
        let name = || (row.integration.clone(), row.profile.name.clone().unwrap_or_default());
        found.push((SortKey::of(query.page.sort, name, row.created_at, row.updated_at), id));
    }
    let part = lists::part(found, &query.page);
    part.into_iter().filter_map(|id| connection(read, id).transpose()).collect()
}

#[async_trait]
impl<U: Units> Connections for U {
    async fn insert_connection(&self, connection: Connection) -> Result<(), StoreError> {
        self.write(Domain::Shard(connection.shard), Pace::Now, move |txn| insert(txn, &connection)).await
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.read(|read| connection(read, id)).await
    }

    async fn connections(
        &self,
        workspace: WorkspaceId,
        query: &ConnectionQuery,
    ) -> Result<Vec<Connection>, StoreError> {
        self.read(|read| list(read, workspace, query)).await
    }

    async fn count_connections(&self, workspace: WorkspaceId) -> Result<u64, StoreError> {
        self.read(|read| count(read, workspace)).await
    }

    async fn replace_connection(&self, connection: Connection) -> Result<Connection, StoreError> {
        self.write(Domain::Connection(connection.id), Pace::Now, move |txn| replace(txn, connection.clone())).await
    }

    async fn delete_connection(&self, id: ConnectionId, now: DateTime<Utc>) -> Result<Vec<WebhookId>, StoreError> {
        self.write(Domain::Connection(id), Pace::Now, move |txn| delete(txn, id, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::StoreLimits;
    use crate::store::kv::engine::MemoryEngine;

    #[test]
    fn connections_of_a_store_that_had_no_count_are_counted() {
        let (engine, limits) = (MemoryEngine::default(), StoreLimits::default());
        let mut txn = Txn::new(&engine, &limits);
        let workspace = WorkspaceId::from_bytes([1; 12]);
        for number in 0..3 {
            txn.put(Tree::Index, Index::ConnectionOfWorkspace.key(&[workspace.as_bytes(), &[number; 12]]), &[]);
        }
        assert_eq!(count(&txn, workspace), Ok(3));
        recount(&mut txn, workspace, |count| count + 1).unwrap();
        assert_eq!(count(&txn, workspace), Ok(4));
        recount(&mut txn, workspace, |count| count.saturating_sub(1)).unwrap();
        assert_eq!(count(&txn, workspace), Ok(3));
    }
}
