//! A webhook's history told again, whole or for a range, beside what changes meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::simulator::{Fault, FaultRule};
use anyhook::store::*;
use chrono::{DateTime, Utc};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use support::receiver::Reply;
use support::{Setup, Subscription, World, vendors};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const WHOLE: (Option<DateTime<Utc>>, Option<DateTime<Utc>>) = (None, None);

fn set(ids: &[String]) -> BTreeSet<&str> {
    ids.iter().map(String::as_str).collect()
}

/// A world whose one webhook, `a`, has begun to listen to a vendor with this many contacts.
async fn listening(contacts: u32, vendor: &str, subscription: Subscription) -> (World, Connection, Webhook) {
    let world = World::new(Setup::contacts(contacts)).await;
    let connection = world.connect_to(vendor, "sandbox").await;
    let webhook = world.subscribe(&connection, subscription).await;
    world.run_for(10 * SECOND).await;
    (world, connection, webhook)
}

fn completes(world: &World) -> usize {
    world.kinds("a").iter().filter(|kind| *kind == "INITIAL-COMPLETE").count()
}

/// Waits until a job is over.
async fn over(world: &World, job: &ListingJob, longest: Duration) -> ListingJob {
    let mut waited = Duration::ZERO;
    loop {
        let now = world.job(job.id).await;
        if !now.is_open() {
            return now;
        }
        assert!(waited < longest, "not over within {longest:?}: {now:?}; {}", world.tell());
        world.run_for(SECOND).await;
        waited += SECOND;
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_history_is_told_again_and_once_more() {
    let (world, _, webhook) = listening(250, "sandbox", Subscription::new("a")).await;
    for round in 1..=2 {
        let job = world.back_fill(&webhook, WHOLE).await;
        let done = over(&world, &job, MINUTE).await;
        assert_eq!(done.state, JobState::Done);
        assert_eq!((done.records, done.delivered, done.total, done.tally.seen), (250, 250, Some(250), 250));
        assert_eq!(done.finished_at, Some(done.updated_at));
        let told = world.ids("a", "INITIAL");
        assert_eq!((set(&told).len(), told.len(), completes(&world)), (250, round * 250, round));
        assert_eq!(world.kinds("a").last().unwrap(), "INITIAL-COMPLETE");
    }
    let state = world.disk.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.beside, state.listing), (None, None));
}

#[tokio::test(start_paused = true)]
async fn its_requests_are_counted_with_those_of_polls() {
    let (world, connection, webhook) = listening(250, "sandbox", Subscription::new("a")).await;
    world.faults(vec![FaultRule::next(Fault::ExpiredCursor {}, 2)]);
    over(&world, &world.back_fill(&webhook, WHOLE).await, HOUR).await;
    world.run_for(2 * MINUTE).await;
    let figures = world.figures(&connection).await;
    let asked = world.calls_to("/v1/contacts").len() as u64;
    assert!(world.history_calls() > 3, "{}", world.tell());
    assert_eq!((figures.requests, figures.changes), (asked, 0));
}

#[tokio::test(start_paused = true)]
async fn of_a_range_nothing_else_is_told() {
    for vendor in ["sandbox", vendors::UNFILTERED, vendors::BY_TIME, vendors::EXCLUSIVE] {
        let (world, _, webhook) = listening(1_000, vendor, Subscription::new("a")).await;
        let mut times: Vec<(DateTime<Utc>, String)> = world
            .contacts()
            .into_iter()
            .map(|(id, record)| (record["updated_at"].as_str().unwrap().parse().unwrap(), id))
            .collect();
        times.sort();
        let (from, until) = (times[150].0, times[420].0);
        let within = |at: &DateTime<Utc>| (from..until).contains(at);
        let expected: BTreeSet<&str> = times.iter().filter(|(at, _)| within(at)).map(|(_, id)| id.as_str()).collect();
        let job = world.back_fill(&webhook, (Some(from), Some(until))).await;
        over(&world, &job, MINUTE).await;
        let told = world.ids("a", "INITIAL");
        assert_eq!(set(&told), expected, "{vendor}");
        assert_eq!((told.len(), completes(&world)), (expected.len(), 1), "{vendor}");
        if vendor == vendors::BY_TIME {
            assert_eq!(world.history_calls(), 3, "what is behind the range is not asked for");
        }
        let job = world.back_fill(&webhook, (Some(world.clock.now()), None)).await;
        assert_eq!(over(&world, &job, MINUTE).await.records, 0, "{vendor}");
        assert_eq!(completes(&world), 2, "{vendor}: an empty range is complete too");
    }
}

