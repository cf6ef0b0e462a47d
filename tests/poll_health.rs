//! How often feeds are polled where they may choose, and what a person is told when polling does not work: each test is a
//! promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::simulator::{Fault, FaultRule};
use anyhook::store::*;
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;
use support::{Setup, Subscription, World, vendors};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A feed polled every 10 seconds to 15 minutes.
fn ranged(name: &str) -> Subscription {
    Subscription::new(name).within(10 * SECOND, 15 * MINUTE)
}

/// What a workspace was told, oldest first, less what people did.
async fn told(world: &World) -> Vec<Notification> {
    let query = NotificationQuery { is_ascending: true, limit: 1_000, ..NotificationQuery::default() };
    let rows = world.disk.store.notifications(world.workspace, &query).await.unwrap();
    let of_people = [
        NotificationEvent::ConnectionCreated,
        NotificationEvent::ConnectionUpdated,
        NotificationEvent::WebhookCreated,
        NotificationEvent::BackfillCompleted,
    ];
    rows.into_iter().filter(|row| !of_people.contains(&row.event)).collect()
}

async fn events(world: &World) -> Vec<NotificationEvent> {
    told(world).await.iter().map(|row| row.event).collect()
}

/// The newest poll run of a webhook's feed.
async fn last_run(world: &World, webhook: &Webhook) -> ApiCall {
    let (feed_id, kind) = (Some(webhook.feed_id), Some(CallKind::Inbound));
    let query = ApiCallQuery { feed_id, kind, limit: 1, ..ApiCallQuery::default() };
    world.disk.store.api_calls(world.workspace, &query).await.unwrap().remove(0)
}

fn calls(world: &World) -> usize {
    world.calls.lock().unwrap().len()
}

// How often.

#[tokio::test(start_paused = true)]
async fn a_feed_with_a_range_is_polled_fast_while_changes_come_and_slowly_while_nothing_does() {
    let world = World::new(Setup::contacts(10)).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, ranged("a")).await;
    world.run_for(2 * HOUR).await;
    assert_eq!(world.feed_state(&webhook).await.wait_ms, Some(900_000));
    let polls = world.polls();
    world.run_for(3 * HOUR).await;
    assert!((11..=14).contains(&(world.polls() - polls)), "once in 15 minutes: {}", world.polls() - polls);
    let run = last_run(&world, &webhook).await;
    assert_eq!(run.next.unwrap().why, NextWhy::Quiet);
    for _ in 0..400 {
        world.update("con_00000002", json!({"title": "Captain"}));
        world.run_for(5 * SECOND).await;
    }
    assert_eq!(world.feed_state(&webhook).await.wait_ms, Some(10_000));
    let run = last_run(&world, &webhook).await;
    let next = run.next.unwrap();
    assert!(next.why == NextWhy::Changes && (8_000..=11_000).contains(&next.in_ms), "{next:?}");
    world.run_for(3 * HOUR).await;
    assert_eq!(world.feed_state(&webhook).await.wait_ms, Some(900_000));
}

