//! From where a run reads, and how far it has come. Pure.
//!
//! H is the late-visibility horizon, g the granule, S the vendor's clock when a listing was read, p how far it came.
//! Everything up to p that was visible at S has been read; what was changed after S - H may still have been invisible.
//! So the next run asks from min(p, S - H) - g. On a listing in the order of `updated_at` p and S move with each page,
//! also back into the re-read window, so that a run that breaks off inside it is taken up there and not behind it; on
//! any other, and while the feed learns what is there, they move when the run has ended well. A feed starts at T0: the vendor's clock when the feed was made.

use super::diff::DiffRules;
use crate::store::{Depth, FeedSettings, FeedState, Progress};
use anyhook_connectors::contract::{CreatedAt, CursorKind, Deletions, ObjectSpec};
use chrono::{DateTime, TimeDelta, Utc};

/// A `Date` header has whole seconds, and our clock may be a little ahead: the first guess is this much earlier.
const GUESS_SLACK: TimeDelta = TimeDelta::seconds(2);

/// How far replicas may lag behind each other where the vendor has no horizon.
const REPLICA_LAG: TimeDelta = TimeDelta::minutes(10);

/// What a run asks for and what of it is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The lower bound of the listing; none lists everything.
    pub from: Option<DateTime<Utc>>,
    /// Records not held and changed before this are not news.
    pub quiet_before: Option<DateTime<Utc>>,
    /// True while the feed learns what is there.
    pub is_baseline: bool,
    /// When the feed started, by the vendor's clock.
    pub started_at: DateTime<Utc>,
    /// Up to here all was read before; none where nothing was.
    pub floor: Option<DateTime<Utc>>,
    /// Records created since here were not read by a run that ended well.
    pub created_from: DateTime<Utc>,
}

fn horizon(spec: &ObjectSpec) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(spec.late_visibility_ms).unwrap_or(i64::MAX / 4))
}

fn granule(spec: &ObjectSpec) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(spec.granularity_ms.max(1)).unwrap_or(i64::MAX / 4))
}

/// What the vendor calls this time. A record of its granule may have changed before it or after it: better told than lost.
fn whole_granules(spec: &ObjectSpec, at: DateTime<Utc>) -> DateTime<Utc> {
    let past = at.timestamp_millis().rem_euclid(granule(spec).num_milliseconds());
    if granule(spec) > TimeDelta::milliseconds(1) { at - TimeDelta::milliseconds(past) } else { at }
}

/// How deep a feed's ledger has to be.
pub fn depth_needed(spec: &ObjectSpec, settings: &FeedSettings) -> Depth {
    let has_time = matches!(spec.live.cursor, CursorKind::Updated(_));
    let is_created_compared = settings.tells_created && spec.created_at == CreatedAt::Absent;
    let is_swept = settings.tells_deleted && deletes_silently(spec);
    if !has_time || is_created_compared || is_swept { Depth::Full } else { Depth::Window }
}

/// True where only a sweep tells of some deletions.
pub fn deletes_silently(spec: &ObjectSpec) -> bool {
    matches!(spec.deletions, Deletions::Silent | Deletions::FlagOrSilent)
}

/// When a feed started, by the vendor's clock: what that showed when the feed was made.
pub fn start(server_time: DateTime<Utc>, made_at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    server_time - (now - made_at).max(TimeDelta::zero())
}

/// The start before the vendor's clock is known, to ask with first.
pub fn guess_start(made_at: DateTime<Utc>) -> DateTime<Utc> {
    made_at - GUESS_SLACK
}

/// The bound that progress stands for; none where nothing was read yet.
pub fn resume_from(spec: &ObjectSpec, progress: &Progress) -> Option<DateTime<Utc>> {
    let (watermark, server_time) = (progress.watermark?, progress.server_time?);
    Some(watermark.min(server_time - horizon(spec)) - granule(spec))
}

/// The window of a run. `started_at` is the feed's start, or a guess at it.
pub fn plan(
    spec: &ObjectSpec,
    state: &FeedState,
    progress: &Progress,
    needed: Depth,
    started_at: DateTime<Utc>,
) -> Window {
    let has_time = matches!(spec.live.cursor, CursorKind::Updated(_));
    let resumed = resume_from(spec, progress);
    let is_known = resumed.is_some() || progress.cursor.is_some() || (!has_time && progress.server_time.is_some());
    let from = resumed.unwrap_or(started_at - horizon(spec) - granule(spec));
    let deepens = needed > state.depth || (needed == Depth::Full && !is_known);
    let quiet_before = match (is_known, needed) {
        (false, _) => Some(whole_granules(spec, started_at)),
        (true, Depth::Window) => Some(from),
        (true, Depth::Full) => deepens.then_some(from),
    };
    Window {
        from: (has_time && !deepens).then_some(from),
        quiet_before,
        is_baseline: !is_known || deepens,
        started_at,
        floor: resumed.map(|resumed| resumed + granule(spec)),
        created_from: progress.created_from.map_or(from, |created| created.min(from)),
    }
}