/// Each record's title counts its versions.
struct Versions {
    made: HashMap<String, u64>,
}

impl Versions {
    fn next(&mut self, world: &World, id: &str) {
        let version = self.made.entry(id.to_owned()).or_default();
        *version += 1;
        world.update(id, json!({"title": format!("v{version}")}));
    }
}

/// No payload tells an older version of a record after a newer one, and the newest ones are told.
fn check_versions(world: &World, versions: &Versions) {
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for delivery in world.got("a").iter().filter(|delivery| delivery.is_accepted) {
        for object in &delivery.data {
            let title = object["title"].as_str().unwrap_or_default();
            let version = title.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or(0);
            let newest = told.entry(object["id"].as_str().unwrap().to_owned()).or_default();
            assert!(version >= *newest, "{} after v{newest}: {object}", delivery.kind);
            *newest = version;
        }
    }
    for (id, version) in &versions.made {
        assert_eq!(told.get(id), Some(version), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_busy_feed_changes_are_told_in_time_and_in_order() {
    let (world, _, webhook) = listening(1_000, "sandbox", Subscription::new("a").every(SECOND)).await;
    // Pages that are under way for long tell what was, while quick polls tell what is.
    let slow = FaultRule { probability: Some(0.5), ..FaultRule::always(Fault::Slow { ms: 2_500 }) };
    world.faults(vec![slow]);
    let job = world.back_fill(&webhook, WHOLE).await;
    let mut versions = Versions { made: HashMap::new() };
    let mut made_at = HashMap::new();
    for turn in 0..400usize {
        // Of the page that is under way, and of others.
        let listed = usize::try_from(world.job(job.id).await.tally.listed).unwrap();
        let number = if turn % 2 == 0 { listed + (turn * 7) % 100 } else { turn * 37 };
        let id = format!("con_{:08}", 1 + number % 1_000);
        versions.next(&world, &id);
        made_at.insert((id.clone(), versions.made[&id]), tokio::time::Instant::now());
        world.run_for(Duration::from_millis(130)).await;
    }
    let done = over(&world, &job, 10 * MINUTE).await;
    world.faults(Vec::new());
    world.run_for(10 * SECOND).await;
    assert_eq!((done.state, completes(&world)), (JobState::Done, 1));
    assert_eq!(set(&world.ids("a", "INITIAL")).len(), 1_000);
    check_versions(&world, &versions);
    let kinds = world.kinds("a");
    let (first, last) = (kinds.iter().position(|kind| kind.starts_with("INITIAL")), kinds.len());
    let between = kinds[first.unwrap()..last].iter().filter(|kind| *kind == "VIRTUAL").count();
    assert!(between > 10, "changes come between pages of history: {kinds:?}");
    for delivery in world.got("a").iter().filter(|delivery| delivery.kind == "VIRTUAL") {
        for object in &delivery.data {
            let version = object["title"].as_str().unwrap().trim_start_matches('v').parse().unwrap();
            let made = made_at[&(object["id"].as_str().unwrap().to_owned(), version)];
            let late = delivery.instant - made;
            assert!(late < 12 * SECOND, "{late:?} late: {object}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_without_anything_to_tell_hold_no_changes_up() {
    let (world, _, webhook) = listening(2_000, vendors::UNFILTERED, Subscription::new("a").every(SECOND)).await;
    world.faults(vec![FaultRule::always(Fault::Slow { ms: 2_000 })]);
    let job = world.back_fill(&webhook, (Some(world.clock.now() + HOUR), None)).await;
    for _ in 0..3 {
        let id = world.create(json!({}));
        world.run_for(10 * SECOND).await;
        assert_eq!(world.ids("a", "VIRTUAL").last(), Some(&id));
    }
    assert!(world.job(job.id).await.is_open());
    assert_eq!(over(&world, &job, 3 * MINUTE).await.records, 0);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_does_not_answer_for_history_holds_no_changes_up() {
    let (world, _, webhook) = listening(300, "sandbox", Subscription::new("a").every(10 * SECOND)).await;
    let never = FaultRule { path: "/v1/contacts".to_owned(), ..FaultRule::next(Fault::Hang {}, 1_000) };
    world.faults(vec![FaultRule { probability: None, ..never }]);
    let job = world.back_fill(&webhook, WHOLE).await;
    world.run_for(20 * SECOND).await;
    world.faults(Vec::new());
    let id = world.create(json!({}));
    world.run_for(3 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL"), [id]);
    let job = over(&world, &job, HOUR).await;
    assert_eq!(job.state, JobState::Done);
    assert!(job.tally.error.is_some(), "what went wrong is told");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_one_ends_without_an_end_and_changes_go_on() {
    let (world, _, webhook) = listening(1_000, "sandbox", Subscription::new("a").every(SECOND)).await;
    world.replies("a", &[], Reply::Slow(SECOND));
    let job = world.back_fill(&webhook, WHOLE).await;
    world.until(MINUTE, "some pages", |world| world.got("a").len() == 3).await;
    world.disk.store.cancel_job(job.id, world.clock.now()).await.unwrap();
    let id = world.create(json!({}));
    world.run_for(MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL"), [id]);
    assert_eq!(completes(&world), 0);
    assert!(world.ids("a", "INITIAL").len() <= 400);
    let (calls, job) = (world.history_calls(), world.job(job.id).await);
    assert!((job.state == JobState::Cancelled) && job.finished_at.is_some() && calls <= 4, "{calls} {job:?}");
    world.replies("a", &[], Reply::Ok);
    let again = world.back_fill(&webhook, WHOLE).await;
    assert_eq!(over(&world, &again, MINUTE).await.state, JobState::Done);
    assert_eq!(completes(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_goes_on_from_the_last_page() {
    let (mut world, _, webhook) = listening(1_000, "sandbox", Subscription::new("a")).await;
    world.replies("a", &[], Reply::Slow(SECOND));
    let job = world.back_fill(&webhook, WHOLE).await;
    for deliveries in [3, 6] {
        world.until(MINUTE, "some pages", |world| world.got("a").len() >= deliveries).await;
        world.crash();
        world.run_for(MINUTE).await;
        world.start().await;
    }
    let id = world.create(json!({}));
    assert_eq!(over(&world, &job, 5 * MINUTE).await.state, JobState::Done);
    world.run_for(2 * MINUTE).await;
    let told = world.ids("a", "INITIAL");
    assert_eq!(set(&told).len(), 1_001, "the new one is history too");
    assert_eq!(world.ids("a", "VIRTUAL"), [id]);
    let payloads = world.got("a");
    let ids: BTreeSet<&str> = payloads.iter().map(|delivery| delivery.webhook_id.as_str()).collect();
    assert_eq!(ids.len(), 12, "what is sent again is the same");
    assert!((11..=13).contains(&world.history_calls()), "{} requests for eleven pages", world.history_calls());
}

#[tokio::test(start_paused = true)]
async fn a_page_asked_for_before_a_crash_holds_nothing_up_after_it() {
    let (mut world, _, webhook) = listening(300, "sandbox", Subscription::new("a").every(SECOND)).await;
    let mut versions = Versions { made: HashMap::new() };
    world.faults(vec![FaultRule::always(Fault::Slow { ms: 5_000 })]);
    let job = world.back_fill(&webhook, WHOLE).await;
    world.run_for(2 * SECOND).await;
    let state = world.disk.store.delivery(webhook.id).await.unwrap().unwrap();
    assert!(state.beside.is_some_and(|beside| beside.held_from.is_some()), "{state:?}");
    world.crash();
    versions.next(&world, "con_00000001");
    world.start().await;
    versions.next(&world, "con_00000300");
    assert_eq!(over(&world, &job, 5 * MINUTE).await.state, JobState::Done);
    world.faults(Vec::new());
    world.run_for(MINUTE).await;
    check_versions(&world, &versions);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_made_good_by_time() {
    let (world, _, webhook) = listening(1_000, vendors::BY_TIME, Subscription::new("a")).await;
    let job = world.back_fill(&webhook, WHOLE).await;
    for calls in [3, 5, 8] {
        world.until(MINUTE, "some pages", |world| world.history_calls() >= calls).await;
        world.faults(vec![FaultRule::next(Fault::ExpiredCursor {}, 1)]);
    }
    let done = over(&world, &job, 5 * MINUTE).await;
    assert_eq!((done.state, completes(&world)), (JobState::Done, 1));
    let told = world.ids("a", "INITIAL");
    assert_eq!((set(&told).len(), told.len()), (1_000, 1_000), "each once");
    assert!(world.history_calls() <= 18, "{} requests for ten pages", world.history_calls());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_always_end_are_no_matter_where_the_order_is_by_time() {
    let (world, _, webhook) = listening(1_000, vendors::BY_TIME, Subscription::new("a")).await;
    world.faults(vec![FaultRule::always(Fault::ExpiredCursor {})]);
    let job = world.back_fill(&webhook, WHOLE).await;
    let done = over(&world, &job, HOUR).await;
    assert_eq!((done.state, completes(&world)), (JobState::Done, 1));
    let told = world.ids("a", "INITIAL");
    assert_eq!((set(&told).len(), told.len()), (1_000, 1_000), "each once");
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_no_further_fails_loudly() {
    let (world, _, webhook) = listening(1_000, "sandbox", Subscription::new("a")).await;
    let job = world.back_fill(&webhook, WHOLE).await;
    world.faults(vec![FaultRule::always(Fault::ExpiredCursor {})]);
    let failed = over(&world, &job, HOUR).await;
    let JobState::Failed { code, message } = &failed.state else { panic!("{failed:?}") };
    assert_eq!(code, "cursor_expired");
    assert!(failed.finished_at.is_some() && completes(&world) == 0);
    assert!(world.history_calls() < 40, "{} requests", world.history_calls());
    let query = ApiCallQuery { connection_id: None, is_failure: Some(true), limit: 99, ..ApiCallQuery::default() };
    let calls = world.disk.store.api_calls(world.workspace, &query).await.unwrap();
    let of_webhook = |call: &&ApiCall| call.webhook_id == Some(webhook.id) && call.error.as_ref() == Some(message);
    assert_eq!(calls.iter().filter(of_webhook).count(), 1, "it stands in the audit");
    world.faults(Vec::new());
    let id = world.create(json!({}));
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL"), [id], "changes go on");
    assert_eq!(over(&world, &world.back_fill(&webhook, WHOLE).await, MINUTE).await.state, JobState::Done);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_gets_it_all_once_it_is_back() {
    let (world, _, webhook) = listening(500, "sandbox", Subscription::new("a").every(10 * SECOND)).await;
    let mut versions = Versions { made: HashMap::new() };
    world.replies("a", &[], Reply::Slow(SECOND));
    let job = world.back_fill(&webhook, WHOLE).await;
    world.until(MINUTE, "a page", |world| !world.got("a").is_empty()).await;
    world.replies("a", &[], Reply::Status(503));
    for number in 1..=40 {
        versions.next(&world, &format!("con_{:08}", number * 12));
        world.run_for(10 * SECOND).await;
    }
    let calls = world.history_calls();
    assert!(calls <= 4, "no more is listed than can be delivered: {calls}");
    world.replies("a", &[], Reply::Ok);
    assert_eq!(over(&world, &job, 6 * HOUR).await.state, JobState::Done);
    world.run_for(MINUTE).await;
    check_versions(&world, &versions);
    assert_eq!(set(&world.ids("a", "INITIAL")).len(), 500);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_webhook() {
    let (world, connection, webhook) = listening(1_000, "sandbox", Subscription::new("a")).await;
    world.subscribe(&connection, Subscription::new("b")).await;
    world.replies("a", &[], Reply::Slow(SECOND));
    world.back_fill(&webhook, WHOLE).await;
    world.until(MINUTE, "some pages", |world| world.got("a").len() == 3).await;
    world.disk.store.delete_webhook(webhook.id, world.clock.now()).await.unwrap();
    let (got, calls) = (world.got("a").len(), world.history_calls());
    let id = world.create(json!({}));
    world.run_for(HOUR).await;
    assert!(world.got("a").len() <= got + 1 && world.history_calls() <= calls + 1);
    assert_eq!(world.ids("b", "VIRTUAL"), [id]);
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_waits() {
    let (world, connection, webhook) = listening(300, "sandbox", Subscription::new("a")).await;
    world.pause_connection(connection.id, true).await;
    let job = world.back_fill(&webhook, WHOLE).await;
    world.run_for(HOUR).await;
    assert_eq!((world.history_calls(), world.got("a").len()), (0, 0));
    world.pause_connection(connection.id, false).await;
    world.change(webhook.id, |row| row.is_paused = true).await;
    world.run_for(HOUR).await;
    assert!(world.history_calls() <= 1 && world.got("a").is_empty());
    world.change(webhook.id, |row| row.is_paused = false).await;
    assert_eq!(over(&world, &job, 2 * MINUTE).await.state, JobState::Done);
    assert_eq!(set(&world.ids("a", "INITIAL")).len(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_away_holds_up_a_back_fill_for_no_longer_than_that() {
    let (world, _, webhook) = listening(1_000, "sandbox", Subscription::new("a")).await;
    let job = world.back_fill(&webhook, WHOLE).await;
    world.disk.be_away(true);
    // Shorter than the node's leases last, so that it goes on trying all the while.
    world.run_for(25 * SECOND).await;
    world.disk.be_away(false);
    let done = over(&world, &job, 5 * SECOND).await;
    assert_eq!((done.state, done.records, done.tally.error), (JobState::Done, 1_000, None));
    assert_eq!(world.feed_state(&webhook).await.failures, 0);
}
