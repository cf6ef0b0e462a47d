//! Destinations: rows, what each workspace's listen to, and what they have missed.

use super::calls::{self, Fold, Scope};
use super::delivery_row::{self, Delivery};
use super::engine::{Read, Tree};
use super::keys::{self, Index};
use super::lists::{self, SortKey};
use super::rows::{Reader, Writer, load, misread, save};
use super::txn::Txn;
use super::{Domain, Pace, Units, deliveries, notifications, replays, webhooks};
use crate::ids::{DestinationId, WebhookId, WorkspaceId};
use crate::store::destination::is_wanted;
use crate::store::{
    ApiCall, DeliveryState, Destination, Destinations, ListPage, Missed, Notification, NotificationEvent, Position,
    ShardId, StoreError, Subscription, Wake,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub(super) const WHAT: &str = "destination";
const LISTENERS: &str = "listeners";
const LISTENERS_FORMAT: u8 = 1;

/// The destination of this id.
pub(super) fn destination(read: &dyn Read, id: DestinationId) -> Result<Option<Destination>, StoreError> {
    load(read, Tree::Destinations, id.as_bytes(), WHAT)
}

/// The destination that is served as this webhook.
pub(super) fn served_as(read: &dyn Read, id: WebhookId) -> Result<Option<Destination>, StoreError> {
    destination(read, DestinationId::from_bytes(*id.as_bytes()))
}

/// What one destination listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listener {
    pub(super) id: DestinationId,
    pub(super) subscriptions: Vec<Subscription>,
}

impl Listener {
    pub(super) fn wants(&self, told: &Notification) -> bool {
        is_wanted(self.id, &self.subscriptions, told)
    }

    fn has_syncs(&self) -> bool {
        self.subscriptions.iter().any(|subscription| subscription.has(NotificationEvent::SyncCompleted))
    }
}

/// What a workspace's destinations listen to, in one row. There is none where there are no destinations, and its first
/// flag says whether ended polls are of interest at all: both are cheap to ask at the end of each.
pub(super) fn encode_listeners(listeners: &[Listener]) -> Result<super::engine::Value, StoreError> {
    let mut row = Writer::new(LISTENERS_FORMAT);
    row.u8(u8::from(listeners.iter().any(Listener::has_syncs)));
    let json = serde_json::to_vec(listeners);
    row.raw(&json.map_err(|error| StoreError::Unreadable(format!("{LISTENERS} cannot be written: {error}")))?);
    Ok(row.finish())
}

/// The listeners of a row.
pub(super) fn decode_listeners(row: &[u8]) -> Result<Vec<Listener>, StoreError> {
    let mut row = Reader::new(LISTENERS, LISTENERS_FORMAT, row)?;
    row.u8()?;
    serde_json::from_slice(row.rest()).map_err(|error| misread(LISTENERS, &error))
}

/// A workspace's listeners.
pub(super) fn listeners(read: &dyn Read, workspace: WorkspaceId) -> Result<Vec<Listener>, StoreError> {
    let row = read.get(Tree::Listeners, workspace.as_bytes())?;
    row.map_or_else(|| Ok(Vec::new()), |row| decode_listeners(&row))
}

/// Those of them that listen to ended polls, of whatever.
pub(super) fn listeners_to_syncs(read: &dyn Read, workspace: WorkspaceId) -> Result<Vec<Listener>, StoreError> {
    let Some(row) = read.get(Tree::Listeners, workspace.as_bytes())? else { return Ok(Vec::new()) };
    if !Reader::new(LISTENERS, LISTENERS_FORMAT, &row)?.bool()? {
        return Ok(Vec::new());
    }
    let mut listeners = decode_listeners(&row)?;
    listeners.retain(Listener::has_syncs);
    Ok(listeners)
}