impl Window {
    /// Takes a start that is later than the guess it was asked with: what changed between the two is not news.
    pub fn start_at(&mut self, spec: &ObjectSpec, start: DateTime<Utc>) {
        if self.quiet_before == Some(whole_granules(spec, self.started_at)) {
            self.quiet_before = Some(whole_granules(spec, start));
        }
        self.started_at = start;
    }

    /// Whether progress may move before the listing's end. Not while the feed learns what is there: what is quiet then
    /// is told by the progress from before, and taken up in the middle the rest would look like news.
    pub fn moves_by_page(&self, spec: &ObjectSpec) -> bool {
        matches!(spec.live.cursor, CursorKind::Updated(_)) && !self.is_baseline
    }

    /// What decides whether a record is news.
    pub fn rules(&self, spec: &ObjectSpec, depth: Depth) -> DiffRules {
        DiffRules {
            quiet_before: self.quiet_before,
            is_baseline: self.is_baseline,
            created_since: Some(self.from.map_or(self.started_at, |_| self.created_from.max(self.started_at))),
            is_full: depth == Depth::Full && !self.is_baseline,
            created_at: spec.created_at,
            server_time: None,
            is_other_listing: false,
            back_after: None,
        }
    }
}

/// What decides whether a record that a sweep found is news. The ledger holds every record.
pub fn rules_of_sweep(spec: &ObjectSpec, started_at: DateTime<Utc>, server_time: DateTime<Utc>) -> DiffRules {
    DiffRules {
        quiet_before: None,
        is_baseline: false,
        created_since: Some(started_at),
        is_full: true,
        created_at: spec.created_at,
        server_time: Some(server_time),
        is_other_listing: true,
        back_after: Some(back_after(spec, server_time)),
    }
}

/// Records that were found to be gone before this, and that a whole listing shows again as they were, are back: a
/// replica lags for as long as records may be invisible, or for some minutes.
pub fn back_after(spec: &ObjectSpec, server_time: DateTime<Utc>) -> DateTime<Utc> {
    server_time - horizon(spec).max(REPLICA_LAG)
}

impl Window {
    /// The same once a run has come this far: what the ledger has forgotten on the way is not news either, where a vendor
    /// lists it again.
    pub fn rules_after(&self, spec: &ObjectSpec, depth: Depth, progress: &Progress) -> DiffRules {
        let rules = self.rules(spec, depth);
        if self.is_baseline || depth == Depth::Full {
            return rules;
        }
        DiffRules { quiet_before: rules.quiet_before.max(resume_from(spec, progress)), ..rules }
    }
}

/// Progress after reading up to `reached` at the vendor's time `server_time`.
pub fn advance(
    progress: &Progress,
    reached: Option<DateTime<Utc>>,
    server_time: DateTime<Utc>,
    window: &Window,
) -> Progress {
    // Never below what was read before: the ledger has forgotten what stands there, and would take it for news.
    let reached = reached.map(|reached| reached.min(server_time)).map(|reached| Some(reached).max(window.floor));
    let watermark = reached.unwrap_or(progress.watermark).or(Some(window.started_at));
    Progress { watermark, server_time: Some(server_time), ..progress.clone() }
}

/// Progress of a run that has not read all: what was created since it began, and was changed before it came to that,
/// is listed later and is to be told apart from what was there.
pub fn broken_off(spec: &ObjectSpec, before: &Progress, after: Progress, window: &Window) -> Progress {
    let has_moved = resume_from(spec, before) != resume_from(spec, &after);
    let created_from = if has_moved { Some(window.created_from) } else { before.created_from };
    Progress { created_from, ..after }
}

/// True where writing this progress would change nothing about the next run.
pub fn is_same(spec: &ObjectSpec, old: &Progress, new: &Progress) -> bool {
    let asks_same = resume_from(spec, old) == resume_from(spec, new) && old.server_time.is_some();
    let tells_same = old.created_from == new.created_from;
    asks_same && tells_same && old.cursor == new.cursor && old.etag == new.etag && old.checkpoint == new.checkpoint
}

/// True where the next run asks from further on than by the old progress.
pub fn is_further(spec: &ObjectSpec, old: &Progress, new: &Progress) -> bool {
    resume_from(spec, new) > resume_from(spec, old) || new.cursor != old.cursor
}

