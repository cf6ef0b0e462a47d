//! Webhooks, as they are asked about. How they come and go is in `subscriptions.rs`.

use super::engine::{Place, Read, Span, Tree};
use super::keys::{self, FromKey, Index};
use super::lists::{self, SortKey};
use super::rows::{damaged, load};
use super::{Domain, Pace, Units, delivery_row, feeds, subscriptions};
use crate::ids::{ConnectionId, FeedId, WebhookId, WorkspaceId};
use crate::store::{NewWebhook, ShardId, StoreError, Webhook, WebhookQuery, Webhooks};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Deserialize;

pub(super) const WHAT: &str = "webhook";
/// Feeds of a connection that a list looks through; the API lets a connection have fewer webhooks.
const FEEDS_MAX: usize = 10_000;

/// The webhook of this id.
pub(super) fn webhook(read: &dyn Read, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
    load(read, Tree::Webhooks, id.as_bytes(), WHAT)
}

/// The revision of a webhook. The rest of its row is passed over, which takes a fraction of reading it.
pub(super) fn revision(read: &dyn Read, id: WebhookId) -> Result<Option<u64>, StoreError> {
    let row: Option<Revised> = load(read, Tree::Webhooks, id.as_bytes(), WHAT)?;
    Ok(row.map(|row| row.revision))
}

#[derive(Deserialize)]
struct Revised {
    revision: u64,
}

/// The feed of a webhook, read in the same way.
pub(super) fn feed_of(read: &dyn Read, id: WebhookId) -> Result<Option<FeedId>, StoreError> {
    let row: Option<Fed> = load(read, Tree::Webhooks, id.as_bytes(), WHAT)?;
    Ok(row.map(|row| row.feed_id))
}

#[derive(Deserialize)]
struct Fed {
    feed_id: FeedId,
}

/// Where a webhook's row stands.
pub(super) fn place(id: WebhookId) -> Place {
    (Tree::Webhooks, id.as_bytes().to_vec())
}

/// The ids of a shard's webhooks, in their order, behind `after`.
pub(super) fn ids_of_shard(
    read: &dyn Read,
    shard: ShardId,
    after: Option<WebhookId>,
    limit: usize,
) -> Result<Vec<WebhookId>, StoreError> {
    let after = after.as_ref().map(|id| &id.as_bytes()[..]);
    lists::ids(read, &Index::WebhookOfShard.key(&[&keys::shard(shard)]), after, limit)
}

/// All webhooks of a feed.
pub(super) fn all_of_feed(read: &dyn Read, feed: FeedId) -> Result<Vec<Webhook>, StoreError> {
    behind_index(read, &Index::WebhookOfFeed.key(&[feed.as_bytes()]), None, usize::MAX)
}

fn behind_index(
    read: &dyn Read,
    prefix: &[u8],
    after: Option<WebhookId>,
    limit: usize,
) -> Result<Vec<Webhook>, StoreError> {
    let after = after.as_ref().map(|id| &id.as_bytes()[..]);
    let ids: Vec<WebhookId> = lists::ids(read, prefix, after, limit)?;
    read.expect(&|| ids.iter().map(|id| place(*id)).collect())?;
    ids.into_iter().filter_map(|id| webhook(read, id).transpose()).collect()
}

fn matches(read: &dyn Read, query: &WebhookQuery, webhook: &Webhook) -> Result<bool, StoreError> {
    let is_match = query.connection_id.is_none_or(|wanted| wanted == webhook.connection_id)
        && query.environment.as_ref().is_none_or(|wanted| *wanted == webhook.environment)
        && query.integration.as_ref().is_none_or(|wanted| *wanted == webhook.integration)
        && query.object_type.is_none_or(|wanted| wanted == webhook.object_type)
        && query.created_lte.is_none_or(|until| webhook.created_at <= until)
        && query.updated_gte.is_none_or(|since| webhook.updated_at >= since);
    let Some(wanted) = query.is_healthy.filter(|_| is_match) else { return Ok(is_match) };
    let Some(delivery) = delivery_row::delivery(read, webhook.id)? else { return Ok(false) };
    let feed = feeds::state(read, webhook.feed_id)?.unwrap_or_default();
    Ok(webhook.is_healthy(&delivery.state, &feed) == wanted)
}

/// The ids of those that may match.
fn candidates(read: &dyn Read, workspace: WorkspaceId, query: &WebhookQuery) -> Result<Vec<WebhookId>, StoreError> {
    let Some(connection) = query.connection_id else {
        return lists::ids(read, &Index::WebhookOfWorkspace.key(&[workspace.as_bytes()]), None, usize::MAX);
    };
    of_connection(read, connection)
}

/// The ids of a connection's webhooks.
fn of_connection(read: &dyn Read, connection: ConnectionId) -> Result<Vec<WebhookId>, StoreError> {
    let feeds = feeds::of_connection(read, connection, FEEDS_MAX)?;
    let spans = feeds.iter().map(|feed| Span::prefix(&Index::WebhookOfFeed.key(&[feed.as_bytes()])));
    let rows = read.ranges(Tree::Index, spans.collect())?.into_iter().flatten();
    rows.map(|row| WebhookId::from_key(&row?.0).ok_or_else(|| damaged("index"))).collect()
}

fn list(read: &dyn Read, workspace: WorkspaceId, query: &WebhookQuery) -> Result<Vec<Webhook>, StoreError> {
    let mut found = Vec::new();
    for id in candidates(read, workspace, query)? {
        let Some(webhook) = webhook(read, id)? else { continue };
        if webhook.workspace_id == workspace && matches(read, query, &webhook)? {
            let name = || (webhook.object_type.to_string(), String::new());
            found.push((SortKey::of(query.page.sort, name, webhook.created_at, webhook.updated_at), id));
        }
    }
    let part = lists::part(found, &query.page);
    part.into_iter().filter_map(|id| webhook(read, id).transpose()).collect()
}

#[async_trait]
impl<U: Units> Webhooks for U {
    async fn insert_webhook(&self, new: NewWebhook) -> Result<Webhook, StoreError> {
        self.write(Domain::Connection(new.webhook.connection_id), Pace::Now, move |txn| {
            subscriptions::insert(txn, new.clone())
        })
        .await
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.read(|read| webhook(read, id)).await
    }

    async fn webhooks(&self, workspace: WorkspaceId, query: &WebhookQuery) -> Result<Vec<Webhook>, StoreError> {
        self.read(|read| list(read, workspace, query)).await
    }

    async fn count_webhooks(&self, connection: ConnectionId) -> Result<usize, StoreError> {
        self.read(|read| of_connection(read, connection).map(|webhooks| webhooks.len())).await
    }

    async fn webhooks_of_feed(
        &self,
        feed: FeedId,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<Vec<Webhook>, StoreError> {
        self.read(|read| behind_index(read, &Index::WebhookOfFeed.key(&[feed.as_bytes()]), after, limit)).await
    }

    async fn webhooks_of_shard(
        &self,
        shard: ShardId,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<Vec<Webhook>, StoreError> {
        self.read(|read| behind_index(read, &Index::WebhookOfShard.key(&[&keys::shard(shard)]), after, limit)).await
    }

    async fn replace_webhook(&self, webhook: Webhook) -> Result<Webhook, StoreError> {
        self.write(Domain::Webhook(webhook.id), Pace::Now, move |txn| subscriptions::replace(txn, webhook.clone()))
            .await
    }

    async fn delete_webhook(&self, id: WebhookId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write(Domain::Webhook(id), Pace::Now, move |txn| subscriptions::delete(txn, id, now)).await
    }
}
