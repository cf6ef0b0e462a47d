//! The arithmetic of paging over a listing that moves while it is read.
//!
//! - Where the vendor filters and sorts by `updated_at` and gives no token, the next page asks again from the last time
//!   seen, and an offset is used only inside one tied time.
//! - Offset pages overlap by one record. If it does not reappear, records before it have gone, and the walk steps back,
//!   twice as far each time, so that none that stays is missed. Page numbers cannot overlap: they are safe only where
//!   the order is stable or times tie rarely.
//! - A page without records though more follow is asked for once more before its places are passed over: it may stand for
//!   records that this account may not see, or come of a vendor's trouble.
//! - A vendor that ignores the filter or the order is walked by offset.
//! - The same non-empty page again, too many empty ones, or a tie beyond the vendor's result window end the walk with an
//!   error of its own name.
//!
//! Nothing here does IO: [`Walk::ask`] says what to ask for, [`Walk::step`] takes what came.

mod print;
mod state;

pub use state::{Checkpoint, Step, WalkError};

use crate::contract::{
    CursorKind, FilterBound, Listing, ListingKind, Next, ObjectSpec, Order, Page, Paging, Place, Record,
};
use chrono::{DateTime, Duration, Utc};
use print::{fingerprint, last_prints, print, prints};
use state::EMPTY_PAGES_MAX;
use std::collections::VecDeque;

/// Pages remembered to notice that a listing goes round in circles.
const REMEMBERED_PAGES: usize = 8;
/// How often an offset walk steps back without getting further than it was.
const STEPS_BACK_MAX: u32 = 64;
/// How often a page may be seen again while an offset moves: records that come in at the front push it back.
const REPEATS_MAX: u32 = 3;

/// How long to wait before an empty page is asked for once more, in milliseconds.
const EMPTY_WAIT_MS: u64 = 1_000;

