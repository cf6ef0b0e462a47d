//! What a vendor allows is kept, and shared: each test is a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::limits::BudgetLimits;
use anyhook::simulator::{Fault, FaultRule, Object};
use anyhook::store::*;
use anyhook_connectors::model::ObjectType;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use support::vendor::Call;
use support::{Setup, Subscription, World, vendors};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const TYPES: [ObjectType; 4] =
    [ObjectType::CrmCompany, ObjectType::CrmContact, ObjectType::CrmDeal, ObjectType::TicketingTicket];

/// A vendor that is believed to allow so much with each credential.
fn believed(mut setup: Setup, integration: &str, requests: u32, per: Duration) -> Setup {
    let per_ms = Some(u64::try_from(per.as_millis()).unwrap());
    let budget = BudgetLimits { requests: Some(requests), per_ms, ..BudgetLimits::default() };
    setup.limits.poll.budgets.insert(integration.to_owned(), budget);
    setup
}

/// Who polls everything the vendor has.
async fn subscribe_to_all(world: &World, connection: &Connection, every: Duration) {
    for object_type in TYPES {
        let subscription = Subscription { object_type, ..Subscription::new(object_type.as_str()) };
        world.subscribe(connection, subscription.every(every)).await;
    }
}

fn calls(world: &World) -> Vec<Call> {
    world.calls_to("/v1/")
}

/// The most requests that any span of this length has.
fn most_within(calls: &[Call], span: Duration) -> usize {
    let within = |from: Instant| calls.iter().filter(|call| call.at >= from && call.at < from + span).count();
    calls.iter().map(|call| within(call.at)).max().unwrap_or(0)
}

