//! Lives that failed once.

use crate::nodes::NodeAct::*;
use crate::plan::Act::*;
use crate::plan::Trouble::*;
use crate::plan::{Plan, Step, Ways};
use crate::support::vendors;
use crate::trial;
use anyhook_connectors::contract::Change::*;

/// A world near by without records, where nothing is small.
fn ways(vendor: &'static str) -> Ways {
    Ways {
        seed: 1,
        vendor,
        records: 0,
        page: 100,
        ahead_s: 0,
        calls: 0,
        budget_percent: 100,
        latency_ms: 5,
        store_latency_us: 0,
        log_page_bytes: 160 << 10,
        pages_per_run: 10_000,
        commits_in_flight: 1,
        spool_pages: 8,
        batch_records: 100,
        nodes: 1,
    }
}

fn live(ways: Ways, steps: Vec<Step>) {
    if let Err(failure) = trial::live(&Plan { ways, steps }) {
        panic!("it should hold that {}: {}", failure.promise, failure.story);
    }
}

#[test]
fn records_that_tie_are_not_told_again_where_a_page_begins_with_the_last_of_the_one_before() {
    let steps = vec![
        Step { act: Subscribe { event: Updated, every_s: 5, include_all: false, limit: None, raw: false }, then_ms: 0 },
        Step { act: Create { count: 30, of_the_future: false }, then_ms: 0 },
        Step { act: Wrong { trouble: DuplicatedIds, count: None }, then_ms: 2 },
        Step { act: Create { count: 1, of_the_future: false }, then_ms: 19313 },
    ];
    live(Ways { page: 10, seed: 833, ..ways(vendors::EXCLUSIVE) }, steps);
}

#[test]
fn records_that_tie_are_not_told_again_where_some_cannot_be_read() {
    let steps = vec![
        Step { act: Subscribe { event: Updated, every_s: 5, include_all: false, limit: None, raw: false }, then_ms: 0 },
        Step { act: Wrong { trouble: BadRecord, count: None }, then_ms: 162 },
        Step { act: Create { count: 130, of_the_future: false }, then_ms: 24945 },
        Step { act: Create { count: 1, of_the_future: false }, then_ms: 4830 },
    ];
    live(Ways { seed: 103, ..ways(vendors::SECONDS) }, steps);
}

#[test]
fn a_creation_is_told_where_the_record_changes_while_a_newest_first_listing_is_read() {
    let steps = vec![
        Step {
            act: Subscribe { event: Created, every_s: 60, include_all: true, limit: Some(1), raw: false },
            then_ms: 0,
        },
        Step { act: Calm, then_ms: 19524 },
        Step { act: Pause { which: 0, is_paused: true }, then_ms: 17 },
        Step { act: Create { count: 30, of_the_future: false }, then_ms: 2 },
        Step { act: Create { count: 1, of_the_future: false }, then_ms: 0 },
        Step { act: Right, then_ms: 160 },
        Step {
            act: Subscribe { event: Updated, every_s: 5, include_all: false, limit: None, raw: false },
            then_ms: 190,
        },
        Step { act: Update { which: 53, count: 3 }, then_ms: 0 },
        Step { act: Wait, then_ms: 1222 },
    ];
    live(Ways { page: 10, seed: 986, latency_ms: 300, ..ways(vendors::NEWEST_FIRST) }, steps);
}

#[test]
fn a_node_that_stalled_beyond_its_lease_does_not_try_a_request_again_when_it_wakes() {
    let steps = vec![
        Step { act: Subscribe { event: Updated, every_s: 5, include_all: false, limit: None, raw: false }, then_ms: 0 },
        Step { act: Subscribe { event: Updated, every_s: 5, include_all: false, limit: None, raw: false }, then_ms: 0 },
        Step { act: Wrong { trouble: Hang, count: None }, then_ms: 34040 },
        Step { act: Node(Stall { which: 0, ms: 49796 }), then_ms: 0 },
        Step { act: Node(Stall { which: 1, ms: 49796 }), then_ms: 60000 },
    ];
    live(Ways { seed: 179, nodes: 3, ..ways(vendors::SECONDS) }, steps);
}
