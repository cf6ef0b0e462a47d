//! Deletions that a vendor tells nobody are found by sweeps: each test is a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::simulator::{Deletions, Fault, FaultRule};
use anyhook::store::*;
use anyhook_connectors::contract::Change;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use support::{Setup, Subscription, World, silent};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn id(number: u32) -> String {
    format!("con_{number:08}")
}

/// A vendor with this many contacts that deletes them without a trace.
fn vendor_of(count: u32) -> Setup {
    let mut setup = Setup::contacts(count);
    setup.simulator.deletions = Deletions::Silent;
    setup
}

/// A world whose webhooks `a` (changes) and `gone` (deletions) have begun to listen and know what is there.
async fn listening(setup: Setup, vendor: &str) -> (World, Webhook) {
    listening_to(setup, vendor, Subscription::new("a"), Subscription::new("gone")).await
}

async fn listening_to(setup: Setup, vendor: &str, a: Subscription, gone: Subscription) -> (World, Webhook) {
    let world = World::new(setup).await;
    let connection = world.connect_to(vendor, "sandbox").await;
    world.subscribe(&connection, a).await;
    let webhook = world.subscribe(&connection, gone.event(Change::Deleted)).await;
    world.run_for(30 * SECOND).await;
    (world, webhook)
}

async fn sweep(world: &World, webhook: &Webhook) -> Sweep {
    world.disk.store.sweep(webhook.feed_id).await.unwrap()
}

/// Waits until a sweep that began after now has ended.
async fn swept(world: &World, webhook: &Webhook) -> Sweep {
    let first = sweep(world, webhook).await;
    for _ in 0..20_000 {
        world.run_for(SECOND).await;
        let now = sweep(world, webhook).await;
        let began_anew = first.generation + u64::from(first.phase != SweepPhase::Resting);
        if now.generation > began_anew && now.phase == SweepPhase::Resting {
            return now;
        }
    }
    panic!("no sweep ended: {first:?} {}", world.tell());
}

fn asked(world: &World, part: &str) -> Vec<String> {
    world.calls.lock().unwrap().iter().map(|call| call.target.clone()).filter(|call| call.contains(part)).collect()
}

async fn failure(world: &World, webhook: &Webhook) -> String {
    match world.feed_state(webhook).await.sweep {
        SweepHealth::Failed { code, .. } => code,
        SweepHealth::Healthy => "none".to_owned(),
    }
}