/// Records of a history remembered so that they are not told twice.
const TOLD_MAX: usize = 10_000;

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
    newest: Option<DateTime<Utc>>,
    recent: VecDeque<u64>,
    repeats: u32,
    empty_pages: u32,
    doubts: bool,
    steps_back: u32,
    stride: u64,
    furthest: u64,
    is_history: bool,
    filters: bool,
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
            newest: None,
            recent: VecDeque::with_capacity(REMEMBERED_PAGES),
            repeats: 0,
            empty_pages: 0,
            doubts: false,
            steps_back: 0,
            stride: 0,
            furthest: 0,
            is_history: kind == ListingKind::History,
            filters,
        }
    }

    /// The same where no ledger keeps a record from being told twice: what was listed is remembered, as of a history.
    #[must_use]
    pub fn remembering(self) -> Self {
        Walk { is_history: true, ..self }
    }

    /// The lower bound to ask the vendor with: stepped back by a granule where its filter is exclusive, none where it
    /// does not filter.
    pub fn updated_gte(&self) -> Option<DateTime<Utc>> {
        match self.listing.cursor {
            CursorKind::Updated(FilterBound::Inclusive) => self.at.from,
            CursorKind::Updated(FilterBound::Exclusive) => self.at.from.map(|from| from - self.granule),
            CursorKind::Updated(FilterBound::ReadUntil)
            | CursorKind::Token
            | CursorKind::Nothing
            | CursorKind::Pushed => None,
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
    /// the answers kept to it, and the last page did not make the walk step back. Only then may a watermark move before
    /// the end.
    pub fn ascends(&self) -> bool {
        self.listing.order == Order::UpdatedAscending
            && self.ordered
            && self.stride == 0
            && (self.seeking || self.listing.paging == Paging::Token)
    }

    /// True for a record of a history that a page before has listed as it is now. To be asked before
    /// [`Walk::step`] takes the page.
    pub fn is_told(&self, record: &Record<'_>) -> bool {
        !self.at.told.is_empty() && self.at.told.contains(&print(record))
    }

    /// Takes the page that answered, and says how to go on.
    pub fn step(&mut self, page: &Page<'_>) -> Result<Step, WalkError> {
        // A token's place may be asked for once alone.
        let is_empty = page.listed() == 0 && page.next == Next::More;
        self.doubts = is_empty && !self.doubts;
        if self.doubts {
            return Ok(Step::Wait(EMPTY_WAIT_MS));
        }
        self.notice_cycles(page)?;
        self.notice_disorder(page);
        if self.has_gap(page) {
            return self.step_back();
        }
        self.stride = 0;
        match &page.next {
            Next::End => Ok(Step::End),
            _ if self.is_past_bound(page) => Ok(Step::End),
            Next::Token(token) => self.follow(page, token, 0),
            Next::Later { token, wait_ms } => self.follow(page, token, *wait_ms),
            Next::More if self.seeking => self.seek(page, None),
            Next::From(reached) if self.seeking => self.seek(page, Some(*reached)),
            Next::More | Next::From(_) => self.advance(page),
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
        if self.recent.contains(&print) {
            self.repeats += 1;
            let may_repeat = self.listing.paging == Paging::Offset && !self.seeking;
            return if may_repeat && self.repeats <= REPEATS_MAX { Ok(()) } else { Err(WalkError::Cycle) };
        }
        self.repeats = 0;
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

    /// Goes by offset from here on where the vendor keeps neither to the order nor to the bound.
    fn notice_disorder(&mut self, page: &Page<'_>) {
        let times = || page.records.iter().filter_map(|record| record.updated_at);
        let is_older = |than: Option<DateTime<Utc>>| than.is_some_and(|than| times().any(|at| at < than));
        let pages_ascend = self.listing.paging != Paging::Token || !is_older(self.newest);
        if self.listing.order == Order::UpdatedAscending && !(times().is_sorted() && pages_ascend) {
            self.ordered = false;
            self.seeking = false;
        }
        if is_older(self.at.from.map(|from| from - self.granule)) {
            self.seeking = false;
        }
        self.newest = self.newest.max(times().max());
    }

    /// True if records before this page have gone, so that others may have slipped past its start.
    fn has_gap(&self, page: &Page<'_>) -> bool {
        let overlap = &self.at.overlap;
        self.at.offset > 0
            && !overlap.is_empty()
            && !prints(page, self.listing.order).any(|print| overlap.contains(&print))
    }

    fn step_back(&mut self) -> Result<Step, WalkError> {
        self.steps_back += 1;
        if self.steps_back > STEPS_BACK_MAX {
            return Err(WalkError::Shrinking);
        }
        self.stride = (self.stride * 2).max(u64::from(self.limit));
        self.at.offset = self.at.offset.saturating_sub(self.stride);
        self.recent.clear();
        Ok(Step::Ask)
    }

    fn follow(&mut self, page: &Page<'_>, token: &str, wait_ms: u64) -> Result<Step, WalkError> {
        if self.at.token.as_deref() == Some(token) && wait_ms == 0 {
            return Err(WalkError::Cycle);
        }
        self.note_reached(page);
        self.at.token = Some(token.to_owned());
        Ok(if wait_ms == 0 { Step::Ask } else { Step::Wait(wait_ms) })
    }

    /// How far a history by tokens has come, so that it can go on by time where the vendor refuses the next token.
    fn note_reached(&mut self, page: &Page<'_>) {
        if !(self.is_history && self.filters && self.ascends()) {
            self.at.reached = None;
            return;
        }
        let last = page.records.iter().filter_map(|record| record.updated_at).max();
        match (last, self.at.reached) {
            (Some(last), reached) if reached.is_none_or(|reached| last > reached) => {
                self.at.told = self.told_since(page, last - self.granule);
                self.at.reached = Some(last);
            }
            _ => self.tell_more(page),
        }
    }

    /// By time: from the last one seen, by offset only while the time does not move. `reached` is the last time among
    /// records that the connector left out.
    fn seek(&mut self, page: &Page<'_>, reached: Option<DateTime<Utc>>) -> Result<Step, WalkError> {
        let last = page.records.iter().filter_map(|record| record.updated_at).max().max(reached);
        match last {
            Some(last) if self.at.from.is_none_or(|from| last > from) => {
                let told = self.told_since(page, last - self.granule);
                self.at = Checkpoint { from: Some(last), told, ..Checkpoint::default() };
                self.furthest = 0;
                // A page full of one time comes again, once, and a later time is no circle.
                self.recent.clear();
                Ok(Step::Ask)
            }
            _ => self.advance(page),
        }
    }

    /// What a next page that begins at `since` may list again.
    fn told_since(&self, page: &Page<'_>, since: DateTime<Utc>) -> Vec<u64> {
        let comes_again = |record: &&Record<'_>| record.updated_at.is_some_and(|at| at >= since);
        let records = page.records.iter().filter(|_| self.is_history);
        records.filter(comes_again).map(print).take(TOLD_MAX).collect()
    }

    /// Inside one tied time all of it may come again; else a page before this one, if the walk steps back.
    fn tell_more(&mut self, page: &Page<'_>) {
        let kept = if self.seeking { TOLD_MAX } else { 2 * self.limit as usize };
        self.at.told.extend(page.records.iter().filter(|_| self.is_history).map(print));
        let surplus = self.at.told.len().saturating_sub(kept);
        self.at.told.drain(..surplus);
    }

    /// By offset, overlapping by one record where the vendor takes any offset.
    fn advance(&mut self, page: &Page<'_>) -> Result<Step, WalkError> {
        self.tell_more(page);
        let (listed, limit) = (page.listed() as u64, u64::from(self.limit));
        let overlaps = self.listing.paging == Paging::Offset && listed > 1;
        self.at.overlap = if overlaps { last_prints(page, self.listing.order) } else { Vec::new() };
        self.at.offset += match self.listing.paging {
            Paging::Offset if overlaps => listed - 1,
            Paging::Offset if listed == 1 => 1,
            // What the vendor hides from this account still takes up places.
            Paging::Offset | Paging::PageNumber | Paging::Token => limit,
        };
        if self.at.offset > self.furthest {
            self.furthest = self.at.offset;
            self.steps_back = 0;
        }
        match self.result_window {
            Some(window) if self.at.offset + limit > u64::from(window) => {
                Err(if self.seeking { WalkError::TieTooLarge { window } } else { WalkError::BeyondWindow { window } })
            }
            _ => Ok(Step::Ask),
        }
    }
}

#[cfg(test)]
mod tests;
