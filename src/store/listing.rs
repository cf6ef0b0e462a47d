//! Listing jobs: walks through a vendor's history for one webhook, page by page through a small spool.

use super::{CatchUp, Fence, Missed, Position, ShardId, StoreError, Webhook};
use crate::ids::{FeedId, JobId, WebhookId};
use crate::log::EncodedPage;
use anyhook_connectors::walk::Checkpoint;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a listing job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobMode {
    /// The history that a new webhook asked for: delivered before the log.
    Initial,
    /// History asked for later: delivered beside the log.
    Backfill,
    /// What a webhook missed while it rested and its log was trimmed: delivered before the log, as changes.
    CatchUp,
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum JobState {
    /// Listing.
    #[default]
    Running,
    /// All pages are listed; some are still to be delivered.
    Listed,
    /// All pages are delivered.
    Done,
    /// A person ended it.
    Cancelled,
    /// It cannot go on until a person acts.
    Failed {
        /// A short code.
        code: String,
        /// What happened and what to do.
        message: String,
    },
}

/// How many records a job had listed at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceMark {
    /// When, by our clock.
    pub at: DateTime<Utc>,
    /// How many.
    pub seen: u64,
}

/// How a job's listing goes, beside where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListingTally {
    /// Records that the vendor listed in all, those outside of the job's range among them.
    #[serde(default)]
    pub seen: u64,
    /// The same of the parent that the walk stands at, since its listing was last begun anew.
    #[serde(default)]
    pub listed: u64,
    /// The furthest that this parent's listing came to.
    #[serde(default)]
    pub furthest: u64,
    /// How often it was begun anew, or taken up by time, since it last came further.
    #[serde(default)]
    pub restarts: u32,
    /// Two marks of how fast it goes, the older one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pace: Vec<PaceMark>,
    /// What last went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A walk through history for one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingJob {
    /// Its id.
    pub id: JobId,
    /// For whom.
    pub webhook_id: WebhookId,
    /// Of which feed.
    pub feed_id: FeedId,
    /// The feed's shard.
    pub shard: ShardId,
    /// What it is for.
    pub mode: JobMode,
    /// How it stands.
    pub state: JobState,
    /// Only records changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_gte: Option<DateTime<Utc>>,
    /// Only records changed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_lt: Option<DateTime<Utc>>,
    /// The parent being listed; empty where there is none, or before the first.
    #[serde(default)]
    pub parent: String,
    /// Where the walk stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// Pages listed.
    #[serde(default)]
    pub pages: u64,
    /// Records listed.
    #[serde(default)]
    pub records: u64,
    /// Records there are, where the vendor says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The sequence of the next page in the spool.
    #[serde(default)]
    pub spool_end: u64,
    /// How far the webhook has been served.
    #[serde(default)]
    pub position: Position,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
    /// How its listing goes.
    #[serde(default)]
    pub tally: ListingTally,
    /// Records delivered.
    #[serde(default)]
    pub delivered: u64,
    /// When it ended, well or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// What a catch-up is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

impl ListingJob {
    /// A job over all of a webhook's history, from its beginning.
    pub fn new(id: JobId, webhook: &Webhook, mode: JobMode, now: DateTime<Utc>) -> Self {
        ListingJob {
            id,
            webhook_id: webhook.id,
            feed_id: webhook.feed_id,
            shard: webhook.shard,
            mode,
            state: JobState::Running,
            updated_gte: None,
            updated_lt: None,
            parent: String::new(),
            checkpoint: None,
            pages: 0,
            records: 0,
            total: None,
            spool_end: 0,
            position: Position::default(),
            failures: 0,
            created_at: now,
            updated_at: now,
            tally: ListingTally::default(),
            delivered: 0,
            finished_at: None,
            missed: None,
        }
    }

    /// True while pages are still to be listed or delivered.
    pub fn is_open(&self) -> bool {
        matches!(self.state, JobState::Running | JobState::Listed)
    }

