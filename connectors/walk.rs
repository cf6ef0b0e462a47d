//! The arithmetic of paging over a listing that moves while it is read.
//!
//! - Where the vendor filters and sorts by `updated_at` and gives no token, the next page asks again from the last time
//!   seen, and an offset is used only inside one tied time.
//! - Else offset pages overlap by one record, and step back if it does not reappear.
//! - The same non-empty page again, too many empty ones, or a tie beyond the vendor's result window end the walk with an
//!   error of its own name.
//!
//! Nothing here does IO: [`Walk::ask`] says what to ask for, [`Walk::step`] takes what came.

use crate::contract::{CursorKind, FilterBound, Listing, ListingKind, Next, ObjectSpec, Order, Page, Paging, Place};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use thiserror::Error;

/// Empty pages in a row that a listing may have before it counts as endless.
const EMPTY_PAGES_MAX: u32 = 16;
/// Pages remembered to notice that a listing goes round in circles.
const REMEMBERED_PAGES: usize = 8;
/// How often an offset walk steps back for a record that did not reappear before it goes on.
const STEPS_BACK_MAX: u32 = 3;

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
}

/// Why a walk cannot go on. All of these are permanent: the same listing would end the same way.
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

/// One walk over one listing.
#[derive(Debug, Clone)]
pub struct Walk {
    listing: Listing,
    limit: u32,
    result_window: Option<u32>,
    granule: Duration,
    bound: Option<DateTime<Utc>>,
    at: Checkpoint,
    seeking: bool,
    ordered: bool,
    recent: VecDeque<u64>,
    empty_pages: u32,
    steps_back: u32,
    overlap_id: Option<String>,
}

impl Walk {
    /// A walk over one of the spec's listings from a lower bound of `updated_at`, from the start or a checkpoint.
    /// `limit` is cut to the spec's page size.
    pub fn new(
        spec: &ObjectSpec,
        kind: ListingKind,
        bound: Option<DateTime<Utc>>,
        limit: u32,
        resume: Option<Checkpoint>,
    ) -> Self {
        let listing = *spec.listing(kind);
        let filters = matches!(listing.cursor, CursorKind::Updated(FilterBound::Inclusive | FilterBound::Exclusive));
        Walk {
            listing,
            limit: limit.clamp(1, spec.page_size.max(1)),
            result_window: spec.result_window,
            granule: Duration::milliseconds(i64::try_from(spec.granularity_ms).unwrap_or(i64::MAX)),
            bound,
            at: resume.unwrap_or(Checkpoint { from: bound, ..Checkpoint::default() }),
            seeking: filters && listing.order == Order::UpdatedAscending && listing.paging != Paging::Token,
            ordered: true,
            recent: VecDeque::with_capacity(REMEMBERED_PAGES),
            empty_pages: 0,
            steps_back: 0,
            overlap_id: None,
        }
    }

    /// The lower bound to ask the vendor with: stepped back by a granule where its filter is exclusive, none where it
    /// does not filter.
    pub fn updated_gte(&self) -> Option<DateTime<Utc>> {
        match self.listing.cursor {
            CursorKind::Updated(FilterBound::Inclusive) => self.at.from,
            CursorKind::Updated(FilterBound::Exclusive) => self.at.from.map(|from| from - self.granule),
            CursorKind::Updated(FilterBound::ReadUntil) | CursorKind::Token | CursorKind::Nothing => None,
        }
    }