/// Between one poll of these records and the next.
fn gaps(world: &World, path: &str) -> Vec<Duration> {
    let at: Vec<Instant> = world.calls_to(path).iter().map(|call| call.at).collect();
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

// A vendor that says stop.

#[tokio::test(start_paused = true)]
async fn after_a_refusal_nothing_is_asked_until_the_vendor_said() {
    let world = World::new(Setup::contacts(2_000)).await;
    let connection = world.connect().await;
    subscribe_to_all(&world, &connection, SECOND).await;
    world.subscribe(&connection, Subscription::new("history").include_all()).await;
    world.run_for(5 * SECOND).await;
    world.faults(vec![FaultRule::always(Fault::TooManyRequests { retry_after_s: Some(30) })]);
    let began = Instant::now();
    world.run_for(20 * MINUTE).await;
    let refused: Vec<Call> = calls(&world).into_iter().filter(|call| call.at >= began).collect();
    // Requests that were on their way together are refused together.
    let mut storms = vec![refused[0].at];
    for call in &refused {
        let since = call.at - *storms.last().unwrap();
        assert!(since < SECOND / 10 || since >= 30 * SECOND, "asked {since:?} after a refusal");
        if since >= 30 * SECOND {
            storms.push(call.at);
        }
    }
    assert!((20..=40).contains(&storms.len()), "{}", storms.len());
    assert!(refused.len() <= storms.len() + 8, "behind a pause one asks first: {} in {}", refused.len(), storms.len());
    world.faults(Vec::new());
    world.run_for(5 * MINUTE).await;
    assert_eq!(world.ids("history", "INITIAL").len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn without_a_time_each_refusal_doubles_the_pause() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    subscribe_to_all(&world, &connection, SECOND).await;
    world.run_for(5 * SECOND).await;
    world.faults(vec![FaultRule::always(Fault::TooManyRequests { retry_after_s: None })]);
    let began = Instant::now();
    world.run_for(HOUR).await;
    let refused: Vec<Call> = calls(&world).into_iter().filter(|call| call.at >= began).collect();
    assert!((9..=16).contains(&refused.len()), "asked {} times in an hour", refused.len());
    world.faults(Vec::new());
    world.run_for(2 * HOUR).await;
    let before = calls(&world).len();
    world.run_for(10 * MINUTE).await;
    assert!(calls(&world).len() - before > 2_000, "the old pace comes back: {}", calls(&world).len() - before);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_allows_less_than_was_believed_is_hardly_ever_asked_too_much() {
    let mut setup = believed(Setup::contacts(2_000), "sandbox", 6_000, MINUTE);
    setup.simulator.rate_limit = 20;
    let world = World::new(setup).await;
    let connection = world.connect().await;
    subscribe_to_all(&world, &connection, SECOND).await;
    world.subscribe(&connection, Subscription::new("history").include_all()).await;
    world.run_for(2 * HOUR).await;
    let calls = calls(&world);
    let refused = calls.iter().filter(|call| call.status == 429).count();
    assert!(refused <= 2, "refused {refused} times of {}", calls.len());
    assert!(most_within(&calls, MINUTE) <= 41, "twenty at once and twenty a minute: {}", most_within(&calls, MINUTE));
    assert!(calls.len() > 1_200, "half of what is allowed is used at least: {}", calls.len());
    assert_eq!(world.ids("history", "INITIAL").len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlasts_neither_a_restart_nor_a_clock_that_went_back() {
    for (jump_h, least_s, most_s) in [(0, 899, 1_000), (-2, 899, 1_900), (-30, 899, 1_900)] {
        let mut world = World::new(Setup::default()).await;
        let connection = world.connect().await;
        world.subscribe(&connection, Subscription::new("a").every(10 * SECOND)).await;
        world.run_for(MINUTE).await;
        world.faults(vec![FaultRule::next(Fault::TooManyRequests { retry_after_s: Some(900) }, 1)]);
        world.until(MINUTE, "a refusal", |world| calls(world).last().unwrap().status == 429).await;
        world.run_for(SECOND).await;
        let (asked, refused) = (calls(&world).len(), Instant::now());
        world.clock.jump(jump_h * 3_600_000);
        world.run_for(3 * MINUTE).await;
        world.restart().await;
        world.run_for(30 * MINUTE).await;
        let next = calls(&world).get(asked).unwrap_or_else(|| panic!("{jump_h} hours: polling goes on")).at - refused;
        let allowed = Duration::from_secs(least_s) - 2 * SECOND..Duration::from_secs(most_s);
        assert!(allowed.contains(&next), "{jump_h} hours: {next:?}");
    }
}

// Who goes first.

#[tokio::test(start_paused = true)]
async fn polls_keep_their_interval_while_a_back_fill_of_many_pages_runs() {
    let world = World::new(believed(Setup::contacts(6_000), "sandbox", 60, MINUTE)).await;
    let connection = world.connect().await;
    let deals = Subscription { object_type: ObjectType::CrmDeal, ..Subscription::new("deals").every(5 * SECOND) };
    world.subscribe(&connection, deals).await;
    world.run_for(MINUTE).await;
    world.subscribe(&connection, Subscription::new("history").include_all().every(HOUR)).await;
    let before = gaps(&world, "/v1/deals").len();
    world.run_for(5 * MINUTE).await;
    let late = gaps(&world, "/v1/deals")[before..].iter().filter(|gap| **gap > 7 * SECOND).count();
    assert_eq!(late, 0, "{:?}", &gaps(&world, "/v1/deals")[before..]);
    assert_eq!(world.ids("history", "INITIAL").len(), 6_000, "what is left is the back-fill's");
}

#[tokio::test(start_paused = true)]
async fn a_back_fill_ends_though_polls_want_the_whole_budget() {
    let world = World::new(believed(Setup::contacts(1_000), "sandbox", 10, 10 * SECOND)).await;
    let connection = world.connect().await;
    subscribe_to_all(&world, &connection, SECOND).await;
    world.run_for(2 * MINUTE).await;
    world.subscribe(&connection, Subscription::new("history").include_all().every(HOUR)).await;
    world.run_for(4 * MINUTE).await;
    assert_eq!(world.ids("history", "INITIAL").len(), 1_000, "eleven pages at a page in ten seconds");
    let polls = gaps(&world, "/v1/deals");
    assert!(polls.iter().all(|gap| *gap < 15 * SECOND), "{polls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_feed_of_many_pages_delays_the_small_ones_by_a_few_turns() {
    let mut setup = believed(Setup::default(), "sandbox", 4, 4 * SECOND);
    setup.simulator.objects = vec![Object::Contacts];
    let world = World::new(setup).await;
    let huge = world.connect().await;
    world.subscribe(&huge, Subscription::new("huge")).await;
    let mut small = Vec::new();
    for number in 0..20 {
        // They share a credential, so they share its budget.
        let connection = world.connect().await;
        let object_type = TYPES[number % 2 * 2];
        let subscription = Subscription { object_type, ..Subscription::new(&format!("s{number}")) };
        small.push(world.subscribe(&connection, subscription.every(MINUTE)).await);
    }
    world.run_for(5 * MINUTE).await;
    let mut ids = Vec::new();
    for _ in 0..150 {
        ids.extend(world.create_many(100));
        world.run_for(SECOND / 100).await;
    }
    let mut checked = vec![Vec::new(); small.len()];
    for _ in 0..600 {
        world.run_for(SECOND).await;
        for (feed, seen) in small.iter().zip(&mut checked) {
            let state = world.feed_state(feed).await;
            if state.failures == 0 && state.checked_at != seen.last().copied() {
                seen.extend(state.checked_at);
            }
        }
    }
    let told: BTreeSet<String> = world.ids("huge", "VIRTUAL").into_iter().collect();
    assert_eq!(told.len(), ids.len(), "within the turns that the small ones leave");
    for (number, seen) in checked.iter().enumerate() {
        assert!(seen.len() >= 8, "feed {number} was polled {} times in ten minutes", seen.len());
    }
}

// How much at once.

#[tokio::test(start_paused = true)]
async fn a_slow_vendor_takes_only_its_places_and_holds_up_no_other() {
    let mut setup = Setup::default();
    setup.limits.poll.runs_max = 10;
    setup.limits.poll.host_requests_max = 4;
    setup.limits.poll.bucket_requests_max = 2;
    setup.limits.poll.host_waiting_max = 3;
    setup.simulator.tokens = ["one", "two", "three", "four", "quick"].map(str::to_owned).to_vec();
    let world = World::new(setup).await;
    let quick = world.connect_to("sandbox", "quick").await;
    world.change_connection(quick.id, |row| row.profile.api_url = Some("http://other.test".to_owned())).await;
    let deals = Subscription { object_type: ObjectType::CrmDeal, ..Subscription::new("quick").every(10 * SECOND) };
    world.subscribe(&quick, deals).await;
    world.run_for(MINUTE).await;
    world.faults(vec![FaultRule { path: "/v1/contacts".to_owned(), ..FaultRule::always(Fault::Slow { ms: 20_000 }) }]);
    for nth in 0..20 {
        let connection = world.connect_to("sandbox", ["one", "two", "three", "four"][nth % 4]).await;
        world.subscribe(&connection, Subscription::new(&format!("slow{nth}")).every(10 * SECOND)).await;
    }
    let before = gaps(&world, "/v1/deals").len();
    world.run_for(10 * MINUTE).await;
    let slow = world.calls_to("/v1/contacts");
    assert!(most_within(&slow, 20 * SECOND) <= 4, "{}", most_within(&slow, 20 * SECOND));
    assert!(slow.len() >= 100, "the places are used: {}", slow.len());
    let late: Vec<Duration> =
        gaps(&world, "/v1/deals")[before..].iter().filter(|gap| **gap > 13 * SECOND).copied().collect();
    assert!(late.is_empty(), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_sets_for_all_accounts_bounds_them_together() {
    let mut setup = Setup::default();
    let budget = BudgetLimits { app_requests: Some(12), app_per_ms: Some(60_000), ..BudgetLimits::default() };
    setup.limits.poll.budgets.insert("sandbox".to_owned(), budget);
    setup.simulator.tokens = ["one", "two", "three"].map(str::to_owned).to_vec();
    let world = World::new(setup).await;
    for token in ["one", "two", "three"] {
        let connection = world.connect_to("sandbox", token).await;
        world.subscribe(&connection, Subscription::new(token).every(SECOND)).await;
    }
    world.run_for(HOUR).await;
    let calls = calls(&world);
    assert!(most_within(&calls, MINUTE) <= 25, "twelve at once and twelve a minute: {}", most_within(&calls, MINUTE));
    assert!((700..=735).contains(&calls.len()), "{}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_the_app_pauses_every_account_and_else_only_one() {
    for (retry_after_s, is_for_app) in [(77, true), (78, false)] {
        let mut setup = Setup::default();
        setup.simulator.tokens = ["one", "two"].map(str::to_owned).to_vec();
        let mut world = World::new(setup).await;
        let types = [("one", ObjectType::CrmContact), ("two", ObjectType::CrmDeal)];
        for (token, object_type) in types {
            let connection = world.connect_to(vendors::APP_WIDE, token).await;
            let subscription = Subscription { object_type, ..Subscription::new(token) };
            world.subscribe(&connection, subscription.every(5 * SECOND)).await;
        }
        world.run_for(MINUTE).await;
        let refused = FaultRule {
            path: "/v1/contacts".to_owned(),
            ..FaultRule::next(Fault::TooManyRequests { retry_after_s: Some(retry_after_s) }, 1)
        };
        world.faults(vec![refused]);
        world.until(MINUTE, "a refusal", |world| calls(world).iter().any(|call| call.status == 429)).await;
        world.run_for(SECOND).await;
        world.restart().await;
        let asked = (world.calls_to("/v1/contacts").len(), world.calls_to("/v1/deals").len());
        world.run_for(70 * SECOND).await;
        let since = (world.calls_to("/v1/contacts").len() - asked.0, world.calls_to("/v1/deals").len() - asked.1);
        assert_eq!((since.0, since.1 > 0), (0, !is_for_app), "{since:?}");
        world.run_for(MINUTE).await;
        assert!(world.calls_to("/v1/contacts").len() > asked.0, "both go on");
        assert!(world.calls_to("/v1/deals").len() > asked.1 + since.1, "both go on");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nothing_changed_costs_nothing_where_the_vendor_does_not_count_it() {
    let mut polls = Vec::new();
    for vendor in ["sandbox", vendors::FREE_304] {
        let world = World::new(believed(Setup::contacts(3), vendor, 2, MINUTE)).await;
        let connection = world.connect_to(vendor, "sandbox").await;
        world.subscribe(&connection, Subscription::new("a").every(5 * SECOND)).await;
        world.run_for(HOUR).await;
        polls.push(calls(&world).len());
    }
    assert!(polls[0] <= 125, "two a minute: {polls:?}");
    assert!(polls[1] >= 650, "every five seconds: {polls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_tells_by_a_time_what_is_unchanged_hides_no_change_of_the_same_second() {
    let world = World::new(believed(Setup::contacts(3), vendors::MODIFIED, 600, MINUTE)).await;
    let connection = world.connect_to(vendors::MODIFIED, "sandbox").await;
    world.subscribe(&connection, Subscription::new("a").every(SECOND)).await;
    world.run_for(10 * SECOND).await;
    let mut changed = BTreeSet::new();
    for phase in 0..20 {
        // A poll may come between the two, and both have the same second.
        for _ in 0..2 {
            changed.insert(world.create(json!({})));
            world.run_for(Duration::from_millis(130 + 40 * phase)).await;
        }
        world.run_for(5 * SECOND).await;
        assert_eq!(world.ids("a", "VIRTUAL").into_iter().collect::<BTreeSet<_>>(), changed);
    }
    assert!(calls(&world).iter().any(|call| call.status == 304), "nothing was told to be unchanged");
}