/// What the ledger may forget once progress is kept; none where it forgets nothing.
pub fn forget_before(spec: &ObjectSpec, progress: &Progress, depth: Depth) -> Option<DateTime<Utc>> {
    match depth {
        // A record created within a run that is broken off is held until that has ended: it would look new again.
        Depth::Window => resume_from(spec, progress).map(|from| progress.created_from.map_or(from, |at| at.min(from))),
        Depth::Full => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhook_connectors::contract::{Conditional, FilterBound, Listing, Order, Paging};
    use anyhook_connectors::model::ObjectType;

    const LISTING: Listing = Listing {
        cursor: CursorKind::Updated(FilterBound::Inclusive),
        order: Order::UpdatedAscending,
        paging: Paging::Offset,
    };

    const SPEC: ObjectSpec = ObjectSpec {
        object_type: ObjectType::CrmContact,
        raw_object: "contact",
        live: LISTING,
        history: LISTING,
        page_size: 100,
        result_window: None,
        late_visibility_ms: 60_000,
        granularity_ms: 1_000,
        deletions: Deletions::Silent,
        created_at: CreatedAt::True,
        parent: None,
        filters: &[],
        volatile: &[],
        native: &[],
        conditional: Conditional::Never,
    };

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn progress(watermark: i64, server_time: i64) -> Progress {
        Progress { watermark: Some(at(watermark)), server_time: Some(at(server_time)), ..Progress::default() }
    }

    #[test]
    fn a_run_asks_from_what_may_have_been_invisible() {
        assert_eq!(resume_from(&SPEC, &progress(1000, 1010)), Some(at(949)), "the horizon holds it back");
        assert_eq!(resume_from(&SPEC, &progress(500, 1010)), Some(at(499)), "an idle feed asks from its last record");
    }

    #[test]
    fn a_run_that_breaks_off_inside_the_window_is_taken_up_there() {
        let before = progress(1000, 1000);
        let window = plan(&SPEC, &FeedState::default(), &before, Depth::Window, at(0));
        assert_eq!(window.from, Some(at(939)));
        let broken_off = advance(&before, Some(at(950)), at(1060), &window);
        assert_eq!(resume_from(&SPEC, &broken_off), Some(at(949)), "records from 950 to 1000 are read again");
    }

    #[test]
    fn what_was_created_before_a_run_that_broke_off_came_to_it_is_still_new() {
        let before = progress(1000, 1000);
        let window = plan(&SPEC, &FeedState::default(), &before, Depth::Window, at(0));
        let reached = advance(&before, Some(at(3000)), at(5000), &window);
        let broken_off = broken_off(&SPEC, &before, reached.clone(), &window);
        let next = plan(&SPEC, &FeedState::default(), &broken_off, Depth::Window, at(0));
        assert_eq!((next.from, next.created_from), (Some(at(2999)), at(939)));
        assert_eq!(next.rules(&SPEC, Depth::Window).created_since, Some(at(939)));
        assert_eq!(forget_before(&SPEC, &broken_off, Depth::Window), Some(at(939)), "and held until then");
        assert_eq!(forget_before(&SPEC, &reached, Depth::Window), Some(at(2999)));
        assert!(!is_same(&SPEC, &broken_off, &reached), "its end is kept");
    }

    #[test]
    fn a_vendor_that_lists_only_older_records_does_not_move_the_watermark_below_the_window() {
        let before = progress(1000, 2000);
        let window = plan(&SPEC, &FeedState::default(), &before, Depth::Window, at(0));
        assert_eq!(advance(&before, Some(at(10)), at(2010), &window).watermark, Some(at(1000)));
    }

    #[test]
    fn the_watermark_never_passes_the_vendors_clock() {
        let window = plan(&SPEC, &FeedState::default(), &Progress::default(), Depth::Window, at(1000));
        let future = advance(&Progress::default(), Some(at(9_999_999)), at(1010), &window);
        assert_eq!(future.watermark, Some(at(1010)));
    }

    #[test]
    fn a_feed_starts_when_it_was_made_by_the_vendors_clock() {
        assert_eq!(start(at(5000), at(100), at(130)), at(4970));
        let window = plan(&SPEC, &FeedState::default(), &Progress::default(), Depth::Window, at(4970));
        assert_eq!((window.from, window.quiet_before), (Some(at(4909)), Some(at(4970))));
        let empty = advance(&Progress::default(), None, at(5000), &window);
        assert_eq!(empty.watermark, Some(at(4970)), "nothing after the start is skipped");
        let minutes = ObjectSpec { granularity_ms: 60_000, ..SPEC };
        let mut window = plan(&minutes, &FeedState::default(), &Progress::default(), Depth::Window, at(4970));
        assert_eq!(window.quiet_before, Some(at(4920)), "a minute that the feed began in is not over");
        window.start_at(&minutes, at(4985));
        assert_eq!((window.quiet_before, window.started_at), (Some(at(4980)), at(4985)));
    }

    #[test]
    fn a_ledger_that_must_be_full_is_deepened_by_one_silent_listing() {
        let known = progress(1000, 1000);
        let window = plan(&SPEC, &FeedState::default(), &known, Depth::Full, at(0));
        assert_eq!((window.from, window.quiet_before), (None, Some(at(939))));
        let deep = FeedState { depth: Depth::Full, ..FeedState::default() };
        let window = plan(&SPEC, &deep, &known, Depth::Full, at(0));
        assert_eq!((window.from, window.quiet_before, window.is_baseline), (Some(at(939)), None, false));
    }

    #[test]
    fn an_idle_poll_has_nothing_to_write() {
        let old = progress(500, 1000);
        let window = plan(&SPEC, &FeedState::default(), &old, Depth::Window, at(0));
        let new = advance(&old, Some(at(500)), at(1100), &window);
        assert!(is_same(&SPEC, &old, &new));
        assert!(!is_same(&SPEC, &progress(1000, 1000), &advance(&progress(1000, 1000), None, at(1100), &window)));
    }
}