/// Polls and the mean delay from a change to its delivery, for a feed with a burst of changes every two hours.
async fn bursts(subscription: Subscription) -> (usize, Duration) {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    world.subscribe(&connection, subscription).await;
    world.run_for(10 * SECOND).await;
    let (polls, mut made) = (world.polls(), std::collections::HashMap::new());
    for burst in 0..6u32 {
        // Not at the same place in the rhythm of polls each time.
        world.run_for(107 * MINUTE + burst * 17 * SECOND).await;
        for _ in 0..60 {
            made.insert(world.create(json!({})), world.clock.now());
            world.run_for(10 * SECOND).await;
        }
    }
    world.run_for(HOUR).await;
    let mut delays = Vec::new();
    for delivery in world.got("a") {
        for object in &delivery.data {
            delays.push((delivery.at - made[object["id"].as_str().unwrap()]).to_std().unwrap());
        }
    }
    assert_eq!(delays.len(), made.len());
    (world.polls() - polls, delays.iter().sum::<Duration>() / u32::try_from(delays.len()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_range_costs_fewer_calls_and_tells_bursts_sooner_than_a_fixed_interval() {
    let (fixed_polls, fixed_delay) = bursts(Subscription::new("a").every(MINUTE)).await;
    let (polls, delay) = bursts(ranged("a")).await;
    let (quick_polls, quick_delay) = bursts(Subscription::new("a").within(10 * SECOND, 2 * MINUTE)).await;
    println!("fixed 1 min: {fixed_polls} polls, mean delay {fixed_delay:?}");
    println!("10 s to 15 min: {polls} polls, mean delay {delay:?}");
    println!("10 s to 2 min: {quick_polls} polls, mean delay {quick_delay:?}");
    assert!(polls * 3 < fixed_polls * 2, "{polls} against {fixed_polls}");
    assert!(quick_polls < fixed_polls + fixed_polls / 10, "{quick_polls} against {fixed_polls}");
    assert!(quick_delay * 2 < fixed_delay, "{quick_delay:?} against {fixed_delay:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_polled_for_now_and_at_the_shortest_from_then_on() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, ranged("a")).await;
    world.run_for(3 * HOUR).await;
    let polls = world.polls();
    world.disk.store.ping_feed(webhook.feed_id, world.clock.now()).await.unwrap();
    world.run_for(SECOND).await;
    assert_eq!(world.polls(), polls + 1);
    assert_eq!(world.feed_state(&webhook).await.wait_ms, Some(10_000));
    assert_eq!(last_run(&world, &webhook).await.next.unwrap().why, NextWhy::Asked);
    world.run_for(MINUTE).await;
    assert!(world.polls() >= polls + 4, "{}", world.polls() - polls);
}

#[tokio::test(start_paused = true)]
async fn the_wait_survives_a_restart_and_follows_the_smallest_bounds() {
    let mut world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, ranged("a")).await;
    world.run_for(3 * HOUR).await;
    world.restart().await;
    let polls = world.polls();
    world.run_for(HOUR).await;
    assert!((3..=6).contains(&(world.polls() - polls)), "{}", world.polls() - polls);
    world.subscribe(&connection, Subscription::new("b").every(MINUTE)).await;
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.feed_state(&webhook).await.wait_ms, Some(60_000), "never longer than the fixed one of the other");
    for _ in 0..60 {
        world.create(json!({}));
        world.run_for(5 * SECOND).await;
    }
    assert_eq!(world.feed_state(&webhook).await.wait_ms, Some(10_000), "but shorter");
}

#[tokio::test(start_paused = true)]
async fn feeds_with_a_range_share_the_budget() {
    let mut setup = Setup::contacts(10);
    // A hundredth of what the sandbox allows: a request in ten seconds.
    setup.limits.poll.budget_percent = 1;
    let world = World::new(setup).await;
    let mut webhooks = Vec::new();
    for number in 0..20 {
        let connection = world.connect().await;
        let name = format!("w{number}");
        webhooks.push(world.subscribe(&connection, Subscription::new(&name).within(5 * SECOND, 15 * MINUTE)).await);
    }
    // Each of the twenty wants to be polled every five seconds: forty times what there is.
    let busy = async |minutes: u32| {
        for _ in 0..minutes * 6 {
            world.update("con_00000002", json!({"title": "Captain"}));
            world.run_for(10 * SECOND).await;
        }
    };
    busy(30).await;
    let before = calls(&world);
    busy(20).await;
    let per_second = (calls(&world) - before) as f64 / 1_200.0;
    assert!((0.06..=0.08).contains(&per_second), "three quarters of a tenth: {per_second}");
    let mut waits = Vec::new();
    for webhook in &webhooks {
        waits.push(world.feed_state(webhook).await.wait_ms.unwrap() / 1_000);
        assert_eq!(last_run(&world, webhook).await.next.unwrap().why, NextWhy::Budget);
    }
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*most <= least * 2, "each has its share: {waits:?}");
}

// What a person is told.

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_told_once_and_mend_when_replaced() {
    use NotificationEvent::*;
    let world = World::new(Setup::default()).await;
    let connection = world.connect_to("sandbox", "wrong").await;
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    let deals = Subscription { object_type: ObjectType::CrmDeal, ..Subscription::new("deals") };
    let deals = world.subscribe(&connection, deals).await;
    world.run_for(5 * HOUR).await;
    assert_eq!(events(&world).await, [ConnectionUnhealthy], "once, for two feeds and many polls");
    let first = told(&world).await.remove(0);
    assert_eq!((first.code.as_deref(), first.webhook_id), (Some("401"), None));
    assert!(first.description.contains("replace the connection's credentials"), "{}", first.description);
    assert!(calls(&world) < 16, "two feeds, once an hour: {}", calls(&world));
    let ids = world.create_many(3);
    world.give_token(connection.id, "sandbox").await;
    for webhook in [&webhook, &deals] {
        let health = world.feed_state(webhook).await.health;
        assert!(matches!(health, FeedHealth::Retrying { .. }), "not healthy before it is known: {health:?}");
    }
    world.run_for(10 * SECOND).await;
    assert_eq!(events(&world).await, [ConnectionUnhealthy, ConnectionHealthy]);
    assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
    let row = world.disk.store.connection(connection.id).await.unwrap().unwrap();
    assert!(row.last_unhealthy_code.is_none() && row.last_healthy_at.is_some());
    assert_eq!(world.ids("a", "VIRTUAL"), ids);
    world.give_token(connection.id, "wrong again").await;
    world.run_for(MINUTE).await;
    assert_eq!(events(&world).await, [ConnectionUnhealthy, ConnectionHealthy, ConnectionUnhealthy]);
}

#[tokio::test(start_paused = true)]
async fn a_feed_whose_runs_never_end_well_is_reported_as_stuck_and_recovers_by_itself() {
    use NotificationEvent::*;
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(MINUTE).await;
    world.faults(vec![FaultRule::always(Fault::Status { status: 500 })]);
    world.run_for(8 * MINUTE).await;
    assert_eq!(told(&world).await, [], "what may pass is not told of at once");
    world.run_for(3 * HOUR).await;
    let rows = told(&world).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].event, rows[0].webhook_id), (WebhookUnhealthy, Some(webhook.id)));
    assert_eq!(rows[0].code.as_deref(), Some("stuck"));
    assert!(rows[0].description.contains("500"), "{}", rows[0].description);
    let health = world.feed_state(&webhook).await.health;
    assert!(matches!(health, FeedHealth::Unhealthy { ref code, .. } if code == "stuck"), "{health:?}");
    world.faults(Vec::new());
    let ids = world.create_many(3);
    world.run_for(2 * HOUR).await;
    assert_eq!(events(&world).await, [WebhookUnhealthy, WebhookHealthy]);
    assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
    assert_eq!(world.ids("a", "VIRTUAL"), ids);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_breaks_off_again_and_again_is_stuck_only_where_it_comes_no_further() {
    let often =
        FaultRule { probability: Some(0.3), ..FaultRule::always(Fault::TooManyRequests { retry_after_s: Some(20) }) };
    for (vendor, is_stuck) in [(vendors::WHOLE, true), ("sandbox", false)] {
        let world = World::new(Setup::contacts(1_500)).await;
        let connection = world.connect_to(vendor, "sandbox").await;
        let webhook = world.subscribe(&connection, Subscription::new("a")).await;
        world.run_for(MINUTE).await;
        world.faults(vec![often.clone()]);
        for _ in 0..30 {
            world.create_many(50);
            world.run_for(10 * MILLISECOND).await;
        }
        world.run_for(40 * MINUTE).await;
        let events = events(&world).await;
        assert_eq!(events.contains(&NotificationEvent::WebhookUnhealthy), is_stuck, "{vendor}: {events:?}");
        let state = world.feed_state(&webhook).await;
        assert_eq!(!state.health.is_healthy(), is_stuck, "{vendor}: {state:?}");
        world.faults(Vec::new());
        world.run_for(HOUR).await;
        assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy, "{vendor}");
        assert_eq!(world.ids("a", "VIRTUAL").len(), 1_500, "{vendor}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_log_is_no_feed_that_is_stuck() {
    let mut setup = Setup::default();
    setup.limits.poll.log_bytes_max = 1_000;
    let world = World::new(setup).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.replies("a", &[], support::receiver::Reply::Status(500));
    world.run_for(MINUTE).await;
    world.create_many(300);
    world.run_for(HOUR).await;
    assert!(last_run(&world, &webhook).await.error.unwrap().contains("log is full"));
    assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
    assert_eq!(told(&world).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_resumed_is_shown_as_retried_until_a_poll_tells() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(MINUTE).await;
    world.faults(vec![FaultRule::always(Fault::Status { status: 400 })]);
    world.run_for(2 * MINUTE).await;
    assert_eq!(events(&world).await, [NotificationEvent::WebhookUnhealthy]);
    let resume = async || {
        world.disk.store.resume_webhook(webhook.id, world.clock.now()).await.unwrap();
        world.disk.store.ping_feed(webhook.feed_id, world.clock.now()).await.unwrap();
        assert!(matches!(world.feed_state(&webhook).await.health, FeedHealth::Retrying { .. }));
        world.run_for(10 * SECOND).await;
        world.feed_state(&webhook).await.health
    };
    assert!(matches!(resume().await, FeedHealth::Unhealthy { .. }), "it is no better");
    world.faults(Vec::new());
    assert_eq!(resume().await, FeedHealth::Healthy);
    let events = events(&world).await;
    let expected =
        [NotificationEvent::WebhookUnhealthy, NotificationEvent::WebhookUnhealthy, NotificationEvent::WebhookHealthy];
    assert_eq!(events, expected, "a try in vain is told of too");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_history_is_told_whether_it_went_well_or_not() {
    for (fault, code) in [(None, None), (Some(Fault::ExpiredCursor {}), Some("cursor_expired"))] {
        let world = World::new(Setup::contacts(1_000)).await;
        let connection = world.connect().await;
        world.faults(fault.into_iter().map(FaultRule::always).collect());
        let webhook = world.subscribe(&connection, Subscription::new("a").include_all()).await;
        world.run_for(HOUR).await;
        let query = NotificationQuery { limit: 100, ..NotificationQuery::default() };
        let rows = world.disk.store.notifications(world.workspace, &query).await.unwrap();
        let ends: Vec<_> = rows.iter().filter(|row| row.event == NotificationEvent::BackfillCompleted).collect();
        assert_eq!(ends.len(), 1, "{rows:?}");
        assert_eq!((ends[0].code.as_deref(), ends[0].webhook_id), (code, Some(webhook.id)));
        assert!(code.is_some() || ends[0].description.contains("1000 records"), "{}", ends[0].description);
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_only_pushed_is_looked_at_once_a_day_and_asks_nobody() {
    let mut world = World::without_engine(Setup::default()).await;
    let connection = world.connect_to("custom", "of the sender").await;
    let subscription = Subscription { object_type: ObjectType::CustomEvent, ..Subscription::new("events") };
    let webhook = world.subscribe(&connection, subscription.event(Change::Created)).await;
    world.start().await;
    world.run_for(HOUR).await;
    let first = due_at(&world, &webhook).await;
    assert!(first > world.clock.now() + TimeDelta::hours(22), "{first}");
    world.run_for(21 * HOUR).await;
    assert_eq!(due_at(&world, &webhook).await, first, "not again within the day");
    world.run_for(4 * HOUR).await;
    assert_eq!((due_at(&world, &webhook).await - first).num_hours(), 24, "the next day it came up again");
    assert!(!world.disk.has_circles());
    assert_eq!(calls(&world), 0, "there is nobody to ask");
    assert!(world.feed_state(&webhook).await.health.is_healthy());
}

/// When a webhook's feed comes up next.
async fn due_at(world: &World, webhook: &Webhook) -> DateTime<Utc> {
    world.disk.store.feed_due(webhook.feed_id).await.unwrap().expect("it is due some time")
}