    /// Pages that wait for delivery.
    pub fn spooled(&self) -> u64 {
        self.spool_end.saturating_sub(self.position.sequence)
    }
}

/// A job has listed a page, or come to an end.
#[derive(Debug, Clone)]
pub struct ListingCommit {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// The job.
    pub job: JobId,
    /// The parent that the walk stands at.
    pub parent: String,
    /// Where the walk stands.
    pub checkpoint: Option<Checkpoint>,
    /// Its new state: running, listed or failed.
    pub state: JobState,
    /// Pages for the spool, in their order.
    pub pages: Vec<EncodedPage>,
    /// Records there are, where the vendor says so.
    pub total: Option<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// Now, by our clock.
    pub at: DateTime<Utc>,
    /// How the listing goes.
    pub tally: ListingTally,
    /// Requests made to the vendor for it since the commit before.
    pub requests: u64,
}

impl ListingCommit {
    /// A commit that leaves the job as it is.
    pub fn of(job: &ListingJob, fence: Fence, at: DateTime<Utc>) -> Self {
        ListingCommit {
            fence,
            job: job.id,
            parent: job.parent.clone(),
            checkpoint: job.checkpoint.clone(),
            state: job.state.clone(),
            pages: Vec::new(),
            total: job.total,
            failures: job.failures,
            at,
            tally: job.tally.clone(),
            requests: 0,
        }
    }
}

/// Listing jobs.
#[async_trait]
pub trait Listings {
    /// Adds a job to a webhook. [`StoreError::Exists`] where an open one is there, catch-ups aside.
    ///
    /// - An initial one is delivered before the log, a back-fill beside it.
    /// - A bounded number is remembered: the oldest that has ended makes room.
    async fn insert_job(&self, job: ListingJob) -> Result<(), StoreError>;

    /// The job of this id.
    async fn job(&self, id: JobId) -> Result<Option<ListingJob>, StoreError>;

    /// A webhook's jobs, newest first.
    async fn jobs_of_webhook(&self, webhook: WebhookId, limit: usize) -> Result<Vec<ListingJob>, StoreError>;

    /// A shard's open jobs in the order of their ids, after `after`.
    async fn open_jobs(
        &self,
        shard: ShardId,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<ListingJob>, StoreError>;

    /// Begins a webhook's catch-up: its job is there and its mark is the job's, its position moves to where the log
    /// comes next, and the audit row says so.
    ///
    /// - The job is delivered before the log.
    /// - [`StoreError::Conflict`] where the webhook is not behind its log, [`StoreError::Exists`] where another job is
    ///   delivered before the log: the catch-up comes after it.
    async fn begin_catch_up(&self, catch_up: CatchUp) -> Result<(), StoreError>;

    /// Asks for a back-fill's turn: true once the job may ask the vendor for its next page.
    ///
    /// - From the first asking on, log pages that come later wait until the job's next page is delivered, so that no
    ///   page tells an older state of a record after a newer one.
    /// - It is the job's turn once the log has been delivered up to there, all that was listed before is delivered, and
    ///   nothing has to be delivered before the log.
    /// - A commit that leaves nothing to deliver lets the log go again, and so does the job's end.
    /// - [`StoreError::Conflict`] where the job is no back-fill that runs, [`StoreError::Missing`] where it is gone.
    async fn claim_turn(&self, fence: Fence, id: JobId) -> Result<bool, StoreError>;

    /// Keeps pages in the spool together with where the walk stands.
    ///
    /// - A job that has failed is left: the log comes next.
    /// - [`StoreError::Conflict`] where the job is no longer running, [`StoreError::Missing`] where it is gone.
    async fn commit_listing(&self, commit: ListingCommit) -> Result<ListingJob, StoreError>;

    /// A page of the spool; none where it was delivered and forgotten, or is not there yet.
    async fn spool_page(&self, job: JobId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Ends a job that is open, or has failed; its pages are not delivered any more and the log comes next.
    async fn cancel_job(&self, id: JobId, now: DateTime<Utc>) -> Result<(), StoreError>;
}
