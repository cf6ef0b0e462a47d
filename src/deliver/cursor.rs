//! Where a pump stands in its streams.

use crate::ids::JobId;
use crate::store::{JobMode, ListingJob, Position, Stream};

/// A place, and up to where it is kept or on its way to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) position: Position,
    pub(super) kept: Position,
}

impl Cursor {
    pub(super) fn at(position: Position) -> Self {
        Cursor { position, kept: position }
    }
}

/// A listing whose pages are delivered.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) job: JobId,
    /// True if the log waits for its end.
    pub(super) holds_log: bool,
    pub(super) cursor: Cursor,
}

impl Listing {
    /// None if the job is over: nothing of it is delivered any more.
    pub(super) fn of(job: &ListingJob) -> Option<Self> {
        let holds_log = job.mode != JobMode::Backfill;
        job.is_open().then(|| Listing { job: job.id, holds_log, cursor: Cursor::at(job.position) })
    }

    pub(super) fn stream(&self) -> Stream {
        Stream::Listing(self.job)
    }
}
