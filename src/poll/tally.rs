//! What a run has come to, for its audit row.

use super::sweep::Look;
use super::transport::CallCost;
use crate::store::ChangeCounts;
use anyhook_connectors::contract::BadRecord;

/// Unreadable records whose ids a run names.
const BAD_NAMED_MAX: usize = 5;

/// What a run has come to so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// What its calls cost.
    pub cost: CallCost,
    /// Changes found.
    pub changes: ChangeCounts,
    /// Records listed, readable or not.
    pub listed: u64,
    /// Those that could not be read.
    pub bad: u64,
    /// Some of these, with what is wrong.
    pub bad_named: Vec<String>,
    /// True if the run ended before the listing did, to go on in the next one.
    pub is_unfinished: bool,
    /// What it listed, where that is looked through for deletions.
    pub look: Option<Look>,
    /// Why a sweep failed behind it.
    pub sweep_error: Option<String>,
    /// True if the next run asks from further on than this one did.
    pub has_moved: bool,
    /// True if a parent could not be read while others were.
    pub has_failed_parent: bool,
    /// True if the run asked nothing because deliveries are behind.
    pub is_held: bool,
}

impl Tally {
    /// Counts records that could not be read, and names some.
    pub(super) fn note_bad(&mut self, bad: &[BadRecord]) {
        self.bad += bad.len() as u64;
        for record in bad.iter().take(BAD_NAMED_MAX.saturating_sub(self.bad_named.len())) {
            let id = record.id.as_deref().unwrap_or("?");
            self.bad_named.push(format!("{id}: {}", record.error));
        }
    }
}
