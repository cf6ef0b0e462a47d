//! Sweeps: whole listings that find what a vendor deleted without telling.
//!
//! A sweep lists everything and remembers a hash of each id it saw; then it looks through the ledger for records that it
//! did not see, its suspects; then it asks the vendor for each of these. It is kept with each page, so that it goes on
//! where a restart ended it.

use super::{Fence, LedgerEntry, PageCommitted, StoreError};
use crate::ids::FeedId;
use crate::log::EncodedPage;
use anyhook_connectors::walk::Checkpoint;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a sweep is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepPhase {
    /// Nothing: the last one has ended, or there was none.
    #[default]
    Resting,
    /// Listing everything.
    Listing,
    /// Looking through the ledger for what was not listed.
    Comparing,
    /// Asking the vendor for each suspect.
    Asking,
}

/// How the sweep of a feed stands; written by the feed's runs alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sweep {
    /// Grows by one with each sweep; its rows are kept under it.
    pub generation: u64,
    /// What it is at.
    pub phase: SweepPhase,
    /// True if the next one is to begin at once, whatever the vendor tells of deletions.
    pub is_wanted: bool,
    /// The vendor's clock when it began; none before its first answer.
    pub began_at: Option<DateTime<Utc>>,
    /// The parent being listed; empty where there is none, or before the first.
    pub parent: String,
    /// Where the walk stands.
    pub checkpoint: Option<Checkpoint>,
    /// How often it began anew because the vendor no longer accepted its token.
    pub restarts: u32,
    /// Failures in a row.
    pub failures: u32,
    /// Requests so far; of the last one while resting.
    pub requests: u64,
    /// Rows of ids seen. The store counts.
    pub seen_rows: u64,
    /// Hashes below this are compared.
    pub compared: u64,
    /// The ledger's last id that was compared in this pass; none at its beginning.
    pub scanned: Option<String>,
    /// Records of the ledger that are not deleted, as far as they are compared.
    pub live: u64,
    /// Suspects, as far as the ledger is compared.
    pub missing: u64,
    /// Rows of suspects. The store counts.
    pub suspect_rows: u64,
    /// The row of suspects being asked for.
    pub asking_row: u64,
    /// Suspects of that row that are done with.
    pub asked: u64,
    /// Where there are too many suspects for one sweep, those with a hash from here on are asked for.
    pub turn: u64,
    /// Rows of suspects that are asked for on trial: nothing is told of them, but those that are gone stand in further
    /// rows.
    pub trial_rows: u64,
    /// Suspects of these rows that are gone.
    pub tried: u64,
    /// Suspects that were told to be gone.
    pub gone: u64,
    /// When the last one ended, by our clock.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A step of a sweep: what it changes, all or nothing.
#[derive(Debug, Clone)]
pub struct SweepCommit {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// The feed.
    pub feed: FeedId,
    /// The feed's revision that the run works under.
    pub feed_revision: u64,
    /// The log's end that the step was made against.
    pub expected_end: u64,
    /// How the sweep stands then. Its rows are counted by the store.
    pub sweep: Sweep,
    /// Hashes of ids that a page listed: one row.
    pub seen: Vec<u64>,
    /// Ids of suspects: one row.
    pub suspects: Vec<String>,
    /// Ledger rows to set, each id once.
    pub ledger: Vec<(String, LedgerEntry)>,
    /// Ids that the ledger is to forget.
    pub forget: Vec<String>,
    /// Changes for the log; empty pages are not logged.
    pub pages: Vec<EncodedPage>,
}

/// Sweeps.
#[async_trait]
pub trait Sweeps {
    /// How a feed's sweep stands; the default where there was none.
    async fn sweep(&self, feed: FeedId) -> Result<Sweep, StoreError>;

    /// Keeps a step, and sets `sweep` to how it is kept.
    ///
    /// - [`StoreError::Fenced`], [`StoreError::Conflict`] and [`StoreError::Missing`] as for
    ///   [`super::Feeds::commit_page`]; nothing is kept then.
    /// - Rows come behind those of the same generation; empty ones are left out.
    /// - Rows of an earlier generation, and of a sweep that rests, are found by nobody and cleaned up.
    async fn commit_sweep(&self, commit: SweepCommit) -> Result<(Sweep, PageCommitted), StoreError>;

    /// Up to `limit` rows of ids seen by the sweep under way, from row `first` on.
    async fn seen_rows(&self, feed: FeedId, first: u64, limit: usize) -> Result<Vec<Vec<u64>>, StoreError>;

    /// A row of suspects of the sweep under way; empty where there is none.
    async fn suspect_row(&self, feed: FeedId, row: u64) -> Result<Vec<String>, StoreError>;

    /// The ledger in the order of ids, behind `after`: at least `limit` records where there are as many, and not many
    /// more.
    ///
    /// - None is left out or comes twice, however many calls it takes; the last call's answer is empty.
    async fn ledger_after(
        &self,
        feed: FeedId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, LedgerEntry)>, StoreError>;
}
