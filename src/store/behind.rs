//! Webhooks that fall behind: what of their log is trimmed before they read it, and how they catch up.

use super::{ApiCall, Fence, Keep, ListingJob};
use crate::ids::{FeedId, WebhookId};
use anyhook_connectors::contract::{Change, CreatedAt, CursorKind, Deletions, Listing, ObjectSpec};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a webhook has missed: log pages that were trimmed before it read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// From when on records may have changed that it was not told of, by the vendor's clock; none where that is not
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// The sequence of the first of these pages.
    pub sequence: u64,
    /// How many they are.
    pub pages: u64,
    /// True if deletions among them are not kept.
    #[serde(default)]
    pub lost_deletions: bool,
}

impl Missed {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Missed) -> Missed {
        Missed {
            since: self.since.zip(other.since).map(|(one, other)| one.min(other)),
            sequence: self.sequence.min(other.sequence),
            pages: self.pages + other.pages,
            lost_deletions: self.lost_deletions || other.lost_deletions,
        }
    }

    /// Whether a webhook of this event has to list to catch up, or what was kept of deletions is all it missed.
    pub fn has_to_be_listed(&self, event: Change, spec: &ObjectSpec) -> bool {
        event != Change::Deleted || (self.lost_deletions && spec.deletions != Deletions::Silent)
    }

    /// Of what a webhook of this event is told too much or too little when it catches up; none where that is exact.
    pub fn what_is_inexact(&self, event: Change, spec: &ObjectSpec) -> Option<&'static str> {
        let takes_time = |listing: &Listing| matches!(listing.cursor, CursorKind::Updated(_));
        let has_time = self.since.is_some() && (takes_time(&spec.live) || takes_time(&spec.history));
        match (event, self.lost_deletions) {
            (Change::Deleted, false) => None,
            (Change::Deleted, true) if spec.deletions == Deletions::Silent => {
                Some("some deletions were not kept and the vendor does not list them, so they are not told")
            }
            (Change::Deleted, true) => {
                Some("some deletions were not kept, and of these only those are told that the vendor still lists")
            }
            (Change::Created, _) if spec.created_at == CreatedAt::Absent => {
                Some("the vendor does not tell when records were created, so those that only changed are told too")
            }
            _ if !has_time => {
                Some("what changed meanwhile cannot be told from what did not, so the whole history is told")
            }
            _ => None,
        }
    }
}

/// A deletion from a trimmed page, kept for webhooks that have yet to be told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDeletion {
    /// The record's id.
    pub id: String,
    /// The page it was on.
    pub sequence: u64,
    /// When it was logged, by our clock.
    pub at: DateTime<Utc>,
    /// The unified object: compact JSON.
    pub object: String,
    /// The vendor's object: compact JSON; none where raws are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// Pages to be forgotten, and what is to be remembered of them.
#[derive(Debug, Clone)]
pub struct Trim {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// The feed.
    pub feed: FeedId,
    /// Pages before this one go.
    pub before: u64,
    /// What webhooks miss by that.
    pub missed: Vec<(WebhookId, Missed)>,
    /// Deletions on these pages that are to be told later.
    pub deletions: Vec<KeptDeletion>,
    /// Ids of records on these pages that are there (again): deletions of them that are kept are void.
    pub returned: Vec<String>,
    /// Deletions that were logged before are kept no longer.
    pub keep_since: DateTime<Utc>,
    /// Deletions kept at most; the oldest make room.
    pub keep_max: usize,
    /// How long the pages themselves are kept, to be sent again.
    pub keep: Keep,
}

impl Trim {
    /// A trim of pages of which nothing is to be remembered.
    pub fn new(fence: Fence, feed: FeedId, before: u64) -> Self {
        Trim {
            fence,
            feed,
            before,
            missed: Vec::new(),
            deletions: Vec::new(),
            returned: Vec::new(),
            keep_since: DateTime::<Utc>::MIN_UTC,
            keep_max: usize::MAX,
            keep: Keep::nothing(DateTime::UNIX_EPOCH),
        }
    }
}

/// A webhook behind its log begins to catch up.
#[derive(Debug, Clone)]
pub struct CatchUp {
    /// Proof of the shard's lease.
    pub fence: Fence,
    /// Its listing job, of [`super::JobMode::CatchUp`]. Its range begins where the webhook's mark or what is skipped does,
    /// whichever is earlier.
    pub job: ListingJob,
    /// The page of the log that comes after it.
    pub resume_at: u64,
    /// What is left of the log before that page, which is listed too.
    pub skipped: Option<Missed>,
    /// The audit row that tells of it.
    pub call: ApiCall,
}
