//! From a change at the vendor to a payload at a destination: each test is a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::simulator::{Fault, FaultRule, Granularity};
use anyhook::store::*;
use anyhook_connectors::contract::Change;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::receiver::Reply;
use support::{Setup, Subscription, World, vendors};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn set(ids: &[String]) -> BTreeSet<&str> {
    ids.iter().map(String::as_str).collect()
}

/// A world whose one webhook, `a`, has begun to listen.
async fn listening(setup: Setup) -> (World, Connection, Webhook) {
    listening_to(setup, "sandbox").await
}

async fn listening_to(setup: Setup, vendor: &str) -> (World, Connection, Webhook) {
    let world = World::new(setup).await;
    let connection = world.connect_to(vendor, "sandbox").await;
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(10 * SECOND).await;
    (world, connection, webhook)
}

// What a subscriber gets.

#[tokio::test(start_paused = true)]
async fn history_comes_first_and_then_changes() {
    let world = World::new(Setup::contacts(250)).await;
    let connection = world.connect().await;
    world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.run_for(MINUTE).await;
    assert_eq!(world.kinds("a"), ["INITIAL-PARTIAL", "INITIAL-PARTIAL", "INITIAL-COMPLETE"]);
    assert_eq!(set(&world.ids("a", "INITIAL")).len(), 250);
    let (new, old) = (world.create(json!({})), "con_00000007".to_owned());
    world.update(&old, json!({"title": "Captain"}));
    world.run_for(2 * MINUTE).await;
    assert_eq!(set(&world.ids("a", "VIRTUAL")), BTreeSet::from([new.as_str(), old.as_str()]));
    assert_eq!(world.kinds("a").last().unwrap(), "VIRTUAL");
    let last = world.got("a").pop().unwrap();
    assert!(last.data.iter().any(|object| object["id"] == old.as_str() && object["title"] == "Captain"));
    assert_eq!(last.external_xref.as_deref(), Some("customer-7"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_history_is_one_complete_payload_without_data() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.run_for(10 * MINUTE).await;
    assert_eq!(world.kinds("a"), ["INITIAL-COMPLETE"]);
    assert!(world.got("a")[0].data.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_wish_for_history_only_what_changes_later_is_told() {
    let world = World::new(Setup::contacts(50)).await;
    let connection = world.connect().await;
    world.create_many(3);
    world.run_for(30 * SECOND).await;
    world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(5 * MINUTE).await;
    assert!(world.got("a").is_empty(), "{}", world.tell());
    let id = world.create(json!({}));
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL"), [id]);
}

#[tokio::test(start_paused = true)]
async fn each_event_has_its_own_records() {
    let (world, connection, _) = listening(Setup::contacts(10)).await;
    world.subscribe(&connection, Subscription::new("created").event(Change::Created)).await;
    world.subscribe(&connection, Subscription::new("deleted").event(Change::Deleted)).await;
    world.run_for(MINUTE).await;
    let new = world.create(json!({}));
    world.update("con_00000002", json!({"title": "Captain"}));
    world.delete("con_00000003");
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("created", "VIRTUAL"), std::slice::from_ref(&new));
    assert_eq!(world.ids("deleted", "VIRTUAL"), ["con_00000003"]);
    assert_eq!(
        set(&world.ids("a", "VIRTUAL")),
        BTreeSet::from([new.as_str(), "con_00000002"]),
        "new ones are updates too"
    );
    world.update(&new, json!({"title": "Captain"}));
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("created", "VIRTUAL"), [new], "an update is no creation");
    let figures = world.figures(&connection).await;
    assert_eq!((figures.changes, figures.kinds), (4, ChangeCounts { created: 1, updated: 2, deleted: 1 }));
}

#[tokio::test(start_paused = true)]
async fn fields_choose_what_an_object_holds_and_raw_is_the_vendors_own() {
    let (world, connection, _) = listening(Setup::default()).await;
    world.subscribe(&connection, Subscription::new("some").fields(&["title"])).await;
    world.subscribe(&connection, Subscription::new("raw").fields(&["id", "raw"])).await;
    world.run_for(MINUTE).await;
    let id = world.create(json!({"title": "Captain", "owner_id": "usr_1"}));
    world.run_for(2 * MINUTE).await;
    let some = &world.got("some")[0].data[0];
    assert_eq!(some["title"], "Captain");
    assert!(some.get("name").is_none() && some.get("raw").is_none(), "{some}");
    let raw = &world.got("raw")[0].data[0];
    assert_eq!(raw["raw"], serde_json::Value::Object(world.contacts()[&id].clone()));
    assert!(raw.get("title").is_none(), "{raw}");
    assert!(world.got("a")[0].data[0].get("raw").is_none(), "raw only where it is named");
}

#[tokio::test(start_paused = true)]
async fn page_max_limit_bounds_a_payload_in_history_and_later() {
    let world = World::new(Setup::contacts(25)).await;
    let connection = world.connect().await;
    world.subscribe(&connection, Subscription::new("a").include_all().page_max_limit(10)).await;
    world.run_for(MINUTE).await;
    let sizes = || world.got("a").iter().map(|delivery| delivery.data.len()).collect::<Vec<_>>();
    assert_eq!(sizes(), [10, 10, 5]);
    assert_eq!(world.kinds("a"), ["INITIAL-PARTIAL", "INITIAL-PARTIAL", "INITIAL-COMPLETE"]);
    world.create_many(21);
    world.run_for(2 * MINUTE).await;
    assert_eq!(sizes()[3..], [10, 10, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_new_webhook_on_an_old_feed_gets_nothing_from_before() {
    let (world, connection, _) = listening(Setup::default()).await;
    let before = world.create_many(5);
    world.run_for(5 * MINUTE).await;
    world.subscribe(&connection, Subscription::new("late")).await;
    world.run_for(5 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL"), before);
    assert!(world.got("late").is_empty());
    let after = world.create(json!({}));
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("late", "VIRTUAL"), [after]);
}

#[tokio::test(start_paused = true)]
async fn two_webhooks_of_one_feed_each_get_their_own_history() {
    let world = World::new(Setup::contacts(150)).await;
    let connection = world.connect().await;
    world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.run_for(SECOND).await;
    world.subscribe(&connection, Subscription::new("b").include_all().page_max_limit(40)).await;
    world.run_for(5 * MINUTE).await;
    for name in ["a", "b"] {
        assert_eq!(set(&world.ids(name, "INITIAL")).len(), 150, "{name}");
        let complete = world.kinds(name).iter().filter(|kind| *kind == "INITIAL-COMPLETE").count();
        assert_eq!(complete, 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_a_webhook_was_deleted() {
    let (world, connection, webhook) = listening(Setup::default()).await;
    world.subscribe(&connection, Subscription::new("b")).await;
    world.create_many(3);
    world.disk.store.delete_webhook(webhook.id, world.clock.now()).await.unwrap();
    world.run_for(5 * MINUTE).await;
    assert!(world.got("a").is_empty());
    assert_eq!(world.ids("b", "VIRTUAL").len(), 3);
}

// When the vendor is asked.

#[tokio::test(start_paused = true)]
async fn however_many_webhooks_listen_the_vendor_is_asked_once() {
    let mut calls = BTreeMap::new();
    for count in [1, 10, 100] {
        let world = World::new(Setup::default()).await;
        let connection = world.connect().await;
        for number in 0..count {
            world.subscribe(&connection, Subscription::new(&format!("w{number}"))).await;
        }
        world.run_for(10 * SECOND).await;
        let ids = world.create_many(120);
        world.run_for(HOUR).await;
        for number in 0..count {
            assert_eq!(world.ids(&format!("w{number}"), "VIRTUAL").len(), ids.len());
        }
        calls.insert(count, world.polls());
    }
    let (least, most) = (calls.values().min().unwrap(), calls.values().max().unwrap());
    assert!(most - least <= 6, "a tenth is jitter: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trigger_polls_now() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, Subscription::new("a").every(HOUR)).await;
    world.run_for(10 * SECOND).await;
    let id = world.create(json!({}));
    world.run_for(MINUTE).await;
    assert!(world.got("a").is_empty());
    world.disk.store.ping_feed(webhook.feed_id, world.clock.now()).await.unwrap();
    world.run_for(SECOND).await;
    assert_eq!(world.ids("a", "VIRTUAL"), [id]);
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_kept_and_the_shortest_counts() {
    let (world, connection, _) = listening(Setup::default()).await;
    let polls_in = async |duration: Duration| {
        let before = world.polls();
        world.run_for(duration).await;
        world.polls() - before
    };
    let hourly = polls_in(HOUR).await;
    assert!((56..=64).contains(&hourly), "once a minute, give or take a tenth: {hourly}");
    let quick = world.subscribe(&connection, Subscription::new("b").every(10 * SECOND)).await;
    world.run_for(MINUTE).await;
    let hourly = polls_in(HOUR).await;
    assert!((336..=384).contains(&hourly), "six times a minute: {hourly}");
    world.disk.store.delete_webhook(quick.id, world.clock.now()).await.unwrap();
    world.run_for(MINUTE).await;
    let hourly = polls_in(HOUR).await;
    assert!((56..=64).contains(&hourly), "once a minute again: {hourly}");
}

#[tokio::test(start_paused = true)]
async fn a_paused_webhook_rests_and_then_gets_what_it_missed() {
    let (world, _, webhook) = listening(Setup::default()).await;
    world.change(webhook.id, |row| row.is_paused = true).await;
    world.run_for(MINUTE).await;
    let polls = world.polls();
    let ids = world.create_many(3);
    world.run_for(HOUR).await;
    assert_eq!(world.polls(), polls, "a feed nobody listens to is not polled");
    world.change(webhook.id, |row| row.is_paused = false).await;
    world.run_for(10 * SECOND).await;
    assert_eq!(world.ids("a", "VIRTUAL"), ids);
}

#[tokio::test(start_paused = true)]
async fn a_paused_webhook_beside_an_active_one_gets_what_it_missed() {
    let (world, connection, webhook) = listening(Setup::default()).await;
    world.subscribe(&connection, Subscription::new("b")).await;
    world.change(webhook.id, |row| row.is_paused = true).await;
    let ids = world.create_many(3);
    world.run_for(10 * MINUTE).await;
    assert_eq!(world.ids("b", "VIRTUAL"), ids);
    assert!(world.got("a").is_empty());
    world.change(webhook.id, |row| row.is_paused = false).await;
    world.run_for(10 * SECOND).await;
    assert_eq!(world.ids("a", "VIRTUAL"), ids);
}

#[tokio::test(start_paused = true)]
async fn a_paused_connection_rests_with_its_webhooks() {
    let world = World::new(Setup::contacts(300)).await;
    let connection = world.connect().await;
    world.pause_connection(connection.id, true).await;
    world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.run_for(HOUR).await;
    assert!(world.calls.lock().unwrap().is_empty() && world.got("a").is_empty());
    world.pause_connection(connection.id, false).await;
    world.run_for(2 * MINUTE).await;
    assert_eq!(set(&world.ids("a", "INITIAL")).len(), 300);
}

// Restarts.

#[tokio::test(start_paused = true)]
async fn a_back_fill_goes_on_where_a_crash_ended_it() {
    let mut world = World::new(Setup::contacts(1_000)).await;
    let connection = world.connect().await;
    world.replies("a", &[], Reply::Slow(SECOND));
    world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.until(MINUTE, "some pages", |world| world.got("a").len() == 4).await;
    world.crash();
    world.run_for(MINUTE).await;
    world.start().await;
    world.run_for(5 * MINUTE).await;
    assert_eq!(set(&world.ids("a", "INITIAL")).len(), 1_000);
    let payloads = world.got("a");
    let ids: BTreeSet<&str> = payloads.iter().map(|delivery| delivery.webhook_id.as_str()).collect();
    assert_eq!(ids.len(), 10, "what is sent again is the same");
    assert_eq!(payloads.iter().filter(|delivery| delivery.kind == "INITIAL-COMPLETE").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_polls_loses_nothing() {
    let (mut world, ..) = listening(Setup::default()).await;
    let mut ids = world.create_many(5);
    world.run_for(2 * MINUTE).await;
    world.crash();
    ids.extend(world.create_many(150));
    world.run_for(HOUR).await;
    world.start().await;
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL"), ids);
}

#[tokio::test(start_paused = true)]
async fn retries_go_on_after_a_restart_with_the_same_payload() {
    let (mut world, ..) = listening(Setup::default()).await;
    world.replies("a", &[], Reply::Status(500));
    let id = world.create(json!({}));
    world.run_for(3 * MINUTE).await;
    let tries = world.got("a").len();
    assert!(tries >= 2, "{tries}");
    world.restart().await;
    world.replies("a", &[], Reply::Ok);
    world.run_for(2 * HOUR).await;
    let got = world.got("a");
    assert_eq!(got.last().map(|last| last.is_accepted), Some(true));
    assert_eq!(got.iter().filter(|delivery| delivery.is_accepted).count(), 1);
    assert!(
        got.iter().all(|delivery| delivery.webhook_id == got[0].webhook_id && delivery.data_text == got[0].data_text)
    );
    assert_eq!(got[0].data[0]["id"], id.as_str());
}

// Destinations.

#[tokio::test(start_paused = true)]
async fn a_hanging_destination_holds_up_nobody_else() {
    let (world, connection, _) = listening(Setup::default()).await;
    world.subscribe(&connection, Subscription::new("b")).await;
    world.replies("a", &[], Reply::Hang);
    world.run_for(MINUTE).await;
    let ids = world.create_many(3);
    world.run_for(70 * SECOND).await;
    assert_eq!(world.ids("b", "VIRTUAL"), ids);
    world.replies("a", &[], Reply::Ok);
    world.run_for(HOUR).await;
    assert!(world.got("a").iter().any(|delivery| delivery.is_accepted));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_gone_rests_until_it_is_resumed() {
    let (world, _, webhook) = listening(Setup::default()).await;
    world.replies("a", &[Reply::Status(410)], Reply::Ok);
    let mut ids = world.create_many(2);
    world.run_for(2 * MINUTE).await;
    ids.extend(world.create_many(2));
    world.run_for(HOUR).await;
    assert_eq!(world.got("a").len(), 1);
    let delivery = world.disk.store.delivery(webhook.id).await.unwrap().unwrap();
    assert!(matches!(delivery.health, WebhookHealth::Unhealthy { .. }));
    world.disk.store.resume_webhook(webhook.id, world.clock.now()).await.unwrap();
    world.run_for(2 * MINUTE).await;
    assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&ids));
}

// Vendors as they are.

#[tokio::test(start_paused = true)]
async fn a_vendor_whose_clock_is_off_loses_nothing_and_tells_nothing_old() {
    for shift_ms in [-3_600_000, -90_000, 90_000, 3_600_000] {
        let world = World::new(Setup::default()).await;
        world.faults(vec![FaultRule::always(Fault::ClockSkew { ms: shift_ms })]);
        let connection = world.connect().await;
        world.create_many(5);
        world.run_for(30 * SECOND).await;
        world.subscribe(&connection, Subscription::new("a")).await;
        world.run_for(5 * MINUTE).await;
        assert!(world.got("a").is_empty(), "{shift_ms} ms: {}", world.tell());
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.extend(world.create_many(3));
            world.run_for(40 * SECOND).await;
        }
        world.run_for(2 * MINUTE).await;
        assert_eq!(world.ids("a", "VIRTUAL"), ids, "{shift_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_whose_clock_is_ahead_is_polled_as_fast_as_any() {
    let mut setup = Setup::default();
    setup.simulator.rate_limit = 600;
    let world = World::new(setup).await;
    world.faults(vec![FaultRule::always(Fault::ClockSkew { ms: 3_600_000 })]);
    let connection = world.connect().await;
    world.subscribe(&connection, Subscription::new("a").every(SECOND)).await;
    world.run_for(HOUR).await;
    assert!(world.polls() > 3_200, "{}", world.polls());
}

#[tokio::test(start_paused = true)]
async fn records_that_show_late_are_told_once_they_show() {
    let (world, ..) = listening_to(Setup::default(), vendors::LATE).await;
    world.faults(vec![FaultRule::always(Fault::LateVisibility { ms: 55_000 })]);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(world.create(json!({})));
        world.run_for(7 * SECOND).await;
    }
    world.faults(Vec::new());
    world.run_for(3 * MINUTE).await;
    assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&ids));
    assert_eq!(world.ids("a", "VIRTUAL").len(), ids.len(), "each once");
}

#[tokio::test(start_paused = true)]
async fn history_and_changes_together_miss_nothing_that_shows_late() {
    let world = World::new(Setup::contacts(20)).await;
    let connection = world.connect_to(vendors::LATE, "sandbox").await;
    world.faults(vec![FaultRule::always(Fault::LateVisibility { ms: 55_000 })]);
    let mut ids: Vec<String> = world.contacts().into_keys().collect();
    for turn in 0..20 {
        if turn == 10 {
            world.subscribe(&connection, Subscription::new("a").include_all()).await;
        }
        ids.push(world.create(json!({})));
        world.run_for(3 * SECOND).await;
    }
    world.run_for(5 * MINUTE).await;
    let told = world.ids("a", "");
    assert_eq!(set(&told), set(&ids));
}

#[tokio::test(start_paused = true)]
async fn more_records_of_one_second_than_a_page_holds_are_all_told() {
    let mut setup = Setup::default();
    setup.simulator.granularity = Granularity::Second;
    let (world, ..) = listening_to(setup, vendors::SECONDS).await;
    let mut ids = world.create_many(350);
    world.run_for(300 * Duration::from_millis(1)).await;
    ids.extend(world.create_many(1));
    world.run_for(3 * MINUTE).await;
    assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&ids));
    assert_eq!(world.ids("a", "VIRTUAL").len(), ids.len(), "each once");
    world.update(&ids[0], json!({"title": "one"}));
    world.update(&ids[1], json!({"title": "two"}));
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL").len(), ids.len() + 2);
}

#[tokio::test(start_paused = true)]
async fn two_changes_within_one_second_are_two_changes() {
    let mut setup = Setup::default();
    setup.simulator.granularity = Granularity::Second;
    let (world, _, webhook) = listening_to(setup, vendors::SECONDS).await;
    let id = world.create(json!({"title": "one"}));
    world.disk.store.ping_feed(webhook.feed_id, world.clock.now()).await.unwrap();
    world.run_for(Duration::from_millis(300)).await;
    world.update(&id, json!({"title": "two"}));
    world.run_for(2 * MINUTE).await;
    let titles: Vec<_> = world.got("a").iter().map(|delivery| delivery.data[0]["title"].clone()).collect();
    assert_eq!(titles, ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_listing_tells_every_change_once() {
    for vendor in [vendors::NEWEST_FIRST, vendors::WHOLE, vendors::EXCLUSIVE, vendors::UNDATED, vendors::SECONDS] {
        let (world, connection, _) = listening_to(Setup::contacts(250), vendor).await;
        world.subscribe(&connection, Subscription::new("created").event(Change::Created)).await;
        world.run_for(2 * MINUTE).await;
        assert!(world.got("a").is_empty(), "{vendor}: {}", world.tell());
        let mut ids = world.create_many(150);
        let created = ids.clone();
        world.run_for(2 * MINUTE).await;
        for id in ["con_00000001", "con_00000099", "con_00000250"] {
            world.update(id, json!({"title": "Captain"}));
            ids.push(id.to_owned());
        }
        world.run_for(2 * MINUTE).await;
        let told = world.ids("a", "VIRTUAL");
        assert_eq!(set(&told), set(&ids), "{vendor}");
        assert_eq!(told.len(), ids.len(), "{vendor}: each once");
        assert_eq!(set(&world.ids("created", "VIRTUAL")), set(&created), "{vendor}: only new ones are created");
    }
}

#[tokio::test(start_paused = true)]
async fn learning_what_is_there_tells_nothing_even_where_it_is_broken_off() {
    let mut world = World::new(Setup::contacts(1_000)).await;
    let connection = world.connect_to(vendors::UNDATED, "sandbox").await;
    let page = FaultRule { path: "/v1/contacts".to_owned(), ..FaultRule::always(Fault::Slow { ms: 1_000 }) };
    world.faults(vec![page]);
    world.subscribe(&connection, Subscription::new("a").event(Change::Created)).await;
    world.run_for(5 * SECOND).await;
    world.crash();
    world.run_for(MINUTE).await;
    world.start().await;
    world.run_for(5 * SECOND).await;
    world.subscribe(&connection, Subscription::new("b").every(30 * SECOND)).await;
    world.run_for(5 * MINUTE).await;
    assert!(world.got("a").is_empty() && world.got("b").is_empty(), "{}", world.tell());
    let id = world.create(json!({}));
    world.run_for(2 * MINUTE).await;
    assert_eq!((world.ids("a", "VIRTUAL"), world.ids("b", "VIRTUAL")), (vec![id.clone()], vec![id]));
}

// Vendors that fail.

#[tokio::test(start_paused = true)]
async fn too_many_requests_pause_the_whole_budget_also_over_a_restart() {
    let (mut world, connection, _) = listening(Setup::default()).await;
    let deals = Subscription {
        object_type: anyhook_connectors::model::ObjectType::CrmDeal,
        ..Subscription::new("deals").every(10 * SECOND)
    };
    world.subscribe(&connection, deals).await;
    world.run_for(MINUTE).await;
    world.faults(vec![FaultRule::next(Fault::TooManyRequests { retry_after_s: Some(900) }, 1)]);
    let refused = |world: &World| world.calls.lock().unwrap().iter().position(|call| call.status == 429);
    world.until(2 * MINUTE, "a refusal", |world| refused(world).is_some()).await;
    world.run_for(3 * MINUTE).await;
    world.restart().await;
    world.run_for(20 * MINUTE).await;
    let calls = world.calls.lock().unwrap().clone();
    let at = refused(&world).unwrap();
    let next = calls.get(at + 1).expect("polling goes on");
    assert!(next.at - calls[at].at >= Duration::from_secs(899), "{:?}", next.at - calls[at].at);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_none_lose_nothing_and_are_told_of() {
    let faults = [
        Fault::Status { status: 500 },
        Fault::Status { status: 503 },
        Fault::Status { status: 410 },
        Fault::TruncatedBody {},
        Fault::HtmlBody {},
        Fault::Hang {},
        Fault::Reset {},
        Fault::WrongContentLength { by: 10 },
        Fault::WrongContentLength { by: -10 },
        Fault::TooManyRequests { retry_after_s: None },
    ];
    for fault in faults {
        let (world, _, webhook) = listening(Setup::default()).await;
        let ids = world.create_many(150);
        world.faults(vec![FaultRule::always(fault.clone())]);
        let before = world.calls.lock().unwrap().len();
        world.run_for(10 * MINUTE).await;
        let asked = world.calls.lock().unwrap().len() - before;
        assert!((1..=60).contains(&asked), "{fault:?}: asked {asked} times in ten minutes");
        let query =
            ApiCallQuery { feed_id: Some(webhook.feed_id), is_failure: Some(true), limit: 9, ..Default::default() };
        assert!(!world.disk.store.api_calls(world.workspace, &query).await.unwrap().is_empty(), "{fault:?}");
        world.faults(Vec::new());
        world.run_for(3 * HOUR).await;
        assert_eq!(world.ids("a", "VIRTUAL"), ids, "{fault:?}");
        assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn history_survives_every_fault_that_passes() {
    let faults = [
        Fault::Status { status: 500 },
        Fault::TruncatedBody {},
        Fault::HtmlBody {},
        Fault::Reset {},
        Fault::TooManyRequests { retry_after_s: Some(30) },
    ];
    for fault in faults {
        let world = World::new(Setup::contacts(1_000)).await;
        let connection = world.connect().await;
        let half = FaultRule { probability: Some(0.3), ..FaultRule::always(fault.clone()) };
        let token = FaultRule::next(Fault::ExpiredCursor {}, 3);
        world.faults(vec![half, FaultRule::next(Fault::Status { status: 503 }, 7), token]);
        world.subscribe(&connection, Subscription::new("a").include_all()).await;
        world.run_for(20 * MINUTE).await;
        world.faults(Vec::new());
        world.run_for(3 * HOUR).await;
        assert_eq!(set(&world.ids("a", "INITIAL")).len(), 1_000, "{fault:?}");
        assert_eq!(world.kinds("a").iter().filter(|kind| *kind == "INITIAL-COMPLETE").count(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_never_lives_long_enough_ends_the_back_fill_with_a_reason() {
    let world = World::new(Setup::contacts(1_000)).await;
    let connection = world.connect().await;
    world.faults(vec![FaultRule::always(Fault::ExpiredCursor {})]);
    let webhook = world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.run_for(HOUR).await;
    let jobs = world.disk.store.jobs_of_webhook(webhook.id, 1).await.unwrap();
    assert!(matches!(&jobs[0].state, JobState::Failed { code, .. } if code == "cursor_expired"), "{:?}", jobs[0].state);
    let asked = world.calls.lock().unwrap().len();
    assert!(asked < 150, "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_mid_page_is_renewed_once_and_nothing_is_lost() {
    let mut setup = Setup::contacts(450);
    setup.simulator.access_token_lifetime_s = 5;
    let world = World::new(setup).await;
    let connection = world.connect_by_oauth().await;
    world.faults(vec![FaultRule::always(Fault::Slow { ms: 2_000 })]);
    world.subscribe(&connection, Subscription::new("a").include_all()).await;
    world.run_for(5 * MINUTE).await;
    assert_eq!(set(&world.ids("a", "INITIAL")).len(), 450);
    world.faults(Vec::new());
    let ids = world.create_many(250);
    world.run_for(HOUR).await;
    assert_eq!(world.ids("a", "VIRTUAL"), ids);
    let stored = world.disk.store.connection(connection.id).await.unwrap().unwrap();
    assert!(stored.last_unhealthy_at.is_none() && stored.auth_revision > 10, "{}", stored.auth_revision);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_every_fresh_token_is_not_hammered() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect_by_oauth().await;
    world.subscribe(&connection, Subscription::new("a")).await;
    let deals =
        Subscription { object_type: anyhook_connectors::model::ObjectType::CrmDeal, ..Subscription::new("deals") };
    world.subscribe(&connection, deals).await;
    world.run_for(MINUTE).await;
    world.faults(vec![FaultRule::always(Fault::ExpiredToken {})]);
    let before = world.calls.lock().unwrap().len();
    world.run_for(HOUR).await;
    let asked = world.calls.lock().unwrap().len() - before;
    assert!(asked <= 60, "asked {asked} times in an hour");
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_rest_until_a_person_gives_new_ones() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect_to("sandbox", "wrong").await;
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(30 * MINUTE).await;
    assert!(matches!(world.feed_state(&webhook).await.health, FeedHealth::Unhealthy { is_credential: true, .. }));
    let stored = world.disk.store.connection(connection.id).await.unwrap().unwrap();
    assert_eq!(stored.last_unhealthy_code.as_deref(), Some("401"));
    assert!(world.calls.lock().unwrap().len() < 5);
    let ids = world.create_many(3);
    world.give_token(connection.id, "sandbox").await;
    world.run_for(10 * SECOND).await;
    assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
    assert_eq!(world.ids("a", "VIRTUAL"), ids, "the feed began when it was made");
}

#[tokio::test(start_paused = true)]
async fn a_full_log_makes_the_vendor_the_queue() {
    let mut setup = Setup::default();
    setup.limits.poll.log_bytes_max = 50_000;
    let (world, _, webhook) = listening(setup).await;
    world.replies("a", &[], Reply::Status(500));
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.extend(world.create_many(100));
        world.run_for(30 * SECOND).await;
    }
    let bytes = world.disk.store.log_head(webhook.feed_id).await.unwrap().bytes;
    assert!(bytes < 100_000, "{bytes}");
    world.replies("a", &[], Reply::Ok);
    world.run_for(6 * HOUR).await;
    assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&ids));
}

// Our own clock.

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_stops_nothing() {
    for hours in [-23, -1, 1, 23] {
        let (world, ..) = listening(Setup::default()).await;
        let mut ids = world.create_many(2);
        world.run_for(2 * MINUTE).await;
        world.clock.jump(hours * 3_600_000);
        ids.extend(world.create_many(2));
        world.run_for(5 * MINUTE).await;
        assert_eq!(world.ids("a", "VIRTUAL"), ids, "{hours} hours");
    }
}
