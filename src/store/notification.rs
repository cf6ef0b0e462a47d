//! Notifications: what a person wants to be told of, kept in the order it happened.

use super::StoreError;
use crate::ids::{ConnectionId, WebhookId, WorkspaceId};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotificationEvent {
    /// A connection was made.
    ConnectionCreated,
    /// A person changed it.
    ConnectionUpdated,
    /// A person paused it.
    ConnectionPaused,
    /// A person ended its pause.
    ConnectionUnpaused,
    /// The vendor refused its credentials.
    ConnectionUnhealthy,
    /// The vendor accepts them again.
    ConnectionHealthy,
    /// It was deleted, and its webhooks with it.
    ConnectionDeleted,
    /// A webhook was made.
    WebhookCreated,
    /// A person paused it.
    WebhookPaused,
    /// A person ended its pause.
    WebhookUnpaused,
    /// It is not delivered to, or its feed cannot be polled, until a person acts.
    WebhookUnhealthy,
    /// Its feed is polled well again.
    WebhookHealthy,
    /// It was deleted.
    WebhookDeleted,
    /// A listing of its history has come to its end, well or not: a failure has a code.
    BackfillCompleted,
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
    /// The connection.
    pub connection_id: ConnectionId,
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
}

/// Which notifications a list shall have. They come newest first unless the query says otherwise.
#[derive(Debug, Clone, Default)]
pub struct NotificationQuery {
    /// Those since.
    pub since: Option<DateTime<Utc>>,
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
    async fn notifications(
        &self,
        workspace: WorkspaceId,
        query: &NotificationQuery,
    ) -> Result<Vec<Notification>, StoreError>;
}
