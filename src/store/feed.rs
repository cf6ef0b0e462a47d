//! Feeds: what is polled, how far it has read, and the ledger of what it has seen.

use super::{ApiCall, Connection, Contact, Fence, LogHead, ShardId, StoreError, Webhook};
use crate::ids::{ConnectionId, FeedId, WorkspaceId};
use crate::log::EncodedPage;
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use anyhook_connectors::walk::Checkpoint;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much of what it has seen a feed remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Records changed since the next run's lower bound.
    #[default]
    Window,
    /// Every record.
    Full,
}

/// What follows from a feed's webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedSettings {
    /// The smallest interval of its active webhooks; none while it has none, and then it is not polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// True if some webhook wants the vendor's own objects.
    pub keeps_raw: bool,
    /// True if some webhook wants only created records, so that created and updated must be told apart.
    pub tells_created: bool,
    /// True if some webhook wants deletions.
    pub tells_deleted: bool,
    /// The smallest of its active webhooks' longest waits, where that is more than `interval_ms`; none where the interval
    /// is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_max_ms: Option<u64>,
}

impl FeedSettings {
    /// The settings that these webhooks, all of one feed, ask for.
    pub fn of<'a>(webhooks: impl IntoIterator<Item = &'a Webhook>) -> Self {
        let mut settings = FeedSettings::default();
        for webhook in webhooks.into_iter().filter(|webhook| !webhook.is_paused) {
            let shorter = settings.interval_ms.map_or(webhook.interval_ms, |known| known.min(webhook.interval_ms));
            let longest = settings.longest_ms().map_or(webhook.longest_ms(), |known| known.min(webhook.longest_ms()));
            settings.interval_ms = Some(shorter);
            settings.interval_max_ms = Some(longest).filter(|longest| *longest > shorter);
            settings.keeps_raw |= webhook.wants_raw();
            settings.tells_created |= webhook.event == Change::Created;
            settings.tells_deleted |= webhook.event == Change::Deleted;
        }
        settings
    }

    /// The longest wait between polls: the interval itself where it is fixed, none where nothing is polled.
    pub fn longest_ms(&self) -> Option<u64> {
        self.interval_max_ms.max(self.interval_ms)
    }
}

/// What is polled: one connection, object type and set of filters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Its id; a feed made again never meets the rows of an old one.
    pub id: FeedId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The connection's integration.
    pub integration: String,
    /// The object type.
    pub object_type: ObjectType,
    /// The vendor's filters.
    pub filters: BTreeMap<String, String>,
    /// The connection's shard.
    pub shard: ShardId,
    /// When it was made, by our clock.
    pub created_at: DateTime<Utc>,
    /// What follows from its webhooks.
    pub settings: FeedSettings,
    /// Grows by one whenever its settings change.
    pub revision: u64,
}

/// Whether polling works.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum FeedHealth {
    /// It does, or is being retried.
    #[default]
    Healthy,
    /// It did not, and a person has acted since: the next run tells.
    Retrying {
        /// Since when it did not work.
        since: DateTime<Utc>,
        /// Why not.
        code: String,
        /// What had happened.
        message: String,
        /// True if it was for the credentials.
        is_credential: bool,
    },
    /// It does not, until a person acts.
    Unhealthy {
        /// Since when.
        since: DateTime<Utc>,
        /// A short code, such as `401` or `walk_cycle`.
        code: String,
        /// What happened and what to do.
        message: String,
        /// True if new credentials would mend it.
        is_credential: bool,
    },
}

impl FeedHealth {
    /// True unless it does not work and nobody has acted.
    pub fn is_healthy(&self) -> bool {
        !matches!(self, FeedHealth::Unhealthy { .. })
    }

    /// What it is once a person has acted: what did not work is being retried.
    #[must_use]
    pub fn retried(self) -> Self {
        match self {
            FeedHealth::Unhealthy { since, code, message, is_credential } => {
                FeedHealth::Retrying { since, code, message, is_credential }
            }
            other => other,
        }
    }
}

