//! A run that lists everything, looked through for what it did not list.

use super::seen::{Seen, hashes};
use crate::poll::transport::VendorAnswer;
use anyhook_connectors::contract::Page;
use chrono::{DateTime, Utc};

/// What a run has listed so far.
#[derive(Debug, Clone)]
pub struct Look {
    seen: Seen,
    began_at: Option<DateTime<Utc>>,
    is_whole: bool,
    must_list: bool,
}

impl Look {
    /// Nothing yet. `must_list` says that an answer without records, because nothing changed, will not do.
    pub(super) fn new(seen: Seen, must_list: bool) -> Self {
        Look { seen, began_at: None, is_whole: true, must_list }
    }

    /// True where the vendor is to list everything, changed or not.
    pub(in crate::poll) fn must_list(&self) -> bool {
        self.must_list
    }

    /// Notes a page. One that the vendor did not send because nothing changed leaves nothing to look through, and a
    /// record without an id may be any.
    pub(in crate::poll) fn note(&mut self, page: &Page<'_>, answer: &VendorAnswer) {
        self.began_at.get_or_insert(answer.server_time);
        match hashes(page) {
            Some(hashes) if !answer.is_unchanged() => self.seen.add(&hashes),
            _ => self.is_whole = false,
        }
    }

    /// What was listed, and the vendor's clock when it began; none where it does not say what is there.
    pub(super) fn finish(mut self) -> Option<(Seen, DateTime<Utc>)> {
        self.seen.sort();
        Some((self.seen, self.began_at?)).filter(|_| self.is_whole)
    }
}
