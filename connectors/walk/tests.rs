use super::*;
use crate::contract::{BadRecord, Conditional, CreatedAt, Deletions, Record, RecordError};
use crate::model::ObjectType;
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeSet;

const ASCENDING: Listing = Listing {
    cursor: CursorKind::Updated(FilterBound::Inclusive),
    order: Order::UpdatedAscending,
    paging: Paging::Offset,
};
const STABLE: Listing = Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Offset };
const NEWEST_FIRST: Listing = Listing {
    cursor: CursorKind::Updated(FilterBound::ReadUntil),
    order: Order::UpdatedDescending,
    paging: Paging::Offset,
};
const BY_TOKEN: Listing = Listing { paging: Paging::Token, ..ASCENDING };

fn spec(listing: Listing, result_window: Option<u32>) -> ObjectSpec {
    ObjectSpec {
        object_type: ObjectType::KmsPage,
        raw_object: "page",
        live: listing,
        history: listing,
        page_size: 100,
        result_window,
        late_visibility_ms: 0,
        granularity_ms: 1_000,
        deletions: Deletions::Silent,
        created_at: CreatedAt::Absent,
        parent: None,
        filters: &[],
        volatile: &[],
        native: &[],
        conditional: Conditional::Never,
    }
}

fn at(second: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + i64::from(second), 0).unwrap()
}

fn record(id: u32, second: u32) -> Record<'static> {
    Record {
        id: Cow::Owned(id.to_string()),
        updated_at: Some(at(second)),
        created_at: None,
        deleted: false,
        revision: None,
        object: Vec::new(),
        raw: "{}".into(),
    }
}

fn page(records: Vec<Record<'static>>, next: Next) -> Page<'static> {
    Page { records, bad: Vec::new(), next, cursor: None, total: None }
}

/// A vendor with records `(id, second of the last change)` that may change between pages.
#[derive(Clone)]
struct Vendor {
    records: Vec<(u32, u32)>,
    listing: Listing,
    clock: u32,
    ignores_filter: bool,
}

#[derive(Debug, Clone)]
enum Op {
    Delete(usize),
    Touch(usize),
    Insert,
    Nothing,
}

impl Vendor {
    fn new(listing: Listing, seconds: &[u32]) -> Self {
        let records = seconds.iter().enumerate().map(|(id, second)| (u32::try_from(id).unwrap(), *second)).collect();
        Vendor { records, listing, clock: 1_000, ignores_filter: false }
    }

    fn happen(&mut self, op: &Op) {
        self.clock += 1;
        let count = self.records.len();
        match op {
            Op::Delete(which) if count > 0 => drop(self.records.remove(which % count)),
            Op::Touch(which) if count > 0 => self.records[which % count].1 = self.clock,
            Op::Insert => self.records.push((self.clock, self.clock)),
            Op::Delete(_) | Op::Touch(_) | Op::Nothing => {}
        }
    }

    fn answer(&self, walk: &Walk) -> Page<'static> {
        let from = walk.updated_gte().filter(|_| !self.ignores_filter);
        let is_exclusive = self.listing.cursor == CursorKind::Updated(FilterBound::Exclusive);
        let mut listed: Vec<(u32, u32)> = self.records.clone();
        listed.retain(|(_, second)| {
            from.is_none_or(|from| if is_exclusive { at(*second) > from } else { at(*second) >= from })
        });
        match self.listing.order {
            Order::UpdatedAscending => listed.sort_by_key(|(id, second)| (*second, *id)),
            Order::UpdatedDescending => listed.sort_by_key(|(id, second)| std::cmp::Reverse((*second, *id))),
            Order::Stable | Order::Unordered => listed.sort(),
        }
        let offset = match walk.place() {
            Place::Start => 0,
            Place::Offset(offset) => usize::try_from(offset).unwrap(),
            Place::Token(token) => token.parse().unwrap(),
        };
        let end = offset + walk.limit() as usize;
        let next = match self.listing.paging {
            _ if end >= listed.len() => Next::End,
            Paging::Token => Next::Token(end.to_string()),
            Paging::Offset | Paging::PageNumber => Next::More,
        };
        let records = listed.iter().skip(offset).take(walk.limit() as usize).map(|(id, second)| record(*id, *second));
        page(records.collect(), next)
    }

    /// Walks to the end, while up to three things happen after each page; the ids seen and the number of pages.
    fn walk(&mut self, mut walk: Walk, ops: &[Op]) -> Result<(BTreeSet<u32>, usize), WalkError> {
        let mut seen = BTreeSet::new();
        let mut ops = ops.iter();
        for pages in 1..10_000 {
            let page = self.answer(&walk);
            seen.extend(page.records.iter().map(|record| record.id.parse::<u32>().unwrap()));
            if walk.step(&page)? == Step::End {
                return Ok((seen, pages));
            }
            (0..3).filter_map(|_| ops.next()).for_each(|op| self.happen(op));
            // What is kept is enough to go on after a restart.
            let kept = serde_json::to_string(walk.checkpoint()).unwrap();
            assert_eq!(serde_json::from_str::<Checkpoint>(&kept).unwrap(), *walk.checkpoint());
        }
        panic!("the walk does not end");
    }
}

