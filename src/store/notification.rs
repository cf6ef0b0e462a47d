//! Notifications: what a person wants to be told of, kept in the order it happened.

use super::{ChangeCounts, EventPattern, JobMode, StoreError};
use crate::ids::{ConnectionId, DestinationId, FeedId, JobId, WebhookId, WorkspaceId};
use anyhook_connectors::model::ObjectType;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum NotificationEvent {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl NotificationEvent {
            /// All of them.
            pub const ALL: &'static [NotificationEvent] = &[$(NotificationEvent::$variant),*];

            /// Its name in the API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(NotificationEvent::$variant => $name,)*
                }
            }
        }
    };
}

events! {
    /// A connection was made.
    ConnectionCreated "CONNECTION_CREATED",
    /// A person changed it.
    ConnectionUpdated "CONNECTION_UPDATED",
    /// A person paused it.
    ConnectionPaused "CONNECTION_PAUSED",
    /// A person ended its pause.
    ConnectionUnpaused "CONNECTION_UNPAUSED",
    /// The vendor refused its credentials.
    ConnectionUnhealthy "CONNECTION_UNHEALTHY",
    /// The vendor accepts them again.
    ConnectionHealthy "CONNECTION_HEALTHY",
    /// It was deleted, and its webhooks with it.
    ConnectionDeleted "CONNECTION_DELETED",
    /// A webhook was made.
    WebhookCreated "WEBHOOK_CREATED",
    /// A person paused it.
    WebhookPaused "WEBHOOK_PAUSED",
    /// A person ended its pause.
    WebhookUnpaused "WEBHOOK_UNPAUSED",
    /// It is not delivered to, or its feed cannot be polled, until a person acts.
    WebhookUnhealthy "WEBHOOK_UNHEALTHY",
    /// Its feed is polled well again.
    WebhookHealthy "WEBHOOK_HEALTHY",
    /// It was deleted.
    WebhookDeleted "WEBHOOK_DELETED",
    /// A listing of its history has come to its end, well or not: a failure has a code.
    BackfillCompleted "BACKFILL_COMPLETED",
    /// A poll run has ended, well or not: a failure has a code. Written only where a destination listens to it.
    SyncCompleted "SYNC_COMPLETED",
    /// A summary of a connection's object type was made anew.
    InsightPopulated "INSIGHT_POPULATED",
    /// A destination is not delivered to until a person acts.
    DestinationUnhealthy "DESTINATION_UNHEALTHY",
}

impl NotificationEvent {
    /// True if it is about a connection, or about something of one.
    pub fn is_of_connection(self) -> bool {
        self != NotificationEvent::DestinationUnhealthy
    }

    /// True if it is about an object type of a connection.
    pub fn is_of_object_type(self) -> bool {
        self.is_of_webhook() || self == NotificationEvent::InsightPopulated
    }

    /// True if it is about a webhook, or about the polls of its feed.
    pub fn is_of_webhook(self) -> bool {
        use NotificationEvent::{BackfillCompleted, SyncCompleted};
        self.as_str().starts_with("WEBHOOK_") || matches!(self, BackfillCompleted | SyncCompleted)
    }
}

/// What a run, or a listing, came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NotificationDetails {
    /// The feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_id: Option<FeedId>,
    /// The webhooks that read the feed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook_ids: Vec<WebhookId>,
    /// The listing job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// What the listing was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<JobMode>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<DateTime<Utc>>,
    /// From its beginning to its end, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Changes that a run found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<u64>,
    /// These by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<ChangeCounts>,
    /// Requests that a run made to the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Bytes that a run read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Pages that were listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Records that were listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Records that were delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// True if the run ended before the listing did: the next one goes on at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_unfinished: bool,
    /// What went wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Something that happened, told once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Its id: 24 lower-case hex characters. Left empty by who writes it; the store gives it.
    pub id: String,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What happened.
    pub event: NotificationEvent,
    /// When, by our clock.
    pub at: DateTime<Utc>,
    /// What happened and what to do, in a sentence for a person.
    pub description: String,
    /// A short code of what went wrong, such as `401` or `stuck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The connection; none where it is about a destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// The webhook, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<WebhookId>,
    /// The connection's integration.
    pub integration: String,
    /// The connection's environment.
    pub environment: String,
    /// The customer's own name of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_xref: Option<String>,
    /// The object type, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_type: Option<ObjectType>,
    /// The destination, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_id: Option<DestinationId>,
    /// What a run or a listing came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<NotificationDetails>>,
}

impl Notification {
    /// True if it is about this webhook, or names it among those that it concerns.
    pub fn concerns(&self, webhook: WebhookId) -> bool {
        self.webhook_id == Some(webhook)
            || self.details.as_ref().is_some_and(|details| details.webhook_ids.contains(&webhook))
    }
}

/// A notification and its place among those of its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedNotification {
    /// Its sequence: each has a greater one than those written before.
    pub sequence: u64,
    /// The notification.
    pub notification: Notification,
}

/// Which notifications a list shall have. They come newest first unless the query says otherwise.
#[derive(Debug, Clone, Default)]
pub struct NotificationQuery {
    /// Those since.
    pub since: Option<DateTime<Utc>>,
    /// Those that these patterns match; all where there is none.
    pub events: Vec<EventPattern>,
    /// Those of this connection.
    pub connection_id: Option<ConnectionId>,
    /// Those that concern this webhook ([`Notification::concerns`]).
    pub webhook_id: Option<WebhookId>,
    /// Oldest first.
    pub is_ascending: bool,
    /// Rows to leave out first.
    pub offset: usize,
    /// Rows to answer at most.
    pub limit: usize,
}

/// Notifications. No call writes one: each is written by the call that changes what it tells of, in its transaction, so
/// that there is exactly one for a change, whichever nodes and feeds come upon its cause.
#[async_trait]
pub trait Notifications {
    /// A workspace's notifications that match.
    ///
    /// - They come in the order in which they were written, whatever our clock did.
    /// - A workspace keeps its newest up to a number and an age; a new one drives out what is beyond.
    /// - Those of ended polls have a number of their own, so that they drive out no other.
    async fn notifications(
        &self,
        workspace: WorkspaceId,
        query: &NotificationQuery,
    ) -> Result<Vec<Notification>, StoreError>;

    /// A workspace's notifications from this sequence on, in their order.
    ///
    /// - Each has a greater sequence than all that were written before, also where these are kept no longer.
    async fn notifications_from(
        &self,
        workspace: WorkspaceId,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<PlacedNotification>, StoreError>;

    /// The oldest one that is left of ended polls, or of all others, where older ones of these may have been dropped;
    /// none where none was.
    async fn oldest_left(
        &self,
        workspace: WorkspaceId,
        of_polls: bool,
    ) -> Result<Option<PlacedNotification>, StoreError>;
}
