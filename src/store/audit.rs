//! The audit trail: one row a poll run and a delivery attempt, bounded per feed and per webhook.

use super::{Attempt, StoreError};
use crate::ids::{ConnectionId, DestinationId, FeedId, WebhookId, WorkspaceId};
use anyhook_connectors::contract::Change;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// A person authorised a connection, or a token was refreshed.
    Login,
    /// An attempt to deliver a batch.
    Webhook,
    /// A poll run, or a vendor's own webhook.
    Inbound,
}

/// How many changes there were of each kind. What could not be told to be new counts as updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChangeCounts {
    /// Records that came to be, or came back.
    #[serde(rename = "c")]
    pub created: u64,
    /// Records that were changed.
    #[serde(rename = "u")]
    pub updated: u64,
    /// Records that went.
    #[serde(rename = "d")]
    pub deleted: u64,
}

impl ChangeCounts {
    /// So many of one kind.
    pub fn of(change: Change, count: u64) -> Self {
        let mut counts = ChangeCounts::default();
        match change {
            Change::Created => counts.created = count,
            Change::Updated => counts.updated = count,
            Change::Deleted => counts.deleted = count,
        }
        counts
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.created + self.updated + self.deleted
    }
}

impl AddAssign for ChangeCounts {
    fn add_assign(&mut self, more: Self) {
        self.created += more.created;
        self.updated += more.updated;
        self.deleted += more.deleted;
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// Its id. Left empty by who writes it; the store gives it, and it sorts by time within a feed or webhook.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The feed.
    pub feed_id: FeedId,
    /// The webhook, for attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<WebhookId>,
    /// The integration.
    pub integration: String,
    /// The connection's environment.
    pub environment: String,
    /// The customer's own name of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_xref: Option<String>,
    /// What it is about.
    pub kind: CallKind,
    /// The request's method.
    pub method: String,
    /// A short name: the object type and, for attempts, the payload's type.
    pub name: String,
    /// The request's URL without its query.
    pub path: String,
    /// The answer's status; 0 where there was none.
    pub status: u16,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it began, by our clock.
    pub at: DateTime<Utc>,
    /// How long the other side took, in milliseconds.
    pub duration_ms: u64,
    /// Bytes of the payload, or of the pages read.
    pub size_bytes: u64,
    /// Changes found or delivered.
    pub records: u64,
    /// Requests made to the vendor, or the number of this attempt.
    pub requests: u64,
    /// Empty runs folded into this row.
    pub count: u64,
    /// The webhook-id of the batch, for attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// When the next poll run was to come, for runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextRun>,
    /// What it was of and what was answered, for attempts; none in rows that older builds wrote.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
    /// The destination, for attempts to deliver notifications; `webhook_id` is what it is served as, and there is no
    /// connection or feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_id: Option<DestinationId>,
    /// The changes by kind, for runs; none in rows that older builds wrote.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangeCounts>,
}

/// When the run behind a run was to come, and why then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRun {
    /// From the end of this one, in milliseconds.
    pub in_ms: u64,
    /// Why.
    pub why: NextWhy,
}

/// Why a poll run comes when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextWhy {
    /// The interval is fixed.
    Fixed,
    /// Changes come: the wait is shorter than before.
    Changes,
    /// Nothing changed: the wait is longer than before.
    Quiet,
    /// A person or the vendor asked for a poll: the wait is the shortest.
    Asked,
    /// The vendor's budget allows no more.
    Budget,
    /// The run ended before the listing did.
    Unfinished,
    /// The run failed.
    Failed,
    /// The vendor, or a full log, asks for a pause.
    Paused,
}

impl ApiCall {
    /// The payload's type, for attempts: the last word of the name.
    pub fn payload_type(&self) -> &str {
        self.name.rsplit(' ').next().unwrap_or_default()
    }

    /// True if it went wrong.
    pub fn is_failure(&self) -> bool {
        self.error.is_some()
    }
}

/// Which rows a list shall have. Rows come newest first unless the order says otherwise.
#[derive(Debug, Clone, Default)]
pub struct ApiCallQuery {
    /// Those of this connection.
    pub connection_id: Option<ConnectionId>,
    /// Those of this webhook.
    pub webhook_id: Option<WebhookId>,
    /// Those of this feed.
    pub feed_id: Option<FeedId>,
    /// Those of this integration.
    pub integration: Option<String>,
    /// Those of this environment.
    pub environment: Option<String>,
    /// Those with this reference.
    pub external_xref: Option<String>,
    /// Those of this kind.
    pub kind: Option<CallKind>,
    /// Those that went wrong, or did not.
    pub is_failure: Option<bool>,
    /// Those since.
    pub since: Option<DateTime<Utc>>,
    /// Oldest first.
    pub is_ascending: bool,
    /// Rows to leave out first.
    pub offset: usize,
    /// Rows to answer at most.
    pub limit: usize,
}

/// The audit trail.
#[async_trait]
pub trait Audit {
    /// Adds a row that belongs to no run and no attempt.
    async fn record_call(&self, call: ApiCall) -> Result<(), StoreError>;

    /// The row of this id, whosever it is.
    async fn api_call(&self, id: &str) -> Result<Option<ApiCall>, StoreError>;

    /// A workspace's rows that match.
    ///
    /// - Each webhook and each feed keeps its newest rows up to a bound, failures apart from successes, so that neither
    ///   drives out the other.
    async fn api_calls(&self, workspace: WorkspaceId, query: &ApiCallQuery) -> Result<Vec<ApiCall>, StoreError>;

    /// Removes rows from before, up to a number; true while there may be more.
    async fn forget_calls(&self, before: DateTime<Utc>, rows_max: usize) -> Result<bool, StoreError>;
}