/// How the last sweep for deletions ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum SweepHealth {
    /// Well; or there was none yet.
    #[default]
    Healthy,
    /// It told nothing more: deletions may go unseen, while polling goes on.
    Failed {
        /// Since when sweeps have failed.
        since: DateTime<Utc>,
        /// A short code, such as `too_many_missing`.
        code: String,
        /// What happened and what to do.
        message: String,
    },
}

impl SweepHealth {
    /// True unless sweeps fail.
    pub fn is_healthy(&self) -> bool {
        *self == SweepHealth::Healthy
    }
}

/// How polling goes; written by runs alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedState {
    /// When the feed began, by the vendor's clock; none until its first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// How deep the ledger is.
    #[serde(default)]
    pub depth: Depth,
    /// Whether polling works.
    #[serde(default)]
    pub health: FeedHealth,
    /// When a run last ended, by our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<DateTime<Utc>>,
    /// Runs in a row that failed.
    #[serde(default)]
    pub failures: u32,
    /// The number of pings that the last whole run had seen when it began.
    #[serde(default)]
    pub pings_done: u64,
    /// How the last sweep for deletions ended.
    #[serde(default, skip_serializing_if = "SweepHealth::is_healthy")]
    pub sweep: SweepHealth,
    /// The wait between polls as it stands, in milliseconds; none until the first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Runs in a row without progress.
    #[serde(default)]
    pub stuck_runs: u32,
    /// The wait that was wanted, where the vendor's budget makes it longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace_ms: Option<u64>,
    /// When a run last came further, or read to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_at: Option<DateTime<Utc>>,
}

/// How far a feed, or one of its parents, has read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Everything up to here has been read, in the vendor's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<DateTime<Utc>>,
    /// The vendor's clock when that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<DateTime<Utc>>,
    /// The vendor's token, for feeds whose cursor is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Where a long run stands, for listings that resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The vendor's tag of the last whole answer, for conditional requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// While a run is broken off, or records may have slipped by it: those created since here may not have been read yet,
    /// and the ledger forgets nothing that was changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_from: Option<DateTime<Utc>>,
}

/// What a feed remembers of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its `updated_at` in milliseconds since the epoch; `i64::MIN` where the vendor gives none.
    pub updated_at_ms: i64,
    /// Its version.
    pub version: u64,
    /// True if it was last seen deleted.
    pub is_deleted: bool,
}

/// One page of a run: what it changes, all or nothing.
#[derive(Debug, Clone)]
pub struct PageCommit {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// The feed.
    pub feed: FeedId,
    /// The feed's revision that the run works under.
    pub feed_revision: u64,
    /// The log's end that the diff was made against: if another has appended since, the diff is made again.
    pub expected_end: u64,
    /// The parent; empty where there is none.
    pub parent: String,
    /// How far the feed, or the parent, has read once this page is kept.
    pub progress: Progress,
    /// Ledger rows to set, each id once.
    pub ledger: Vec<(String, LedgerEntry)>,
    /// Ledger rows older than this may be forgotten; none keeps all.
    pub forget_before_ms: Option<i64>,
    /// Changes for the log; empty pages are not logged.
    pub pages: Vec<EncodedPage>,
}

/// A page was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCommitted {
    /// The log's end now: one more than its last page's sequence.
    pub end: u64,
}

/// A run has ended, well or not.
#[derive(Debug, Clone)]
pub struct RunFinish {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// The feed.
    pub feed: FeedId,
    /// The feed's new state.
    pub state: FeedState,
    /// When to poll next; none while it has no active webhook or is unhealthy.
    pub due_at: Option<DateTime<Utc>>,
    /// The run's audit row.
    pub call: Option<ApiCall>,
    /// What the run says of the connection's credentials, where that is to be noted.
    pub contact: Option<Contact>,
}

/// A feed to be polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueFeed {
    /// The feed.
    pub feed: FeedId,
    /// Its shard.
    pub shard: ShardId,
    /// When.
    pub due_at: DateTime<Utc>,
}

