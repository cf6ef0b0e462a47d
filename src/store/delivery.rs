//! Deliveries: how far each webhook has been served, and what came of its last attempt.

use super::{ApiCall, Fence, Missed, ShardId, Span, StoreError};
use crate::ids::{JobId, WebhookId};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A place in a stream: a page's sequence, and how many of its records have been passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Position {
    /// The page.
    pub sequence: u64,
    /// Records of it that are done with.
    pub offset: u32,
}

/// What is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The feed's log.
    Live,
    /// A listing job's pages.
    Listing(JobId),
}

/// Whether a webhook is served.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum WebhookHealth {
    /// It is, or is being retried.
    #[default]
    Healthy,
    /// It is not, until it is resumed.
    Unhealthy {
        /// Since when.
        since: DateTime<Utc>,
        /// What happened and what to do.
        message: String,
    },
}

/// A batch that was attempted in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Which stream it belongs to; its place is the webhook's position there.
    pub stream: Stream,
    /// Attempts so far.
    pub attempts: u32,
    /// When the first one was.
    pub first_at: DateTime<Utc>,
    /// When the next one is.
    pub next_at: DateTime<Utc>,
    /// Records in the batch, so that it is cut the same again.
    pub records: u32,
    /// How often it was tried again at once, beside the schedule, the next time included.
    #[serde(default)]
    pub quick: u32,
    /// True if the next attempt is such a one.
    #[serde(default)]
    pub is_quick: bool,
}

/// A listing job whose pages are delivered beside the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// The job.
    pub job: JobId,
    /// Log pages from this one on wait until the job's next page is delivered; none where it is the log's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_from: Option<u64>,
}

/// How far a webhook has been served.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeliveryState {
    /// Its place in the feed's log.
    pub position: Position,
    /// Whether it is served.
    #[serde(default)]
    pub health: WebhookHealth,
    /// The batch being retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The listing job whose pages are delivered before the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<JobId>,
    /// Batches that were delivered.
    #[serde(default)]
    pub delivered: u64,
    /// When one last was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
    /// The back-fill that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    /// What was trimmed from the log before it was read, and is to be caught up with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

/// What decides whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The webhook's revision.
    pub revision: u64,
    /// True while the webhook, or its connection, is paused.
    pub is_resting: bool,
    /// Log pages from this one on wait for a back-fill's page.
    pub held_from: Option<u64>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The batch is done with: the position moves, the retry is over.
    Delivered {
        /// Which stream.
        stream: Stream,
        /// Its new place there.
        position: Position,
        /// True if this was the end of a listing: the job is done.
        is_last: bool,
    },
    /// The position moves over records that are not for this webhook; nothing was sent.
    Passed {
        /// Which stream.
        stream: Stream,
        /// Its new place there.
        position: Position,
    },
    /// It failed and will be tried again.
    Retry(Retry),
    /// It failed for good, or was refused: the webhook rests until it is resumed. The position stays.
    Unhealthy {
        /// What happened and what to do.
        message: String,
    },
}

/// An attempt has ended.
#[derive(Debug, Clone)]
pub struct AttemptFinish {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// The webhook.
    pub webhook: WebhookId,
    /// What came of it.
    pub outcome: Outcome,
    /// When, by our clock.
    pub at: DateTime<Utc>,
    /// The attempt's audit row; none where nothing was sent.
    pub call: Option<ApiCall>,
}

/// A batch that fails is passed over on purpose.
#[derive(Debug, Clone)]
pub struct Skip {
    /// The webhook.
    pub webhook: WebhookId,
    /// Which stream the batch belongs to.
    pub stream: Stream,
    /// Its place, and the one behind it.
    pub span: Span,
    /// True if it is the end of a listing: the job is done.
    pub is_last: bool,
    /// When, by our clock.
    pub at: DateTime<Utc>,
    /// The row that tells of it.
    pub call: ApiCall,
}

/// A webhook whose batch is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRetry {
    /// The webhook.
    pub webhook: WebhookId,
    /// Its shard.
    pub shard: ShardId,
    /// When.
    pub next_at: DateTime<Utc>,
}

/// Deliveries.
#[async_trait]
pub trait Deliveries {
    /// How far a webhook has been served; none where there is no such webhook.
    async fn delivery(&self, webhook: WebhookId) -> Result<Option<DeliveryState>, StoreError>;

    /// What decides whether an attempt may begin; none where there is no such webhook. It is asked before each attempt,
    /// and so tells no more than that.
    async fn standing(&self, webhook: WebhookId) -> Result<Option<Standing>, StoreError>;

    /// Keeps what came of an attempt: state and audit row together.
    ///
    /// - It may ride in the next group commit: it returns when durable, and causes no barrier of its own for up to the
    ///   store's linger (50 ms).
    /// - [`StoreError::Missing`] where the webhook was deleted meanwhile, [`StoreError::Fenced`] where the lease is
    ///   another's.
    /// - A position never moves backwards.
    /// - Pages of a listing before its position are forgotten; at its end the job is done and the log comes next. Where
    ///   a back-fill waits for that, it is told.
    /// - A job counts the records that its attempts' rows tell of as delivered.
    /// - Where the log was held for a back-fill ([`super::Listings::claim_turn`]), it is let go once the job's pages are
    ///   delivered; and the job is told ([`super::Wake::JobChanged`]) when the log has been delivered up to there.
    async fn finish_attempt(&self, finish: AttemptFinish) -> Result<(), StoreError>;

    /// Which of a shard's webhooks have something to be delivered: of the first `limit` webhooks behind `after`, in the
    /// order of their ids, and the last one that was looked at; none where there was none. Those that are paused or
    /// unhealthy are left out.
    async fn waiting_webhooks(
        &self,
        shard: ShardId,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<(Vec<WebhookId>, Option<WebhookId>), StoreError>;

    /// Webhooks of these shards whose batches are to be tried again, soonest first; none that is paused or unhealthy.
    async fn due_retries(&self, shards: &[ShardId], limit: usize) -> Result<Vec<DueRetry>, StoreError>;

    /// Passes a batch over: the position moves behind it, and the audit row says so.
    ///
    /// - [`StoreError::Conflict`] where the webhook does not stand at the batch, or the batch does not fail: neither is it
    ///   tried again nor is the webhook unhealthy. [`StoreError::Missing`] where there is no such webhook.
    /// - The webhook stays as healthy as it is.
    /// - An attempt of it that ends later leaves no more than its row.
    async fn skip_batch(&self, skip: Skip) -> Result<(), StoreError>;

    /// Makes a webhook healthy again; its waiting batch is tried at once with a fresh schedule. The position stays.
    ///
    /// - Its feed, if that cannot be polled, is taken for being retried; whoever asks for this pings it too.
    /// - [`StoreError::Missing`] where there is no such webhook.
    async fn resume_webhook(&self, webhook: WebhookId, now: DateTime<Utc>) -> Result<(), StoreError>;
}