fn new_walk(listing: Listing, bound: Option<u32>, limit: u32) -> Walk {
    Walk::new(&spec(listing, None), ListingKind::Live, bound.map(at), limit, None)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<usize>().prop_map(Op::Delete),
        any::<usize>().prop_map(Op::Touch),
        Just(Op::Insert),
        Just(Op::Nothing),
    ]
}

proptest! {
    #[test]
    fn by_time_everything_that_stays_is_seen(
        seconds in prop::collection::vec(0..5u32, 0..40),
        ops in prop::collection::vec(op(), 0..60),
        limit in 2..7u32,
        exclusive in any::<bool>(),
        bound in prop::option::of(0..4u32),
    ) {
        let cursor = CursorKind::Updated(if exclusive { FilterBound::Exclusive } else { FilterBound::Inclusive });
        let listing = Listing { cursor, ..ASCENDING };
        let mut vendor = Vendor::new(listing, &seconds);
        let before = vendor.records.clone();
        let (seen, _) = vendor.walk(new_walk(listing, bound, limit), &ops).unwrap();
        for (id, second) in before {
            let stays = vendor.records.iter().any(|(kept, _)| *kept == id);
            prop_assert!(!stays || bound.is_some_and(|bound| second < bound) || seen.contains(&id), "{id} was missed");
        }
    }

    #[test]
    fn by_offset_everything_that_stays_is_seen(
        count in 0..60usize,
        ops in prop::collection::vec(op(), 0..60),
        limit in 2..7u32,
    ) {
        let mut vendor = Vendor::new(STABLE, &vec![0; count]);
        let before = vendor.records.clone();
        let (seen, _) = vendor.walk(new_walk(STABLE, None, limit), &ops).unwrap();
        for (id, _) in before {
            prop_assert!(!vendor.records.iter().any(|(kept, _)| *kept == id) || seen.contains(&id), "{id} was missed");
        }
    }

    #[test]
    fn newest_first_everything_unchanged_down_to_the_bound_is_seen(
        seconds in prop::collection::vec(0..50u32, 0..50),
        ops in prop::collection::vec(op(), 0..60),
        limit in 5..9u32,
    ) {
        let mut vendor = Vendor::new(NEWEST_FIRST, &seconds);
        let before = vendor.records.clone();
        let (seen, _) = vendor.walk(new_walk(NEWEST_FIRST, Some(25), limit), &ops).unwrap();
        for (id, second) in before {
            let is_unchanged = vendor.records.contains(&(id, second));
            prop_assert!(!is_unchanged || second < 25 || seen.contains(&id), "{id} was missed");
        }
    }

    #[test]
    fn without_changes_each_listing_is_walked_whole(
        seconds in prop::collection::vec(0..6u32, 0..40),
        limit in 1..9u32,
        which in 0..5usize,
        ignores_filter in any::<bool>(),
    ) {
        let by_number = Listing { paging: Paging::PageNumber, ..STABLE };
        let listing = [ASCENDING, STABLE, NEWEST_FIRST, BY_TOKEN, by_number][which];
        let mut vendor = Vendor { ignores_filter, ..Vendor::new(listing, &seconds) };
        let (seen, pages) = vendor.walk(new_walk(listing, None, limit), &[]).unwrap();
        prop_assert_eq!(seen.len(), seconds.len());
        prop_assert!(pages <= 3 * seconds.len() + 3, "{} pages", pages);
    }
}

#[test]
fn a_tie_larger_than_a_page_is_walked_by_offset_and_then_by_time_again() {
    let mut walk = new_walk(ASCENDING, None, 3);
    let vendor = Vendor::new(ASCENDING, &[7, 7, 7, 7, 7, 9]);
    let mut places = Vec::new();
    loop {
        places.push((walk.updated_gte(), walk.checkpoint().offset));
        if walk.step(&vendor.answer(&walk)).unwrap() == Step::End {
            break;
        }
        assert!(walk.ascends());
    }
    assert_eq!(places, [(None, 0), (Some(at(7)), 0), (Some(at(7)), 2), (Some(at(7)), 4)]);
}