/// What a poll of a feed begins with, as it is at one time.
#[derive(Debug, Clone)]
pub struct PollStart {
    /// The feed.
    pub feed: Feed,
    /// Its connection.
    pub connection: Connection,
    /// How polling goes.
    pub state: FeedState,
    /// How often a poll was asked for.
    pub pings: u64,
    /// Where its log begins and ends.
    pub log: LogHead,
}

/// Feeds.
#[async_trait]
pub trait Feeds {
    /// The feed of this id.
    async fn feed(&self, id: FeedId) -> Result<Option<Feed>, StoreError>;

    /// A connection's feeds in the order of their ids.
    async fn feeds_of_connection(&self, connection: ConnectionId, limit: usize) -> Result<Vec<Feed>, StoreError>;

    /// How polling goes; the default for a feed that never ran.
    async fn feed_state(&self, id: FeedId) -> Result<FeedState, StoreError>;

    /// How polling of several goes, in their order.
    async fn feed_states(&self, ids: &[FeedId]) -> Result<Vec<FeedState>, StoreError>;

    /// What a poll begins with; none where the feed or its connection is gone.
    async fn poll_start(&self, feed: FeedId) -> Result<Option<PollStart>, StoreError>;

    /// How far a feed, or one of its parents, has read, and the log that is to be added to.
    async fn stand(&self, feed: FeedId, parent: &str) -> Result<(Progress, LogHead), StoreError>;

    /// How far a feed, or one of its parents, has read; the default where it has not.
    async fn progress(&self, feed: FeedId, parent: &str) -> Result<Progress, StoreError>;

    /// When a feed is due; none where it is not polled.
    async fn feed_due(&self, id: FeedId) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Feeds of these shards that are due until then, soonest first, and behind them the next one that is not.
    async fn due_feeds(
        &self,
        shards: &[ShardId],
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueFeed>, StoreError>;

    /// Asks for a poll now, and answers how often that was asked.
    ///
    /// - A run that began before is followed by another: the count is durable before this returns.
    /// - The feed is due at `now` unless it was due sooner. A feed without an active webhook is not made due.
    async fn ping_feed(&self, feed: FeedId, now: DateTime<Utc>) -> Result<u64, StoreError>;

    /// How often a poll was asked for.
    async fn pings(&self, feed: FeedId) -> Result<u64, StoreError>;

    /// What the ledger holds of these records, in their order.
    async fn ledger(&self, feed: FeedId, ids: &[&str]) -> Result<Vec<Option<LedgerEntry>>, StoreError>;

    /// Keeps one page.
    ///
    /// - [`StoreError::Fenced`] where the lease is another's, [`StoreError::Conflict`] where the log's end or the
    ///   feed's revision is not the expected one, [`StoreError::Missing`] where the feed is gone.
    /// - Log pages get the sequences from the expected end on, in their order.
    /// - Commits of one feed are kept in the order they were asked for; after one has failed, those behind it fail too.
    async fn commit_page(&self, commit: PageCommit) -> Result<PageCommitted, StoreError>;

    /// Ends a run: state, next due time and audit row.
    ///
    /// - Where the feed was pinged since `state.pings_done`, it is due at once instead.
    /// - An empty run's row right after another empty run's is folded into it (its count grows).
    /// - The connection's health follows what the vendor made of its credentials: unhealthy once it refuses them, healthy
    ///   once it accepts them and no other feed is refused. Each change is told by one notification.
    /// - A refusal that a ping came upon is not kept: new credentials ping, and the next run tells.
    /// - A feed that becomes unhealthy for another reason, or healthy again, is told of to each of its active webhooks.
    async fn finish_run(&self, finish: RunFinish) -> Result<(), StoreError>;

    /// Cleans up rows of deleted feeds, a bounded number at a time; true while there are more.
    async fn clean_up(&self, rows_max: usize) -> Result<bool, StoreError>;
}
