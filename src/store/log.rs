//! The log: each feed's durable, ordered pages of changes.

use super::{Keep, Kept, KeptDeletion, LedgerEntry, StoreError, Trim};
use crate::ids::{ConnectionId, FeedId};
use crate::log::EncodedPage;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Pages that one call trims.
pub const TRIM_PAGES_MAX: u64 = 256;

/// Where a log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogHead {
    /// The sequence of the oldest page still there.
    pub start: u64,
    /// The sequence of the next page.
    pub end: u64,
    /// Stored bytes of its pages.
    pub bytes: u64,
}

/// What native arrivals add to one feed.
#[derive(Debug, Clone)]
pub struct ArrivalFeed {
    /// The feed.
    pub feed: FeedId,
    /// The log's end that the diff was made against.
    pub expected_end: u64,
    /// Ledger rows to set.
    pub ledger: Vec<(String, LedgerEntry)>,
    /// Changes for the log.
    pub pages: Vec<EncodedPage>,
}

/// The vendor's id of a native delivery, hashed.
pub type DeliveryKey = [u8; 16];

/// What became of a native delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It is kept.
    Kept,
    /// It came before; nothing of it is kept again.
    Repeated,
}

/// One native delivery, for all feeds it touches, all or nothing. Any node may take it in, so there is no fence.
#[derive(Debug, Clone)]
pub struct ArrivalCommit {
    /// The connection it came for.
    pub connection: ConnectionId,
    /// Feeds whose logs grow.
    pub appends: Vec<ArrivalFeed>,
    /// Feeds to be polled now.
    pub pings: Vec<FeedId>,
    /// The vendor's id of it, where it has one.
    pub delivery: Option<DeliveryKey>,
    /// Now, by our clock.
    pub now: chrono::DateTime<chrono::Utc>,
}

/// Logs.
#[async_trait]
pub trait Log {
    /// Where a feed's log begins and ends.
    async fn log_head(&self, feed: FeedId) -> Result<LogHead, StoreError>;

    /// The stored page with this sequence; none where it is trimmed or not there yet.
    async fn log_page(&self, feed: FeedId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a native delivery.
    ///
    /// - [`StoreError::Conflict`] where a log's end is not the expected one; nothing of it is kept then.
    /// - Of a connection's deliveries with the same id the first is kept and each other is [`Arrived::Repeated`], for as
    ///   long and as many as [`crate::limits::StoreLimits`] says.
    /// - A ping counts, but makes no feed due whose credentials the vendor refuses.
    async fn commit_arrival(&self, commit: ArrivalCommit) -> Result<Arrived, StoreError>;

    /// Forgets pages, a bounded number at a time ([`TRIM_PAGES_MAX`]), and answers where the log begins now.
    ///
    /// - A webhook that has yet to read one of them is marked in the same unit: as behind from when on the trim says,
    ///   else from an unknown time. Marks add up; one that has read them all is not marked, and one that reads on to what
    ///   is left, because pages were still at hand, is marked no longer.
    /// - Deletions are kept with the marks while some webhook of the feed is behind. One of a record that returned is
    ///   void. Those beyond the age or number to be kept go, the oldest first, and webhooks that missed them are marked
    ///   as having lost deletions.
    /// - Pages that go are kept before the log's beginning as long as the trim says, so that they can be sent again. For
    ///   whoever reads the log they are gone, and they are none of its bytes.
    async fn trim_log(&self, trim: Trim) -> Result<u64, StoreError>;

    /// What is kept of a feed before its log's beginning. Of one that an older build has trimmed nothing is known: it is
    /// as if that had been now.
    async fn kept(&self, feed: FeedId, now: DateTime<Utc>) -> Result<Kept, StoreError>;

    /// The stored page with this sequence, also where it is only kept to be sent again.
    async fn kept_page(&self, feed: FeedId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Drops kept pages that are older, or more, than is to be kept, of some feeds behind `after` in the order of their
    /// ids. Answers the last one looked at, or none once all have been.
    async fn forget_kept(
        &self,
        after: Option<FeedId>,
        keep: Keep,
        feeds_max: usize,
    ) -> Result<Option<FeedId>, StoreError>;

    /// A feed's kept deletions in the order of their ids, after `after`.
    async fn kept_deletions(
        &self,
        feed: FeedId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptDeletion>, StoreError>;
}