    /// Where in the listing the next page stands.
    pub fn place(&self) -> Place<'_> {
        match (&self.at.token, self.at.offset) {
            (Some(token), _) => Place::Token(token),
            (None, 0) => Place::Start,
            (None, offset) => Place::Offset(offset),
        }
    }

    /// How many records the next page may hold.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Where the walk stands, to be kept once what came before it is.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.at
    }

    /// True while every record up to the last one seen has been listed: the order is by `updated_at`, oldest first,
    /// and the answers kept to it. Only then may a watermark move before the end.
    pub fn ascends(&self) -> bool {
        self.listing.order == Order::UpdatedAscending
            && self.ordered
            && (self.seeking || self.listing.paging == Paging::Token)
    }

    /// Takes the page that answered, and says how to go on.
    pub fn step(&mut self, page: &Page<'_>) -> Result<Step, WalkError> {
        self.notice_cycles(page)?;
        if !is_ascending(page) && self.listing.order == Order::UpdatedAscending {
            self.ordered = false;
            self.seeking = false;
        }
        match &page.next {
            Next::End => Ok(Step::End),
            _ if self.is_past_bound(page) => Ok(Step::End),
            Next::Token(token) => self.follow(token, 0),
            Next::Later { token, wait_ms } => self.follow(token, *wait_ms),
            Next::More if self.seeking => self.seek(page, None),
            Next::From(reached) if self.seeking => self.seek(page, Some(*reached)),
            Next::More | Next::From(_) => self.offset(page),
        }
    }

    /// Newest first: once a record is older than the bound, nothing after it is of interest.
    fn is_past_bound(&self, page: &Page<'_>) -> bool {
        self.listing.cursor == CursorKind::Updated(FilterBound::ReadUntil)
            && self
                .bound
                .is_some_and(|bound| page.records.iter().any(|record| record.updated_at.is_some_and(|at| at < bound)))
    }

    fn notice_cycles(&mut self, page: &Page<'_>) -> Result<(), WalkError> {
        if page.next == Next::End {
            return Ok(());
        }
        if page.listed() == 0 && !self.is_passing(page) {
            self.empty_pages += 1;
            return if self.empty_pages >= EMPTY_PAGES_MAX { Err(WalkError::Endless) } else { Ok(()) };
        }
        self.empty_pages = 0;
        let print = fingerprint(page);
        // A page of one record is what an overlap or a tie may well give again.
        if self.recent.contains(&print) && page.listed() > 1 {
            return Err(WalkError::Cycle);
        }
        if self.recent.len() == REMEMBERED_PAGES {
            self.recent.pop_front();
        }
        self.recent.push_back(print);
        Ok(())
    }

    /// True for a page of records that were all left out, where the next one starts later.
    fn is_passing(&self, page: &Page<'_>) -> bool {
        self.seeking && matches!(page.next, Next::From(reached) if self.at.from.is_none_or(|from| reached > from))
    }

    fn follow(&mut self, token: &str, wait_ms: u64) -> Result<Step, WalkError> {
        if self.at.token.as_deref() == Some(token) && wait_ms == 0 {
            return Err(WalkError::Cycle);
        }
        self.at.token = Some(token.to_owned());
        Ok(if wait_ms == 0 { Step::Ask } else { Step::Wait(wait_ms) })
    }

    /// By time: from the last one seen, by offset only while the time does not move. `reached` is the last time among
    /// records that the connector left out.
    fn seek(&mut self, page: &Page<'_>, reached: Option<DateTime<Utc>>) -> Result<Step, WalkError> {
        let last = page.records.iter().filter_map(|record| record.updated_at).max().max(reached);
        match (self.at.from, last) {
            (from, Some(last)) if from.is_none_or(|from| last > from) => {
                self.at.from = Some(last);
                self.at.offset = 0;
                // A page of one tied time comes again, now as the first from that time on: that is no circle.
                self.recent.clear();
                Ok(Step::Ask)
            }
            _ => self.advance(page.listed() as u64),
        }
    }

    /// By offset, overlapping by one record.
    fn offset(&mut self, page: &Page<'_>) -> Result<Step, WalkError> {
        if self.listing.paging == Paging::PageNumber {
            return self.advance(page.listed() as u64);
        }
        let reappeared =
            self.overlap_id.as_ref().is_none_or(|id| page.records.iter().any(|record| record.id == id.as_str()));
        if !reappeared && self.steps_back < STEPS_BACK_MAX && self.at.offset > 0 {
            self.steps_back += 1;
            self.at.offset = self.at.offset.saturating_sub(u64::from(self.limit));
            self.overlap_id = None;
            self.recent.clear();
            return Ok(Step::Ask);
        }
        self.steps_back = 0;
        self.overlap_id = page.records.last().map(|record| record.id.clone().into_owned());
        let overlap = u64::from(page.listed() > 1);
        self.advance(page.listed() as u64 - overlap.min(page.listed() as u64))
    }

    fn advance(&mut self, records: u64) -> Result<Step, WalkError> {
        self.at.offset +=
            if self.listing.paging == Paging::PageNumber { u64::from(self.limit) } else { records.max(1) };
        match self.result_window {
            Some(window) if self.at.offset + u64::from(self.limit) > u64::from(window) => {
                Err(WalkError::TieTooLarge { window })
            }
            _ => Ok(Step::Ask),
        }
    }
}

fn is_ascending(page: &Page<'_>) -> bool {
    page.records.iter().filter_map(|record| record.updated_at).is_sorted()
}

fn fingerprint(page: &Page<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for record in &page.records {
        (&record.id, record.updated_at, &record.revision).hash(&mut hasher);
    }
    for bad in &page.bad {
        (&bad.id, &bad.raw).hash(&mut hasher);
    }
    hasher.finish()
}
