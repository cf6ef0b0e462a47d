//! Notifications delivered to destinations: by the same engine as changes are.

use crate::harness::{World, limits};
use crate::receiver::{Received, Receiver, status};
use anyhook::ids::DestinationId;
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::{
    Connection, DeliverySettings, Destination, NotificationEvent, SigningSecrets, Subscription, TemplatePer,
    WebhookHealth,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// What signs a destination's payloads.
const SECRET: &str = "whsec_dGhpcyBpcyBhIGRlc3RpbmF0aW9uJ3Mgb3du";

/// To these events, of whatever.
pub(crate) fn to(events: &[&str]) -> Subscription {
    let events = events.iter().map(|event| event.parse().unwrap()).collect();
    Subscription { events, connection_id: None, object_type: None, webhook_id: None }
}

/// A destination that is not in the store yet.
fn draft(world: &World, hook_url: &str, to: Subscription) -> Destination {
    let (clock, random) = (&world.context.clock, &world.context.random);
    let id = DestinationId::new(clock, random).unwrap();
    let secret = world.context.vault.seal(&Destination::seal(id), SECRET.as_bytes()).unwrap();
    Destination {
        id,
        workspace_id: world.connection.workspace_id,
        shard: Destination::shard_of(id),
        name: "ops".to_owned(),
        hook_url: hook_url.to_owned(),
        signing: SigningSecrets::only(secret, None),
        subscriptions: vec![to],
        is_paused: false,
        created_at: clock.now(),
        updated_at: clock.now(),
        revision: 1,
        delivery: DeliverySettings::default(),
    }
}

pub(crate) async fn destination(world: &World, hook_url: &str, to: Subscription) -> Destination {
    world.context.store.insert_destination(draft(world, hook_url, to)).await.unwrap()
}

/// Changes the connection some times: a notification each, which tells of the reference that was set.
pub(crate) async fn change(world: &World, references: std::ops::Range<u32>) {
    let store = &world.context.store;
    for reference in references {
        let row = store.connection(world.connection.id).await.unwrap().unwrap();
        let at = world.context.clock.now().max(row.updated_at + chrono::TimeDelta::milliseconds(1));
        let row = Connection { external_xref: Some(reference.to_string()), updated_at: at, ..row };
        store.replace_connection(row).await.unwrap();
    }
}

/// The references that were told, in their order.
pub(crate) fn told(seen: &[Received]) -> Vec<u32> {
    let body = |received: &Received| serde_json::from_slice::<Value>(&received.body).unwrap();
    let data = seen.iter().flat_map(|received| body(received)["data"].as_array().unwrap().clone());
    data.map(|one| one["external_xref"].as_str().unwrap().parse().unwrap()).collect()
}

/// Waits until all of these are told.
pub(crate) async fn until_told(receiver: &Receiver, count: usize) -> Vec<Received> {
    let mut attempts = 1;
    loop {
        let seen = receiver.until(attempts).await;
        if told(&seen).len() >= count {
            return seen;
        }
        attempts = seen.len() + 1;
    }
}

#[tokio::test]
async fn what_it_listens_to_comes_signed_by_its_own_secret_in_order() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let made = destination(&world, &receiver.url, to(&["CONNECTION_*"])).await;
    let engine = world.start();
    change(&world, 0..1).await;
    receiver.until(1).await;
    world.subscribe("http://127.0.0.1:9/").await;
    change(&world, 1..20).await;
    let seen = until_told(&receiver, 20).await;
    assert_eq!(told(&seen), (0..20).collect::<Vec<_>>(), "and not that a webhook was made");

    let independent = standardwebhooks::Webhook::new(SECRET).unwrap();
    let mark = format!("sha256={}", hex::encode(Sha256::digest(SECRET)));
    for attempt in &seen {
        independent.verify(&attempt.body, &attempt.headers).unwrap();
        let headers = attempt.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let report = anyhook::verify::check(&attempt.body, &headers, SECRET, world.context.clock.now()).unwrap();
        assert!(report.is_good(), "{report:?}");
        assert_eq!(attempt.header("anyhook-destination-key"), mark);
    }
    let numbers: Vec<u64> = seen.iter().map(|attempt| attempt.header("anyhook-sequence").parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let body = String::from_utf8(seen[0].body.to_vec()).unwrap();
    let begin = format!(
        r#""event":"CONNECTION_UPDATED","description":"the connection was changed","workspace_id":"{}""#,
        made.workspace_id
    );
    assert!(body.starts_with(r#"{"data":[{"id":""#) && body.contains(&begin), "{body}");
    assert!(body.contains(&format!(r#"],"destination":{{"id":"{}""#, made.id)), "{body}");
    assert!(body.ends_with(r#""type":"NOTIFICATION"}"#), "{body}");

    let served_as = Destination::served_as(made.id);
    let delivered = seen.len() as u64;
    world.until(served_as, |state| state.delivered == delivered).await;
    let call = &world.calls(served_as).await[0];
    assert_eq!((call.name.as_str(), call.status, call.records, call.requests), ("NOTIFICATION", 200, 1, 1));
    assert_eq!((call.destination_id, call.size_bytes), (Some(made.id), seen[0].body.len() as u64));
    assert_eq!(call.delivery.as_deref(), Some(seen[0].header("webhook-id")));
    engine.stop().await;
}

#[tokio::test]
async fn what_waited_comes_in_batches_and_repeats_carry_their_id() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    destination(&world, &receiver.url, to(&["CONNECTION_UPDATED"])).await;
    let deaf = Receiver::new().await;
    destination(&world, &deaf.url, to(&["WEBHOOK_*"])).await;
    receiver.answer(|number| status(if number < 2 { 500 } else { 200 }));
    world.subscribe("http://127.0.0.1:9/").await;
    change(&world, 0..250).await;
    let engine = world.start();
    let seen = receiver.until(5).await;
    engine.stop().await;
    let counts: Vec<_> = seen.iter().map(|attempt| told(std::slice::from_ref(attempt)).len()).collect();
    assert_eq!(counts, [100, 100, 100, 100, 50]);
    assert_eq!(told(&seen[2..]), (0..250).collect::<Vec<_>>());
    let ids: Vec<_> = seen.iter().map(|attempt| attempt.header("webhook-id")).collect();
    assert_eq!((ids[0], ids[1]), (ids[2], ids[2]));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3);
    assert_eq!(deaf.seen().len(), 1, "the webhook's making");
}

#[tokio::test]
async fn a_retry_is_the_same_batch_though_more_has_come() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let made = destination(&world, &receiver.url, to(&["CONNECTION_UPDATED"])).await;
    receiver.answer(|number| status(if number == 0 { 503 } else { 200 }));
    receiver.close();
    let engine = world.start();
    change(&world, 0..1).await;
    receiver.until(1).await;
    change(&world, 1..8).await;
    receiver.open();
    let seen = until_told(&receiver, 9).await;
    world.until(Destination::served_as(made.id), |state| state.retry.is_none()).await;
    engine.stop().await;
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_eq!(seen[0].body.len(), seen[1].body.len());
    assert_eq!(told(&seen[1..]), (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_crash_loses_nothing() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let made = destination(&world, &receiver.url, to(&["CONNECTION_UPDATED"])).await;
    for round in 0..6 {
        let engine = world.start();
        let seen = receiver.seen().len();
        change(&world, round * 10..round * 10 + 10).await;
        receiver.until(seen + 1).await;
        engine.crash().await;
    }
    let engine = world.start();
    world.until(Destination::served_as(made.id), |state| state.position.sequence == 61).await;
    engine.stop().await;
    let mut first = told(&receiver.seen());
    let mut seen = HashSet::new();
    first.retain(|reference| seen.insert(*reference));
    assert_eq!(first, (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_is_called_the_same_wherever_reading_began() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let made = destination(&world, &receiver.url, to(&["CONNECTION_UPDATED"])).await;
    receiver.close();
    // Nothing of these is for it, so that they are passed over without being kept.
    world.subscribe("http://127.0.0.1:9/").await;
    world.subscribe("http://127.0.0.1:9/").await;
    change(&world, 0..1).await;
    let mut ids = HashSet::new();
    for attempts in 1..4 {
        let engine = world.start();
        let seen = receiver.until(attempts).await;
        ids.insert(seen.last().unwrap().header("webhook-id").to_owned());
        engine.crash().await;
    }
    assert_eq!(world.delivery(Destination::served_as(made.id)).await.position.sequence, 1);
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn one_that_does_not_answer_becomes_unhealthy_is_told_of_and_goes_on_when_resumed() {
    let (world, receiver, watcher) = (World::new().await, Receiver::new().await, Receiver::new().await);
    let made = destination(&world, &receiver.url, to(&["*"])).await;
    let served_as = Destination::served_as(made.id);
    destination(&world, &watcher.url, to(&["DESTINATION_UNHEALTHY"])).await;
    receiver.answer(|_| status(410));
    let engine = world.start();
    change(&world, 0..1).await;
    let state = world.until(served_as, |state| state.health != WebhookHealth::Healthy).await;
    assert!(crate::message(&state.health).contains("410"));
    let seen = watcher.until(1).await;
    let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
    let event = NotificationEvent::DestinationUnhealthy.as_str();
    assert_eq!((&body["data"][0]["event"], &body["data"][0]["code"]), (&event.into(), &"410".into()));
    assert_eq!(body["data"][0]["destination_id"], made.id.to_string());
    change(&world, 1..3).await;
    receiver.answer(|_| status(200));
    let attempts = receiver.seen().len();
    world.context.store.resume_webhook(served_as, world.context.clock.now()).await.unwrap();
    world.until(served_as, |state| state.position.sequence == 5 && state.retry.is_none()).await;
    engine.stop().await;
    assert_eq!(told(&receiver.seen()[attempts..]), [0, 1, 2], "and nothing of itself");
    assert_eq!(watcher.seen().len(), 1);
}

#[tokio::test]
async fn a_paused_one_rests_and_a_changed_one_is_followed() {
    let (world, receiver, other) = (World::new().await, Receiver::new().await, Receiver::new().await);
    let store = &world.context.store;
    let made = destination(&world, &receiver.url, to(&["CONNECTION_UPDATED"])).await;
    destination(&world, &other.url, to(&["CONNECTION_UPDATED"])).await;
    let made = store.replace_destination(Destination { is_paused: true, ..made }).await.unwrap();
    let engine = world.start();
    change(&world, 0..2).await;
    until_told(&other, 2).await;
    let elsewhere = Receiver::new().await;
    let moved = Destination { is_paused: false, hook_url: elsewhere.url.clone(), ..made };
    let moved = store.replace_destination(moved).await.unwrap();
    assert_eq!(told(&until_told(&elsewhere, 2).await), [0, 1]);
    store.delete_destination(moved.id).await.unwrap();
    change(&world, 2..4).await;
    until_told(&other, 4).await;
    engine.stop().await;
    assert_eq!((receiver.seen().len(), told(&elsewhere.seen()).len()), (0, 2));
}

#[tokio::test]
async fn what_fell_out_of_the_list_before_is_told_of_in_the_audit() {
    let mut limits = limits();
    limits.store.notifications_max = 10;
    let world = World::with(limits, Guard::new(vec!["127.0.0.0/8".parse().unwrap()])).await;
    let receiver = Receiver::new().await;
    let made = destination(&world, &receiver.url, to(&["CONNECTION_UPDATED"])).await;
    change(&world, 0..25).await;
    let engine = world.start();
    assert_eq!(told(&until_told(&receiver, 10).await), (15..25).collect::<Vec<_>>());
    let served_as = Destination::served_as(made.id);
    world.until(served_as, |state| state.delivered > 0).await;
    engine.stop().await;
    let calls = world.calls(served_as).await;
    let missed: Vec<_> = calls.iter().filter(|call| call.is_failure()).collect();
    assert_eq!(missed.len(), 1);
    assert_eq!((missed[0].records, missed[0].name.as_str()), (15, "NOTIFICATION missed"));
    assert!(missed[0].error.as_ref().unwrap().starts_with("15 notifications were dropped"), "{:?}", missed[0].error);
    assert_eq!(world.delivery(served_as).await.missed, None);
}

#[tokio::test]
async fn a_hanging_destination_holds_up_no_webhook() {
    let (world, hanging, receiver) = (World::new().await, Receiver::new().await, Receiver::new().await);
    hanging.close();
    for _ in 0..20 {
        destination(&world, &hanging.url, to(&["*"])).await;
    }
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    hanging.until(1).await;
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    receiver.until(1).await;
    hanging.open();
    engine.stop().await;
    assert_eq!(receiver.shown(), ["VIRTUAL 1"]);
}

#[tokio::test]
async fn a_test_is_signed_like_any_and_touches_nothing() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let made = destination(&world, &receiver.url, to(&["CONNECTION_UPDATED"])).await;
    let desk = anyhook::deliver::Desk::open(world.context.clone()).await.unwrap();
    let before = world.delivery(Destination::served_as(made.id)).await;
    let call = desk.test_destination(&made).await.unwrap();
    assert_eq!((call.status, call.name.as_str(), call.destination_id), (200, "TEST", Some(made.id)));
    receiver.answer(|_| status(500));
    let call = desk.test_destination(&made).await.unwrap();
    assert!(call.status == 500 && call.is_failure());
    let seen = receiver.seen();
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&seen[0].body, &seen[0].headers).unwrap();
    let mark = format!("sha256={}", hex::encode(Sha256::digest(SECRET)));
    assert_eq!((seen[0].header("anyhook-test"), seen[0].header("anyhook-destination-key")), ("true", mark.as_str()));
    let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!((&body["data"][0]["event"], &body["data"][0]["code"]), (&"SYNC_COMPLETED".into(), &"test".into()));
    let details = &body["data"][0]["details"];
    let kinds = ["created", "updated", "deleted"].map(|kind| details[kind].as_u64().unwrap());
    assert_eq!(kinds.iter().sum::<u64>(), details["changes"].as_u64().unwrap());
    assert_eq!((&body["type"], &body["destination"]["id"]), (&"NOTIFICATION".into(), &made.id.to_string().into()));
    assert_ne!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_eq!(world.delivery(Destination::served_as(made.id)).await, before);
    assert!(world.calls(Destination::served_as(made.id)).await.is_empty());
}

#[tokio::test]
async fn a_template_makes_what_it_gets_of_each_notification() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let made = draft(&world, &receiver.url, to(&["CONNECTION_UPDATED"]));
    let template =
        r#"{% if object.external_xref != "1" %}{"text": "{{ object.event }} {{ object.external_xref }}"}{% endif %}"#;
    let delivery = DeliverySettings {
        template: Some(template.to_owned()),
        template_per: Some(TemplatePer::Object),
        ..DeliverySettings::default()
    };
    world.context.store.insert_destination(Destination { delivery, ..made }).await.unwrap();
    change(&world, 0..3).await;
    let engine = world.start();
    let seen = receiver.until(2).await;
    let bodies: Vec<_> = seen.iter().map(|received| String::from_utf8(received.body.to_vec()).unwrap()).collect();
    assert_eq!(bodies, [r#"{"text": "CONNECTION_UPDATED 0"}"#, r#"{"text": "CONNECTION_UPDATED 2"}"#]);
    engine.stop().await;
}
