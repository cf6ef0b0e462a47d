//! Webhooks: subscriptions.

use super::{DeliverySettings, DeliveryState, FeedState, ListPage, ListingJob, ShardId, StoreError, WebhookHealth};
use crate::ids::{ConnectionId, FeedId, WebhookId, WorkspaceId};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a webhook's changes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// From polling.
    Virtual,
    /// From the vendor's own webhooks.
    Native,
}

/// What a vendor gave when a native webhook was registered there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The vendor's id of it.
    pub id: String,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The connection it listens to.
    pub connection_id: ConnectionId,
    /// The feed it reads. Set by the store when the webhook is made or its filters change.
    pub feed_id: FeedId,
    /// The shard of its connection.
    pub shard: ShardId,
    /// The connection's integration.
    pub integration: String,
    /// The connection's environment when the webhook was made.
    pub environment: String,
    /// Which changes it wants; `updated` also stands for created.
    pub event: Change,
    /// Which objects.
    pub object_type: ObjectType,
    /// Where they go.
    pub hook_url: String,
    /// How often at least the feed is polled for it.
    pub interval_ms: u64,
    /// Where its changes come from.
    pub kind: WebhookKind,
    /// The vendor's filters.
    pub filters: BTreeMap<String, String>,
    /// The object's fields it wants; all but `raw` where empty.
    pub fields: Vec<String>,
    /// Objects in one payload at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_max_limit: Option<u32>,
    /// A paused webhook is not delivered to, and keeps its position.
    pub is_paused: bool,
    /// The customer's own name of the connection, as payloads carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_xref: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// The vendor's registration of it, where it is native and was registered by API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Registered>,
    /// Grows by one with every change of this row.
    pub revision: u64,
    /// The longest wait between polls, where the interval is a range that begins at `interval_ms`; none where it is
    /// fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_max_ms: Option<u64>,
    /// How it is delivered to.
    #[serde(default, skip_serializing_if = "DeliverySettings::is_default")]
    pub delivery: DeliverySettings,
}

impl Webhook {
    /// What the secrets of a webhook are sealed for.
    pub fn seal(id: WebhookId) -> String {
        format!("webhook/{id}")
    }

    /// True while it is delivered to and its feed is polled well, or either is being retried. One that wants deletions
    /// needs its feed's sweeps besides.
    pub fn is_healthy(&self, delivery: &DeliveryState, feed: &FeedState) -> bool {
        let is_told = self.event != Change::Deleted || feed.sweep.is_healthy();
        delivery.health == WebhookHealth::Healthy && feed.health.is_healthy() && is_told
    }

    /// The longest wait between polls: the interval itself where it is fixed.
    pub fn longest_ms(&self) -> u64 {
        self.interval_max_ms.unwrap_or(self.interval_ms).max(self.interval_ms)
    }

    /// True if it wants the vendor's own object.
    pub fn wants_raw(&self) -> bool {
        self.fields.iter().any(|field| field == "raw")
    }
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// The webhook. Its `feed_id` is what a feed is called if one has to be made for it, else it is replaced.
    pub webhook: Webhook,
    /// The listing job of its initial sync, if it shall get the history. Its `feed_id` follows the webhook's.
    pub initial: Option<ListingJob>,
}

/// Which webhooks a list shall have.
#[derive(Debug, Clone, Default)]
pub struct WebhookQuery {
    /// Those of this connection.
    pub connection_id: Option<ConnectionId>,
    /// Those of this environment.
    pub environment: Option<String>,
    /// Those of this integration.
    pub integration: Option<String>,
    /// Those of this object type.
    pub object_type: Option<ObjectType>,
    /// Those that are healthy ([`Webhook::is_healthy`]), or are not.
    pub is_healthy: Option<bool>,
    /// Those made until then.
    pub created_lte: Option<DateTime<Utc>>,
    /// Those changed since.
    pub updated_gte: Option<DateTime<Utc>>,
    /// Which part, in which order. A webhook's name for sorting is its object type.
    pub page: ListPage,
}

/// Webhooks.
#[async_trait]
pub trait Webhooks {
    /// Adds a webhook, its place in a feed, its delivery state and, if asked for, its initial listing job, and answers
    /// it with its feed.
    ///
    /// - Webhooks of one connection, object type and set of filters share a feed; it is made if there is none, due now.
    /// - Its position is the log's end: changes logged later are its own, earlier ones are not.
    /// - The feed's settings follow from all its webhooks ([`super::FeedSettings::of`]); where they change, the feed's
    ///   revision grows, so that a run under way starts over.
    /// - [`StoreError::Missing`] where the connection is gone.
    async fn insert_webhook(&self, new: NewWebhook) -> Result<Webhook, StoreError>;

    /// The webhook of this id, whosever it is.
    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, StoreError>;

    /// A workspace's webhooks that match.
    async fn webhooks(&self, workspace: WorkspaceId, query: &WebhookQuery) -> Result<Vec<Webhook>, StoreError>;

    /// How many webhooks a connection has. No row of theirs is read.
    async fn count_webhooks(&self, connection: ConnectionId) -> Result<usize, StoreError>;

    /// A feed's webhooks in the order of their ids, after `after`.
    async fn webhooks_of_feed(
        &self,
        feed: FeedId,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<Vec<Webhook>, StoreError>;

    /// A shard's webhooks in the order of their ids, after `after`.
    async fn webhooks_of_shard(
        &self,
        shard: ShardId,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<Vec<Webhook>, StoreError>;

    /// Replaces a webhook if its revision is still the one that was read; the new row's revision is one more.
    ///
    /// - [`StoreError::Conflict`] where another change came first.
    /// - Its feed's settings follow, as when it was made.
    /// - Its connection, object type, filters, kind and feed are not changed by this.
    async fn replace_webhook(&self, webhook: Webhook) -> Result<Webhook, StoreError>;

    /// Deletes a webhook with its delivery state, jobs and audit; the last one of a feed takes the feed with it.
    ///
    /// - No attempt's outcome is taken for it afterwards.
    async fn delete_webhook(&self, id: WebhookId, now: DateTime<Utc>) -> Result<(), StoreError>;
}