fn keep_listeners(txn: &mut Txn<'_>, workspace: WorkspaceId, listeners: &[Listener]) -> Result<(), StoreError> {
    if listeners.is_empty() {
        txn.remove(Tree::Listeners, workspace.as_bytes());
    } else {
        txn.put(Tree::Listeners, workspace.as_bytes(), encode_listeners(listeners)?);
    }
    Ok(())
}

/// Takes a destination out of its workspace's listeners, or puts it there as it is now.
fn listen(txn: &mut Txn<'_>, row: &Destination, is_there: bool) -> Result<(), StoreError> {
    txn.lock(&[Domain::Workspace(row.workspace_id)])?;
    let mut listeners = listeners(txn, row.workspace_id)?;
    listeners.retain(|listener| listener.id != row.id);
    if is_there {
        listeners.push(Listener { id: row.id, subscriptions: row.subscriptions.clone() });
    }
    keep_listeners(txn, row.workspace_id, &listeners)
}

fn index_keys(row: &Destination) -> [Vec<u8>; 2] {
    let id = row.id.as_bytes();
    [
        Index::DestinationOfWorkspace.key(&[row.workspace_id.as_bytes(), id]),
        Index::DestinationOfShard.key(&[&keys::shard(row.shard), id]),
    ]
}

fn keep(txn: &mut Txn<'_>, row: &Destination) -> Result<(), StoreError> {
    listen(txn, row, true)?;
    txn.wake(Wake::WebhookChanged(Destination::served_as(row.id)));
    save(txn, Tree::Destinations, row.id.as_bytes(), WHAT, row)
}

fn insert(txn: &mut Txn<'_>, new: Destination) -> Result<Destination, StoreError> {
    let served_as = Destination::served_as(new.id);
    if destination(txn, new.id)?.is_some() || webhooks::webhook(txn, served_as)?.is_some() {
        return Err(StoreError::Exists(WHAT));
    }
    let new = Destination { shard: Destination::shard_of(new.id), ..new };
    index_keys(&new).into_iter().for_each(|key| txn.put(Tree::Index, key, &[]));
    let sequence = notifications::end(txn, new.workspace_id)?;
    let state = DeliveryState { position: Position { sequence, offset: 0 }, ..DeliveryState::default() };
    delivery_row::keep(txn, served_as, None, &Delivery { shard: new.shard, is_resting: new.is_paused, state });
    keep(txn, &new)?;
    Ok(new)
}

fn replace(txn: &mut Txn<'_>, new: Destination) -> Result<Destination, StoreError> {
    let old = destination(txn, new.id)?.ok_or(StoreError::Missing(WHAT))?;
    if old.revision != new.revision {
        return Err(StoreError::Conflict(WHAT));
    }
    let new = Destination {
        workspace_id: old.workspace_id,
        shard: old.shard,
        created_at: old.created_at,
        revision: old.revision + 1,
        ..new
    };
    keep(txn, &new)?;
    deliveries::rest(txn, Destination::served_as(new.id), new.is_paused)?;
    Ok(new)
}

fn delete(txn: &mut Txn<'_>, id: DestinationId) -> Result<(), StoreError> {
    let old = destination(txn, id)?.ok_or(StoreError::Missing(WHAT))?;
    let served_as = Destination::served_as(id);
    delivery_row::remove(txn, served_as)?;
    replays::remove(txn, served_as)?;
    index_keys(&old).into_iter().for_each(|key| txn.remove(Tree::Index, key));
    txn.remove(Tree::Destinations, id.as_bytes());
    calls::forget(txn, Scope::webhook(served_as));
    txn.wake(Wake::WebhookChanged(served_as));
    listen(txn, &old, false)
}