fn set(ids: &[String]) -> BTreeSet<&str> {
    ids.iter().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_silent_deletion_is_told_once_and_nothing_else_is() {
    for vendor in [silent::SILENT, silent::WHOLE, silent::PARTS] {
        let (world, webhook) = listening(vendor_of(250), vendor).await;
        world.run_for(5 * MINUTE).await;
        world.delete(&id(3));
        world.delete(&id(248));
        let new = world.create(json!({}));
        world.update(&id(7), json!({"title": "Captain"}));
        world.run_for(HOUR).await;
        assert_eq!(set(&world.ids("gone", "VIRTUAL")), BTreeSet::from([id(3).as_str(), id(248).as_str()]), "{vendor}");
        assert_eq!(world.ids("gone", "").len(), 2, "{vendor}: once");
        assert_eq!(set(&world.ids("a", "")), BTreeSet::from([new.as_str(), id(7).as_str()]), "{vendor}");
        assert_eq!(world.ids("a", "").len(), 2, "{vendor}: what a sweep lists again is no news");
        let object = &world.got("gone")[0].data[0];
        assert_eq!(object.as_object().unwrap().len(), 1, "{vendor}: {object}");
        assert_eq!(failure(&world, &webhook).await, "none", "{vendor}");
        assert_eq!(asked(&world, "/v1/contacts/con_").len(), 2, "{vendor}: each is asked for once");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_swept_deletion_nothing_is_told_that_is_not_known() {
    let gone = Subscription::new("gone").event(Change::Deleted).every(MINUTE).fields(&["id", "name", "raw"]);
    let (world, _) = listening_to(vendor_of(20), silent::SILENT, Subscription::new("a").every(MINUTE), gone).await;
    world.run_for(5 * MINUTE).await;
    world.delete(&id(3));
    world.run_for(HOUR).await;
    assert_eq!(world.got("gone")[0].data, [json!({"id": id(3)})], "no raw of null");
}

#[tokio::test(start_paused = true)]
async fn sweeping_costs_no_more_than_polling() {
    let (world, _) = listening(vendor_of(2_000), silent::SILENT).await;
    world.run_for(10 * HOUR).await;
    let (polls, swept) = (world.polls(), asked(&world, "sort=id").len() + asked(&world, "cursor=").len());
    assert!(swept >= 20 * 9, "it was swept: {swept}");
    assert!(swept <= polls + 40, "{swept} requests for sweeps, {polls} for polls");
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_deletions_pays_for_no_sweeps() {
    let world = World::new(vendor_of(250)).await;
    let connection = world.connect_to(silent::SILENT, "sandbox").await;
    world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(HOUR).await;
    assert!(asked(&world, "sort=id").is_empty());
    assert!(asked(&world, "cursor=").is_empty());
}

/// Answers take this long from now on, so that a sweep can be met in its middle.
fn slow(world: &World, ms: u64) {
    world.faults(slowly(ms, None));
}

/// Slow answers, and something that goes wrong with the next one.
fn slowly(ms: u64, next: Option<Fault>) -> Vec<FaultRule> {
    let slow = FaultRule::always(Fault::Slow { ms });
    next.map(|fault| FaultRule::next(fault, 1)).into_iter().chain([slow]).collect()
}

/// Waits until a sweep is in the middle of listing.
async fn listing(world: &World, webhook: &Webhook, rows: u64) -> Sweep {
    for _ in 0..100_000 {
        let now = sweep(world, webhook).await;
        if now.phase == SweepPhase::Listing && now.seen_rows >= rows {
            return now;
        }
        world.run_for(Duration::from_millis(200)).await;
    }
    panic!("no sweep lists: {}", world.tell());
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_goes_on_and_asks_no_page_twice() {
    let (mut world, webhook) = listening(vendor_of(2_000), silent::SILENT).await;
    swept(&world, &webhook).await;
    world.delete(&id(5));
    world.delete(&id(1_990));
    slow(&world, 4_000);
    for rows in [3, 12] {
        let before = listing(&world, &webhook, rows).await;
        world.crash();
        world.run_for(MINUTE).await;
        world.start().await;
        let after = listing(&world, &webhook, rows + 1).await;
        assert_eq!(after.generation, before.generation, "it is the same sweep");
    }
    let generation = sweep(&world, &webhook).await.generation;
    assert_eq!(swept_or_failed(&world, &webhook).await.generation, generation);
    assert_eq!(set(&world.ids("gone", "")), BTreeSet::from([id(5).as_str(), id(1_990).as_str()]));
    let mut pages = asked(&world, "cursor=");
    // Those of the sweep before that, and the two that were under way when it crashed.
    let (count, distinct) = (pages.len(), {
        pages.sort();
        pages.dedup();
        pages.len()
    });
    assert!(count <= 2 * distinct + 2, "{count} requests for {distinct} pages of two sweeps");
}

#[tokio::test(start_paused = true)]
async fn records_that_come_or_move_while_they_are_listed_are_not_told_to_be_gone() {
    let (world, webhook) = listening(vendor_of(1_000), silent::MOVING).await;
    // Longer than an interval, so that a poll tells of what came before the sweep has ended.
    slow(&world, 8_000);
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    for round in 0..3 {
        listing(&world, &webhook, 3).await;
        changed.extend(world.create_many(3));
        for number in 0..5 {
            // What is changed moves to the front, what is deleted lets others slip to the page before.
            world.update(&id(10 + round * 10 + number), json!({"title": "Captain"}));
            world.delete(&id(990 - round * 10 - number));
            changed.push(id(10 + round * 10 + number));
            gone.push(id(990 - round * 10 - number));
        }
        swept(&world, &webhook).await;
    }
    world.faults(Vec::new());
    world.run_for(3 * HOUR).await;
    assert_eq!(set(&world.ids("gone", "")), set(&gone));
    assert_eq!(world.ids("gone", "").len(), gone.len(), "each once");
    assert_eq!(set(&world.ids("a", "")), set(&changed));
    assert_eq!(world.ids("a", "").len(), changed.len(), "each once");
    let new: Vec<_> =
        asked(&world, "/v1/contacts/con_00001").into_iter().filter(|get| !get.ends_with("1000")).collect();
    assert!(new.is_empty(), "what was touched since the sweep began is not even asked for: {new:?}");
    assert_eq!(failure(&world, &webhook).await, "none");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_listed_whole_tells_nothing() {
    let failures = [
        (silent::SILENT, 2, Fault::Status { status: 404 }, "not_found"),
        // The second part.
        (silent::PARTS, 5, Fault::Status { status: 404 }, "not_found"),
        (silent::MOVING, 2, Fault::BadRecord {}, "unreadable_records"),
    ];
    for (vendor, rows, fault, code) in failures {
        let (world, webhook) = listening(vendor_of(400), vendor).await;
        swept(&world, &webhook).await;
        world.delete(&id(3));
        slow(&world, 4_000);
        listing(&world, &webhook, rows).await;
        world.faults(slowly(4_000, Some(fault)));
        let ended = swept_or_failed(&world, &webhook).await;
        assert!(world.got("gone").is_empty(), "{vendor}: {}", world.tell());
        assert_eq!((failure(&world, &webhook).await.as_str(), ended.gone), (code, 0), "{vendor}");
        assert!(asked(&world, "/v1/contacts/").is_empty(), "{vendor}: nobody is asked for");
        let query =
            ApiCallQuery { feed_id: Some(webhook.feed_id), is_failure: Some(true), limit: 1, ..Default::default() };
        let calls = world.disk.store.api_calls(world.workspace, &query).await.unwrap();
        let error = calls[0].error.clone().unwrap_or_default();
        assert!(error.starts_with("the sweep for deletions failed"), "{vendor}: {error}");
        assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy, "{vendor}: polling goes on");
        world.faults(Vec::new());
        world.run_for(HOUR).await;
        assert_eq!(world.ids("gone", ""), [id(3)], "{vendor}: the next one tells it");
        assert_eq!(failure(&world, &webhook).await, "none", "{vendor}");
    }
}

/// Waits until the sweep under way has ended.
async fn swept_or_failed(world: &World, webhook: &Webhook) -> Sweep {
    for _ in 0..20_000 {
        world.run_for(Duration::from_millis(200)).await;
        let now = sweep(world, webhook).await;
        if now.phase == SweepPhase::Resting {
            world.run_for(SECOND).await;
            return now;
        }
    }
    panic!("no sweep ended: {}", world.tell());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_for_a_while_is_tried_again() {
    let (world, webhook) = listening(vendor_of(400), silent::SILENT).await;
    swept(&world, &webhook).await;
    world.delete(&id(3));
    slow(&world, 4_000);
    let before = listing(&world, &webhook, 2).await;
    world.faults(vec![FaultRule::always(Fault::Status { status: 500 })]);
    world.run_for(20 * MINUTE).await;
    assert!(world.got("gone").is_empty());
    world.faults(Vec::new());
    world.run_for(2 * HOUR).await;
    assert_eq!(world.ids("gone", ""), [id(3)]);
    assert!(sweep(&world, &webhook).await.generation > before.generation);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_there_all_the_same() {
    let (world, webhook) = listening(vendor_of(300), silent::SILENT).await;
    swept(&world, &webhook).await;
    slow(&world, 4_000);
    listing(&world, &webhook, 1).await;
    world.faults(vec![FaultRule::always(Fault::BadRecord {})]);
    swept_or_failed(&world, &webhook).await;
    assert!(world.got("gone").is_empty() && asked(&world, "/v1/contacts/").is_empty());
}

#[tokio::test(start_paused = true)]
async fn so_many_missing_records_that_it_must_be_a_fault_are_not_told() {
    for vendor in [silent::SILENT, silent::WHOLE] {
        let (world, webhook) = listening(vendor_of(100), vendor).await;
        world.run_for(10 * MINUTE).await;
        (1..=31).for_each(|number| world.delete(&id(number)));
        let new = world.create(json!({}));
        world.run_for(HOUR).await;
        assert!(world.got("gone").is_empty(), "{vendor}: {}", world.tell());
        assert_eq!(failure(&world, &webhook).await, "too_many_missing", "{vendor}");
        assert!(asked(&world, "/v1/contacts/").is_empty(), "{vendor}");
        assert_eq!(world.ids("a", ""), [new], "{vendor}: polling goes on");
        // A few are always believed, and what comes back makes the share small again.
        let (world, _) = listening(vendor_of(25), vendor).await;
        world.run_for(10 * MINUTE).await;
        (1..=20).for_each(|number| world.delete(&id(number)));
        world.run_for(HOUR).await;
        assert_eq!(world.ids("gone", "").len(), 20, "{vendor}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_filtered_feed_only_the_vendors_word_counts() {
    let world = World::new(vendor_of(300)).await;
    let captains: Vec<String> = (0..60).map(|_| world.create(json!({"title": "Captain"}))).collect();
    world.run_for(MINUTE).await;
    let connection = world.connect_to(silent::FILTERED, "sandbox").await;
    let filtered = |name: &str| Subscription::new(name).filter("title", "Captain");
    world.subscribe(&connection, filtered("a")).await;
    let webhook = world.subscribe(&connection, filtered("gone").event(Change::Deleted)).await;
    world.run_for(30 * SECOND).await;
    swept(&world, &webhook).await;
    // Most of them leave the filter, which is no fault.
    captains[..50].iter().for_each(|id| world.update(id, json!({"title": "Major"})));
    world.delete(&captains[55]);
    world.delete(&captains[5]);
    world.delete(&id(7));
    world.run_for(5 * HOUR).await;
    assert_eq!(set(&world.ids("gone", "")), BTreeSet::from([captains[55].as_str(), captains[5].as_str()]));
    assert_eq!(world.ids("gone", "").len(), 2, "each once");
    assert!(world.got("a").is_empty(), "who left the filter is not news: {}", world.tell());
    assert_eq!(failure(&world, &webhook).await, "none");
    // All of them gone at once is one.
    captains[..50].iter().filter(|id| **id != captains[5]).for_each(|id| world.delete(id));
    world.run_for(3 * HOUR).await;
    assert_eq!(failure(&world, &webhook).await, "too_many_missing");
    assert_eq!(world.ids("gone", "").len(), 2, "none of them is told");
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_a_token_expired_is_told_wherever_it_crashes() {
    for crash_at in
        [None, Some(0), Some(2), Some(4), Some(6), Some(8), Some(10), Some(14), Some(18), Some(24), Some(32)]
    {
        let (mut world, _) = listening(vendor_of(150), silent::TOKEN).await;
        world.run_for(5 * MINUTE).await;
        world.delete(&id(9));
        world.run_for(10 * MINUTE).await;
        assert!(world.got("gone").is_empty(), "while the token is good it tells of deletions itself");
        assert!(asked(&world, "sort=id").is_empty(), "and no sweep is made");
        world.faults(vec![FaultRule::next(Fault::Status { status: 410 }, 1)]);
        if let Some(calls) = crash_at {
            world.crash_at_call(calls);
            world.until(10 * MINUTE, "a crash", World::is_dead).await;
            world.disk.fuel.store(-1, std::sync::atomic::Ordering::Relaxed);
            world.crash();
            world.start().await;
        }
        world.run_for(10 * MINUTE).await;
        assert_eq!(world.ids("gone", ""), [id(9)], "{crash_at:?}");
        assert!(world.got("a").is_empty(), "{crash_at:?}: {}", world.tell());
        let sweeps = asked(&world, "sort=id").len();
        world.run_for(20 * MINUTE).await;
        assert_eq!(asked(&world, "sort=id").len(), sweeps, "{crash_at:?}: once");
    }
}

#[tokio::test(start_paused = true)]
async fn more_records_than_memory_has_room_for_are_compared_in_passes() {
    for vendor in [silent::SILENT, silent::WHOLE] {
        let mut setup = vendor_of(1_500);
        setup.limits.poll.sweep_seen_max = 100;
        let (world, _) = listening(setup, vendor).await;
        world.run_for(5 * MINUTE).await;
        let gone: Vec<String> = (1..1_500).step_by(100).map(id).collect();
        gone.iter().for_each(|id| world.delete(id));
        world.run_for(HOUR).await;
        assert_eq!(set(&world.ids("gone", "")), set(&gone), "{vendor}");
        assert_eq!(world.ids("gone", "").len(), gone.len(), "{vendor}: each once");
        assert!(world.got("a").is_empty(), "{vendor}");
    }
}

#[tokio::test(start_paused = true)]
async fn asking_is_bounded_and_goes_on_in_the_next_sweep_and_after_a_crash() {
    let mut setup = vendor_of(400);
    setup.limits.poll.sweep_gets_max = 10;
    let (mut world, webhook) = listening(setup, silent::SILENT).await;
    swept(&world, &webhook).await;
    let gone: Vec<String> = (1..=80).map(id).collect();
    gone.iter().for_each(|id| world.delete(id));
    let first = swept(&world, &webhook).await;
    let asked_first = asked(&world, "/v1/contacts/con_").len();
    assert!((1..=30).contains(&asked_first), "about ten: {asked_first}");
    assert_eq!(usize::try_from(first.gone).unwrap(), asked_first);
    slow(&world, 1_000);
    world.until(HOUR, "the next asking", |world| asked(world, "/v1/contacts/con_").len() > asked_first + 3).await;
    world.crash();
    world.start().await;
    world.faults(Vec::new());
    world.run_for(24 * HOUR).await;
    assert_eq!(set(&world.ids("gone", "")), set(&gone));
    assert_eq!(world.ids("gone", "").len(), gone.len(), "each once");
    let asked = asked(&world, "/v1/contacts/con_").len();
    assert!(asked <= gone.len() + 16, "{asked} asked for {}", gone.len());
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_asked_for_is_not_told_to_be_gone() {
    let faults = [Fault::Status { status: 403 }, Fault::HtmlBody {}, Fault::Status { status: 500 }, Fault::Hang {}];
    for fault in faults {
        let (world, webhook) = listening(vendor_of(200), silent::SILENT).await;
        swept(&world, &webhook).await;
        let get = FaultRule { path: "/v1/contacts/con_".to_owned(), ..FaultRule::always(fault.clone()) };
        world.faults(vec![get]);
        world.delete(&id(3));
        world.run_for(20 * MINUTE).await;
        assert!(!asked(&world, "/v1/contacts/con_").is_empty() && world.got("gone").is_empty(), "{fault:?}");
        world.faults(Vec::new());
        world.run_for(HOUR).await;
        assert_eq!(world.ids("gone", ""), [id(3)], "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_token_that_expires_begins_the_sweep_anew_but_not_without_end() {
    let (world, webhook) = listening(vendor_of(400), silent::SILENT).await;
    swept(&world, &webhook).await;
    world.delete(&id(3));
    slow(&world, 4_000);
    listing(&world, &webhook, 2).await;
    world.faults(slowly(4_000, Some(Fault::ExpiredCursor {})));
    world.run_for(20 * MINUTE).await;
    assert_eq!(world.ids("gone", ""), [id(3)]);
    world.faults(vec![FaultRule::always(Fault::ExpiredCursor {})]);
    world.delete(&id(4));
    let before = world.calls.lock().unwrap().len();
    world.run_for(2 * HOUR).await;
    assert_eq!(failure(&world, &webhook).await, "cursor_expired");
    assert_eq!(world.ids("gone", "").len(), 1);
    let asked = world.calls.lock().unwrap().len() - before;
    assert!(asked < 120 + 130, "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn what_no_poll_could_find_is_told_by_the_sweep() {
    let (world, webhook) = listening(vendor_of(200), silent::SILENT).await;
    let connection = world.disk.store.connection(webhook.connection_id).await.unwrap().unwrap();
    world.subscribe(&connection, Subscription::new("new").event(Change::Created)).await;
    swept(&world, &webhook).await;
    // Times that somebody set: no listing of changes since a time has them.
    let imported = world.create(json!({"updated_at": "2026-02-01T00:00:00.000Z"}));
    world.update(&id(2), json!({"title": "Captain", "updated_at": "2026-03-02T08:59:59.000Z"}));
    world.run_for(HOUR).await;
    assert_eq!(set(&world.ids("a", "VIRTUAL")), BTreeSet::from([imported.as_str(), id(2).as_str()]));
    assert_eq!(world.ids("a", "").len(), 2, "each once");
    assert_eq!(world.ids("new", "VIRTUAL"), [imported]);
    assert!(world.got("gone").is_empty());
}