#[test]
fn an_exclusive_filter_is_asked_a_granule_earlier() {
    let listing = Listing { cursor: CursorKind::Updated(FilterBound::Exclusive), ..ASCENDING };
    assert_eq!(new_walk(listing, Some(5), 3).updated_gte(), Some(at(4)));
    assert_eq!(new_walk(ASCENDING, Some(5), 3).updated_gte(), Some(at(5)));
    assert_eq!(new_walk(NEWEST_FIRST, Some(5), 3).updated_gte(), None);
}

#[test]
fn a_resumed_offset_walk_notices_what_went_while_it_was_down() {
    let mut vendor = Vendor::new(STABLE, &[0; 10]);
    let mut walk = new_walk(STABLE, None, 4);
    walk.step(&vendor.answer(&walk)).unwrap();
    vendor.records.drain(0..3);
    let resumed = Walk::new(&spec(STABLE, None), ListingKind::Live, None, 4, Some(walk.checkpoint().clone()));
    let (seen, _) = vendor.walk(resumed, &[]).unwrap();
    assert!(seen.is_superset(&(4..10).collect()), "{seen:?}");
}

#[test]
fn a_last_page_that_does_not_overlap_is_no_end() {
    let mut vendor = Vendor::new(STABLE, &[0; 6]);
    let mut walk = new_walk(STABLE, None, 4);
    walk.step(&vendor.answer(&walk)).unwrap();
    vendor.records.drain(0..2);
    assert_eq!(walk.step(&vendor.answer(&walk)), Ok(Step::Ask));
    assert_eq!(walk.checkpoint().offset, 0);
}

#[test]
fn a_page_behind_a_gap_moves_no_watermark() {
    let mut vendor = Vendor::new(ASCENDING, &[7, 7, 7, 7, 7, 7, 9]);
    let mut walk = new_walk(ASCENDING, Some(7), 4);
    walk.step(&vendor.answer(&walk)).unwrap();
    assert!(walk.ascends());
    vendor.records.drain(0..3);
    walk.step(&vendor.answer(&walk)).unwrap();
    assert!(!walk.ascends(), "records of the tied time were passed over, and later ones were seen");
    walk.step(&vendor.answer(&walk)).unwrap();
    assert!(walk.ascends(), "it has stepped back");
}

#[test]
fn a_record_that_cannot_be_read_holds_its_place_in_the_overlap() {
    let bad = || BadRecord { id: None, error: RecordError(String::new()), raw: "{\"x\":1}".to_owned() };
    let mut walk = new_walk(STABLE, None, 2);
    walk.step(&Page { bad: vec![bad()], ..page(vec![record(1, 0)], Next::More) }).unwrap();
    assert_eq!(walk.checkpoint().offset, 1);
    let second = Page { bad: vec![bad()], ..page(vec![record(2, 0)], Next::More) };
    assert_eq!(walk.step(&second), Ok(Step::Ask));
    assert_eq!(walk.checkpoint().offset, 2);
}

#[test]
fn out_of_order_a_listing_is_no_longer_walked_by_time() {
    let mut walk = new_walk(ASCENDING, None, 2);
    walk.step(&page(vec![record(1, 5), record(2, 3)], Next::More)).unwrap();
    assert!(!walk.ascends());
    assert_eq!((walk.updated_gte(), walk.place()), (None, Place::Offset(1)));
    let mut walk = new_walk(BY_TOKEN, None, 2);
    walk.step(&page(vec![record(1, 5), record(2, 6)], Next::Token("a".to_owned()))).unwrap();
    assert!(walk.ascends());
    walk.step(&page(vec![record(3, 4), record(4, 7)], Next::Token("b".to_owned()))).unwrap();
    assert!(!walk.ascends());
}

#[test]
fn the_same_page_again_is_a_circle() {
    let token = |token: &str| page(vec![record(1, 1), record(2, 2)], Next::Token(token.to_owned()));
    let mut walk = new_walk(BY_TOKEN, None, 2);
    assert_eq!(walk.step(&token("a")), Ok(Step::Ask));
    assert_eq!(walk.step(&token("b")), Err(WalkError::Cycle));
    let mut walk = new_walk(BY_TOKEN, None, 2);
    walk.step(&page(vec![record(1, 1)], Next::Token("a".to_owned()))).unwrap();
    assert_eq!(walk.step(&page(vec![record(2, 2)], Next::Token("a".to_owned()))), Err(WalkError::Cycle));
}

#[test]
fn a_vendor_that_ignores_the_offset_is_a_circle() {
    for listing in [ASCENDING, STABLE, Listing { paging: Paging::PageNumber, ..STABLE }] {
        for ids in [vec![1], vec![1, 2]] {
            let mut walk = new_walk(listing, None, 2);
            let again = || page(ids.iter().map(|id| record(*id, 3)).collect(), Next::More);
            let outcome = (0..10).find_map(|_| walk.step(&again()).err());
            assert_eq!(outcome, Some(WalkError::Cycle), "{listing:?} {ids:?}");
        }
    }
}

