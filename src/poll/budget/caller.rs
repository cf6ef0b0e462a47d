//! Who asks a vendor: by that, calls of one budget take turns.

use super::turns::Lane;
use crate::ids::{ConnectionId, FeedId, JobId};

/// What goes first where a budget is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Priority {
    /// What someone waits for now: polls of the live line, and single calls.
    Live,
    /// Listing jobs (back-fills, catch-ups, sweeps, a ledger that is made deep). They keep a share of the budget.
    Listing,
}

/// Who asks. Callers of the same priority take turns, however much each of them wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    /// What goes first.
    pub priority: Priority,
    /// Whose turn it is: the id of a feed, job or connection.
    lane: Lane,
}

impl Caller {
    /// A poll of the live line.
    pub fn poll(feed: FeedId) -> Self {
        Caller { priority: Priority::Live, lane: *feed.as_bytes() }
    }

    /// A feed's silent listing of everything there is, before it can be polled.
    pub fn baseline(feed: FeedId) -> Self {
        Caller { priority: Priority::Listing, lane: *feed.as_bytes() }
    }

    /// A sweep for deletions.
    pub fn sweep(feed: FeedId) -> Self {
        Caller { priority: Priority::Listing, lane: *feed.as_bytes() }
    }

    /// A listing job.
    pub fn job(job: JobId) -> Self {
        Caller { priority: Priority::Listing, lane: *job.as_bytes() }
    }

    /// A single call for a connection, such as the registration of a native webhook.
    pub fn single(connection: ConnectionId) -> Self {
        Caller { priority: Priority::Live, lane: *connection.as_bytes() }
    }

    /// Whose turn it is.
    pub(super) fn lane(self) -> Lane {
        self.lane
    }
}