/// A notification is kept no longer: those that wanted it and have not had it have missed it.
pub(super) fn miss(
    txn: &mut Txn<'_>,
    listeners: &[Listener],
    sequence: u64,
    dropped: &Notification,
) -> Result<(), StoreError> {
    let missing = listeners.iter().filter(|listener| listener.wants(dropped)).collect::<Vec<_>>();
    let shards = missing.iter().map(|listener| Domain::Shard(Destination::shard_of(listener.id)));
    txn.lock(&shards.collect::<Vec<_>>())?;
    for listener in missing {
        let id = Destination::served_as(listener.id);
        let Some(mut delivery) = delivery_row::delivery(txn, id)? else { continue };
        if delivery.state.position.sequence > sequence {
            continue;
        }
        let due_before = delivery.due();
        let missed = Missed { since: Some(dropped.at), sequence, pages: 1, lost_deletions: false };
        delivery.state.missed = Some(delivery.state.missed.map_or(missed, |before| before.and(missed)));
        delivery_row::keep(txn, id, due_before, &delivery);
    }
    Ok(())
}

/// Tells in the audit of what a destination has missed, beside the row of its next attempt.
pub(super) fn tell_missed(
    txn: &mut Txn<'_>,
    id: WebhookId,
    state: &mut DeliveryState,
    call: &ApiCall,
) -> Result<(), StoreError> {
    let Some(missed) = state.missed else { return Ok(()) };
    if served_as(txn, id)?.is_none() {
        return Ok(());
    }
    let since = missed.since.map(|since| format!(", the first one of {}", since.to_rfc3339())).unwrap_or_default();
    let error = format!(
        "{} notifications were dropped before they could be delivered{since}; GET /unified/notification has what is left",
        missed.pages
    );
    let told = ApiCall {
        id: String::new(),
        name: "NOTIFICATION missed".to_owned(),
        status: 0,
        error: Some(error),
        duration_ms: 0,
        size_bytes: 0,
        records: missed.pages,
        requests: 0,
        delivery: None,
        attempt: None,
        ..call.clone()
    };
    state.missed = None;
    calls::record(txn, Scope::webhook(id), told, Fold::Nothing)
}

fn list(read: &dyn Read, workspace: WorkspaceId, page: &ListPage) -> Result<Vec<Destination>, StoreError> {
    let prefix = Index::DestinationOfWorkspace.key(&[workspace.as_bytes()]);
    let mut found = Vec::new();
    for id in lists::ids(read, &prefix, None, usize::MAX)? {
        let Some(row) = destination(read, id)? else { continue };
        let name = || (row.name.clone(), String::new());
        found.push((SortKey::of(page.sort, name, row.created_at, row.updated_at), id));
    }
    let part = lists::part(found, page);
    part.into_iter().filter_map(|id| destination(read, id).transpose()).collect()
}

#[async_trait]
impl<U: Units> Destinations for U {
    async fn insert_destination(&self, destination: Destination) -> Result<Destination, StoreError> {
        self.write(Domain::Shard(destination.shard), Pace::Now, move |txn| insert(txn, destination.clone())).await
    }

    async fn destination(&self, id: DestinationId) -> Result<Option<Destination>, StoreError> {
        self.read(|read| destination(read, id)).await
    }

    async fn destinations(&self, workspace: WorkspaceId, page: &ListPage) -> Result<Vec<Destination>, StoreError> {
        self.read(|read| list(read, workspace, page)).await
    }

    async fn destinations_of_shard(
        &self,
        shard: ShardId,
        after: Option<DestinationId>,
        limit: usize,
    ) -> Result<Vec<Destination>, StoreError> {
        self.read(|read| {
            let prefix = Index::DestinationOfShard.key(&[&keys::shard(shard)]);
            let ids = lists::ids(read, &prefix, after.as_ref().map(|id| &id.as_bytes()[..]), limit)?;
            ids.into_iter().filter_map(|id| destination(read, id).transpose()).collect()
        })
        .await
    }

    async fn replace_destination(&self, destination: Destination) -> Result<Destination, StoreError> {
        self.write(Domain::Shard(destination.shard), Pace::Now, move |txn| replace(txn, destination.clone())).await
    }

    async fn delete_destination(&self, id: DestinationId) -> Result<(), StoreError> {
        self.write(Domain::Shard(Destination::shard_of(id)), Pace::Now, move |txn| delete(txn, id)).await
    }
}
