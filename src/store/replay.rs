//! Replays: what was delivered is sent again, beside the live stream and without touching positions.

use super::{ApiCall, Fence, Position, Retry, ShardId, Span, StoreError, Webhook};
use crate::ids::{FeedId, JobId, WebhookId};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How a replay stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ReplayState {
    /// It sends, or waits for its next attempt.
    #[default]
    Running,
    /// Everything is delivered again.
    Done,
    /// A person ended it.
    Cancelled,
    /// It cannot go on.
    Failed {
        /// What happened and what to do.
        message: String,
    },
}

/// What of the feed's log, or of the notifications that a destination reads in its place, is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPart {
    /// From where to where.
    #[serde(rename = "p")]
    pub span: Span,
    /// Records of the one batch that this is, so that it is cut as it was; none for a range that is cut anew.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u32>,
}

/// A replay. A webhook has one at a time, and the last one is remembered; so has a destination, under what it is served
/// as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Its id.
    pub id: JobId,
    /// For whom.
    pub webhook_id: WebhookId,
    /// The webhook's feed; none of a destination.
    pub feed_id: FeedId,
    /// The webhook's shard.
    pub shard: ShardId,
    /// How it stands.
    #[serde(flatten)]
    pub state: ReplayState,
    /// What is sent again, in this order.
    pub parts: Vec<ReplayPart>,
    /// The part that is being sent.
    #[serde(default)]
    pub part: usize,
    /// How far that is delivered.
    pub position: Position,
    /// Deliveries in all.
    pub deliveries: u64,
    /// Deliveries made.
    #[serde(default)]
    pub repeated: u64,
    /// The batch that is being tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What last went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
    /// When it ended, well or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

impl Replay {
    /// A replay of these parts, from their beginning.
    pub fn new(id: JobId, webhook: &Webhook, parts: Vec<ReplayPart>, deliveries: u64, now: DateTime<Utc>) -> Self {
        Replay {
            id,
            webhook_id: webhook.id,
            feed_id: webhook.feed_id,
            shard: webhook.shard,
            state: ReplayState::Running,
            part: 0,
            position: parts.first().map(|part| part.span.from).unwrap_or_default(),
            parts,
            deliveries,
            repeated: 0,
            retry: None,
            error: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
        }
    }

    /// True while there is more to send.
    pub fn is_open(&self) -> bool {
        self.state == ReplayState::Running
    }
}

/// A replay goes on, or ends.
#[derive(Debug, Clone)]
pub struct ReplayStep {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// Whose it is.
    pub webhook: WebhookId,
    /// The replay.
    pub id: JobId,
    /// The part that is being sent.
    pub part: usize,
    /// How far that is delivered.
    pub position: Position,
    /// Deliveries made by this step.
    pub repeated: u64,
    /// The batch that is being tried again.
    pub retry: Option<Retry>,
    /// What went wrong.
    pub error: Option<String>,
    /// How it stands.
    pub state: ReplayState,
    /// When, by our clock.
    pub at: DateTime<Utc>,
    /// The attempt's audit row; none where nothing was sent.
    pub call: Option<ApiCall>,
}

/// Replays.
#[async_trait]
pub trait Replays {
    /// Begins a replay.
    ///
    /// - [`StoreError::Exists`] where the webhook's last one is open, [`StoreError::Missing`] where it is gone.
    /// - It is told ([`super::Wake::WebhookChanged`]).
    async fn begin_replay(&self, replay: Replay) -> Result<(), StoreError>;

    /// A webhook's last replay.
    async fn replay(&self, webhook: WebhookId) -> Result<Option<Replay>, StoreError>;

    /// Open replays of these shards, up to a number of each.
    async fn open_replays(&self, shards: &[ShardId], limit: usize) -> Result<Vec<Replay>, StoreError>;

    /// Keeps how far a replay is, with its attempt's audit row. The webhook's positions are not touched.
    ///
    /// - [`StoreError::Missing`] where it is over or gone: nothing is kept, not even the row.
    async fn step_replay(&self, step: ReplayStep) -> Result<(), StoreError>;

    /// Ends a webhook's replay that is open, and answers it. [`StoreError::Missing`] where there is none.
    async fn cancel_replay(&self, webhook: WebhookId, now: DateTime<Utc>) -> Result<Replay, StoreError>;
}