#[test]
fn empty_pages_without_an_end_are_an_error_and_a_wait_is_not() {
    let mut walk = new_walk(BY_TOKEN, None, 2);
    let outcome = (0..100).find_map(|n| walk.step(&page(Vec::new(), Next::Token(n.to_string()))).err());
    assert_eq!(outcome, Some(WalkError::Endless));
    let mut walk = new_walk(BY_TOKEN, None, 2);
    let later = page(Vec::new(), Next::Later { token: "a".to_owned(), wait_ms: 5 });
    assert_eq!(walk.step(&later), Ok(Step::Wait(5)));
    assert_eq!(walk.step(&later), Ok(Step::Wait(5)));
    assert_eq!(walk.place(), Place::Token("a"));
}

#[test]
fn an_empty_page_by_offset_is_asked_for_again_and_then_skips_the_places_it_stood_for() {
    let mut walk = new_walk(STABLE, None, 5);
    let empty = || page(Vec::new(), Next::More);
    for offset in [5, 10] {
        assert!(matches!(walk.step(&empty()), Ok(Step::Wait(1..))));
        assert_eq!(walk.place(), if offset == 5 { Place::Start } else { Place::Offset(5) });
        assert_eq!(walk.step(&empty()), Ok(Step::Ask));
        assert_eq!(walk.place(), Place::Offset(offset));
    }
    let outcome = (0..100).find_map(|_| walk.step(&empty()).err());
    assert_eq!(outcome, Some(WalkError::Endless));
}

#[test]
fn the_result_window_ends_what_does_not_fit_into_it() {
    let walk = |listing| Walk::new(&spec(listing, Some(6)), ListingKind::Live, None, 3, None);
    let outcome = Vendor::new(ASCENDING, &[7; 20]).walk(walk(ASCENDING), &[]);
    assert_eq!(outcome.map(drop), Err(WalkError::TieTooLarge { window: 6 }));
    let outcome = Vendor::new(STABLE, &[7; 20]).walk(walk(STABLE), &[]);
    assert_eq!(outcome.map(drop), Err(WalkError::BeyondWindow { window: 6 }));
    let spread: Vec<u32> = (0..20).collect();
    assert_eq!(Vendor::new(ASCENDING, &spread).walk(walk(ASCENDING), &[]).unwrap().0.len(), 20);
}

#[test]
fn a_listing_that_keeps_losing_its_place_is_an_error() {
    let mut walk = new_walk(STABLE, None, 2);
    let outcome =
        (0..1_000).find_map(|n| walk.step(&page(vec![record(2 * n, 0), record(2 * n + 1, 0)], Next::More)).err());
    assert_eq!(outcome, Some(WalkError::Shrinking));
}

#[test]
fn a_history_by_tokens_in_order_goes_on_without_its_token() {
    let spec = spec(BY_TOKEN, None);
    let token = |text: &str| Next::Token(text.to_owned());
    let mut walk = Walk::new(&spec, ListingKind::History, None, 3, None);
    walk.step(&page(vec![record(1, 1), record(2, 5), record(3, 7)], token("a"))).unwrap();
    walk.step(&page(vec![record(4, 7), record(5, 7)], token("b"))).unwrap();
    let renewed = walk.checkpoint().without_token().unwrap();
    let mut again = Walk::new(&spec, ListingKind::History, None, 3, Some(renewed));
    assert_eq!((again.updated_gte(), again.place()), (Some(at(7)), Place::Start));
    let told: Vec<bool> = (3..=6).map(|id| again.is_told(&record(id, 7))).collect();
    assert_eq!(told, [true, true, true, false], "of one time, also over pages");
    again.step(&page(vec![record(6, 7), record(7, 9)], token("c"))).unwrap();
    assert_eq!(again.checkpoint().without_token().unwrap().from, Some(at(9)));

    let mut walk = Walk::new(&spec, ListingKind::History, None, 3, None);
    walk.step(&page(vec![record(1, 9), record(2, 5)], token("a"))).unwrap();
    assert_eq!(walk.checkpoint().without_token(), None, "the vendor does not keep to the order");
    let unfiltered = Listing { cursor: CursorKind::Nothing, ..BY_TOKEN };
    let spec = self::spec(unfiltered, None);
    let mut walk = Walk::new(&spec, ListingKind::History, None, 3, None);
    walk.step(&page(vec![record(1, 1), record(2, 5)], token("a"))).unwrap();
    assert_eq!(walk.checkpoint().without_token(), None, "there is no filter to go on by");
}
