//! Subscribing and ending it: a webhook together with its feed.

use super::calls::{self, Scope};
use super::delivery_row::{self, Delivery};
use super::engine::{Read, Tree};
use super::keys::{self, Index};
use super::rows::save;
use super::txn::Txn;
use super::webhooks::{WHAT, all_of_feed, webhook};
use super::{connections, deliveries, feeds, head, listings, notifications, replays};
use crate::ids::WebhookId;
use crate::store::{
    Connection, DeliveryState, Feed, FeedSettings, NewWebhook, NotificationEvent, Position, StoreError, Wake, Webhook,
};
use chrono::{DateTime, Utc};

/// Adds a webhook with all that belongs to it.
pub(super) fn insert(txn: &mut Txn<'_>, new: NewWebhook) -> Result<Webhook, StoreError> {
    let NewWebhook { webhook: mut new, initial } = new;
    let connection = connections::connection(txn, new.connection_id)?;
    let connection = connection.ok_or(StoreError::Missing(connections::WHAT))?;
    if txn.has(Tree::Webhooks, new.id.as_bytes())? {
        return Err(StoreError::Exists(WHAT));
    }
    new.shard = connection.shard;
    new.feed_id = join_feed(txn, &connection, &new)?;
    keep_new(txn, &new)?;

    let log = head::head(txn, new.feed_id)?.ok_or(StoreError::Missing(feeds::WHAT))?.log;
    let state = DeliveryState { position: Position { sequence: log.end, offset: 0 }, ..DeliveryState::default() };
    let is_resting = new.is_paused || connection.is_paused;
    delivery_row::keep(txn, new.id, None, &Delivery { shard: new.shard, is_resting, state });
    if let Some(mut job) = initial {
        job.webhook_id = new.id;
        listings::insert(txn, job)?;
    }
    tell(txn, &new, NotificationEvent::WebhookCreated, new.created_at, "the webhook was made")?;
    Ok(new)
}

fn tell(
    txn: &mut Txn<'_>,
    webhook: &Webhook,
    event: NotificationEvent,
    at: DateTime<Utc>,
    description: &str,
) -> Result<(), StoreError> {
    notifications::write(txn, notifications::of_webhook(webhook, event, at, description))
}

/// Makes the feed of a new webhook, or adds what the webhook asks for to the one there is.
fn join_feed(txn: &mut Txn<'_>, connection: &Connection, new: &Webhook) -> Result<crate::ids::FeedId, StoreError> {
    let asked = FeedSettings::of([new]);
    if let Some(feed) = feeds::find(txn, connection.id, new.object_type, &new.filters)? {
        let (id, settings) = (feed.id, feeds::joined(&feed.settings, &asked));
        feeds::settle(txn, feed, settings, new.created_at)?;
        return Ok(id);
    }
    let feed = Feed {
        id: new.feed_id,
        workspace_id: connection.workspace_id,
        connection_id: connection.id,
        integration: connection.integration.clone(),
        object_type: new.object_type,
        filters: new.filters.clone(),
        shard: connection.shard,
        created_at: new.created_at,
        settings: asked,
        revision: 1,
    };
    feeds::insert(txn, &feed, connection.is_paused, new.created_at)?;
    Ok(feed.id)
}

fn index_keys(webhook: &Webhook) -> [Vec<u8>; 3] {
    let id = webhook.id.as_bytes();
    [
        Index::WebhookOfWorkspace.key(&[webhook.workspace_id.as_bytes(), id]),
        Index::WebhookOfFeed.key(&[webhook.feed_id.as_bytes(), id]),
        Index::WebhookOfShard.key(&[&keys::shard(webhook.shard), id]),
    ]
}

fn keep_new(txn: &mut Txn<'_>, new: &Webhook) -> Result<(), StoreError> {
    index_keys(new).into_iter().for_each(|key| txn.put(Tree::Index, key, &[]));
    keep(txn, new)
}

fn keep(txn: &mut Txn<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    txn.wake(Wake::WebhookChanged(webhook.id));
    save(txn, Tree::Webhooks, webhook.id.as_bytes(), WHAT, webhook)
}

/// Replaces a webhook; its feed's settings follow.
pub(super) fn replace(txn: &mut Txn<'_>, new: Webhook) -> Result<Webhook, StoreError> {
    let old = webhook(txn, new.id)?.ok_or(StoreError::Missing(WHAT))?;
    if old.revision != new.revision {
        return Err(StoreError::Conflict(WHAT));
    }
    let new = Webhook {
        workspace_id: old.workspace_id,
        connection_id: old.connection_id,
        feed_id: old.feed_id,
        shard: old.shard,
        integration: old.integration,
        object_type: old.object_type,
        kind: old.kind,
        filters: old.filters,
        created_at: old.created_at,
        revision: old.revision + 1,
        ..new
    };
    keep(txn, &new)?;
    let is_connection_paused = connections::connection(txn, new.connection_id)?.is_some_and(|found| found.is_paused);
    deliveries::rest(txn, new.id, new.is_paused || is_connection_paused)?;
    let feed = feeds::feed(txn, new.feed_id)?.ok_or(StoreError::Missing(feeds::WHAT))?;
    let settings = FeedSettings::of(&all_of_feed(txn, new.feed_id)?);
    feeds::settle(txn, feed, settings, new.updated_at)?;
    match (old.is_paused, new.is_paused) {
        (false, true) => tell(txn, &new, NotificationEvent::WebhookPaused, new.updated_at, "the webhook was paused")?,
        (true, false) => {
            tell(txn, &new, NotificationEvent::WebhookUnpaused, new.updated_at, "the webhook's pause has ended")?;
        }
        _ => {}
    }
    Ok(new)
}

/// Deletes a webhook, and its feed if it was the last.
pub(super) fn delete(txn: &mut Txn<'_>, id: WebhookId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let old = webhook(txn, id)?.ok_or(StoreError::Missing(WHAT))?;
    remove(txn, &old, now)?;
    let Some(feed) = feeds::feed(txn, old.feed_id)? else { return Ok(()) };
    let others = all_of_feed(txn, old.feed_id)?;
    if others.is_empty() {
        return feeds::delete(txn, &feed);
    }
    feeds::settle(txn, feed, FeedSettings::of(&others), now)
}

/// Removes a webhook with what is its own, and leaves the feed alone.
pub(super) fn remove(txn: &mut Txn<'_>, old: &Webhook, now: DateTime<Utc>) -> Result<(), StoreError> {
    listings::remove_all(txn, old.id)?;
    replays::remove(txn, old.id)?;
    delivery_row::remove(txn, old.id)?;
    index_keys(old).into_iter().for_each(|key| txn.remove(Tree::Index, key));
    txn.remove(Tree::Webhooks, old.id.as_bytes());
    calls::forget(txn, Scope::webhook(old.id));
    txn.wake(Wake::WebhookChanged(old.id));
    tell(txn, old, NotificationEvent::WebhookDeleted, now, "the webhook was deleted")
}
