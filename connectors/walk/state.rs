//! What is kept of a walk, and how it goes on or ends.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Empty pages in a row that a listing may have before it counts as endless.
pub(super) const EMPTY_PAGES_MAX: u32 = 16;

/// Where a walk stands; kept so that a listing resumes after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The lower bound of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Records before the next page.
    #[serde(default)]
    pub offset: u64,
    /// The vendor's token for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Fingerprints of the records that the next page starts with, if nothing moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlap: Vec<u64>,
    /// Fingerprints of records that were listed and that the next page may list again. Kept for histories alone: what is
    /// live has a ledger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<u64>,
    /// Up to which `updated_at` a history that is walked by tokens in that order has been listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<DateTime<Utc>>,
}

impl Checkpoint {
    /// Where to go on once the vendor refuses the token: from the time that was reached. None where the listing has to
    /// be begun anew, because it is not in the order of `updated_at` or takes no lower bound of it.
    pub fn without_token(&self) -> Option<Checkpoint> {
        let from = self.reached?;
        Some(Checkpoint { from: Some(from), told: self.told.clone(), ..Checkpoint::default() })
    }
}

/// Why a walk cannot go on. All but [`WalkError::Shrinking`] are permanent: the same listing would end the same way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WalkError {
    /// The listing gives the same page again.
    #[error("the listing goes round in circles: the same page came again")]
    Cycle,
    /// Too many empty pages in a row.
    #[error("the listing gave {EMPTY_PAGES_MAX} empty pages in a row and no end")]
    Endless,
    /// More records share one time than the vendor lets be listed.
    #[error("more records share one updated_at than the vendor's result window of {window} lets be listed")]
    TieTooLarge {
        /// The window in records.
        window: u32,
    },
    /// A listing without a filter has more records than the vendor lets be listed.
    #[error("the listing has more records than the vendor's result window of {window} lets be listed")]
    BeyondWindow {
        /// The window in records.
        window: u32,
    },
    /// Records vanish from the listing faster than it can be read.
    #[error("records leave the listing faster than it can be read")]
    Shrinking,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask for the next page.
    Ask,
    /// Ask for the next page, after this many milliseconds.
    Wait(u64),
    /// The listing has ended.
    End,
}
