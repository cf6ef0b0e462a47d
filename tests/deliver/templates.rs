//! What webhooks with a template or headers of their own send.

use crate::harness::{SECRET, World, limits};
use crate::message;
use crate::receiver::{Received, Receiver, status};
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::{DeliverySettings, Position, TemplatePer, Webhook, WebhookHealth};
use anyhook::template::Plan;
use anyhook_connectors::contract::Change;
use std::collections::BTreeMap;

fn bodies(seen: &[Received]) -> Vec<String> {
    seen.iter().map(|attempt| String::from_utf8(attempt.body.to_vec()).unwrap()).collect()
}

fn templated(world: &World, url: &str, per: TemplatePer, template: &str) -> Webhook {
    let delivery = DeliverySettings {
        template: Some(template.to_owned()),
        template_per: Some(per),
        ..DeliverySettings::default()
    };
    Webhook { delivery, ..world.webhook(url, Change::Updated) }
}

/// A line for each object but those named 2.
const LINE: &str = r#"{% if object.id != "2" %}{"text": "{{ object.name }} {{ type }}"}{% endif %}"#;

#[tokio::test]
async fn each_object_is_posted_as_its_line_and_signed() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = world.insert(templated(&world, &receiver.url, TemplatePer::Object, LINE)).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2", "3"]).await;
    let seen = receiver.until(2).await;
    let end = Position { sequence: world.context.store.log_head(webhook.feed_id).await.unwrap().end, offset: 0 };
    let state = world.until(webhook.id, |state| state.position == end).await;
    let lines = [r#"{"text": "Name of 1 VIRTUAL"}"#, r#"{"text": "Name of 3 VIRTUAL"}"#];
    assert_eq!(bodies(&receiver.seen()), lines);
    assert_eq!((state.delivered, state.health), (2, WebhookHealth::Healthy));
    let independent = standardwebhooks::Webhook::new(SECRET).unwrap();
    for attempt in &seen {
        independent.verify(&attempt.body, &attempt.headers).unwrap();
        assert_eq!(attempt.header("content-type"), "application/json");
    }
    assert_ne!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    engine.stop().await;
}

#[tokio::test]
async fn what_is_filtered_is_passed_over_and_told_in_one_row() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let only_last = r#"{% if object.id == "last" %}1{% endif %}"#;
    let webhook = world.insert(templated(&world, &receiver.url, TemplatePer::Object, only_last)).await;
    let engine = world.start();
    for page in 0..3 {
        world.log(webhook.feed_id, Found::Virtual, &["1", "2"]).await;
        world.until(webhook.id, |state| state.position.sequence > page).await;
    }
    assert!(receiver.seen().is_empty());
    let calls = world.calls(webhook.id).await;
    let rows: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.count, call.is_failure())).collect();
    assert_eq!(rows, [("crm_contact filtered", 6, false)]);
    world.log(webhook.feed_id, Found::Virtual, &["1", "last"]).await;
    assert_eq!(bodies(&receiver.until(1).await), ["1"]);
    engine.stop().await;
}

#[tokio::test]
async fn an_initial_sync_of_nothing_to_say_ends_and_the_log_follows() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook =
        templated(&world, &receiver.url, TemplatePer::Object, r#"{% if type == "VIRTUAL" %}"new"{% endif %}"#);
    let job = world.job(&webhook, anyhook::store::JobMode::Initial);
    let id = job.id;
    let new = anyhook::store::NewWebhook { webhook, initial: Some(job) };
    let webhook = world.context.store.insert_webhook(new).await.unwrap();
    let engine = world.start();
    world.list(id, &["1", "2"], false).await;
    world.list(id, &["3"], true).await;
    world.log(webhook.feed_id, Found::Virtual, &["4"]).await;
    assert_eq!(bodies(&receiver.until(1).await), [r#""new""#]);
    let state = world.until(webhook.id, |state| state.delivered == 1).await;
    assert_eq!(state.listing, None);
    let job = world.context.store.job(id).await.unwrap().unwrap();
    assert_eq!(job.state, anyhook::store::JobState::Done);
    engine.stop().await;
}

#[tokio::test]
async fn a_retry_sends_the_same_bytes_under_the_same_id() {
    let answer = |number| status(if number == 0 { 500 } else { 200 });
    let (world, receiver) = (World::new().await, Receiver::scripted(answer).await);
    let all = r#"{"ids": {{ data|map(attribute="id")|list|tojson }}, "nonce": "{{ nonce }}"}"#;
    let webhook = world.insert(templated(&world, &receiver.url, TemplatePer::Batch, all)).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2"]).await;
    let seen = receiver.until(2).await;
    assert!(bodies(&seen)[0].starts_with(r#"{"ids": ["1", "2"], "nonce": ""#), "{seen:?}");
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    world.until(webhook.id, |state| state.delivered == 1 && state.retry.is_none()).await;
    engine.stop().await;
}

#[tokio::test]
async fn a_template_that_does_not_work_rests_at_once_and_goes_on_once_mended() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let broken = "{\"id\":\n {{ data[0].name }}}";
    let webhook = world.insert(templated(&world, &receiver.url, TemplatePer::Batch, broken)).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2"]).await;
    let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).starts_with("template: what it makes is not JSON"), "{state:?}");
    assert!(message(&state.health).contains("line 2") && message(&state.health).contains("resume"), "{state:?}");
    assert_eq!((state.position, state.retry), (Position::default(), None));
    assert!(receiver.seen().is_empty());
    let calls = world.calls(webhook.id).await;
    assert_eq!(calls.len(), 1);
    assert!(calls[0].error.as_ref().unwrap().contains("not JSON"));

    let stored = world.context.store.webhook(webhook.id).await.unwrap().unwrap();
    let delivery = DeliverySettings { template: Some("{{ data[0].id }}".to_owned()), ..stored.delivery.clone() };
    world.context.store.replace_webhook(Webhook { delivery, ..stored }).await.unwrap();
    world.context.store.resume_webhook(webhook.id, world.context.clock.now()).await.unwrap();
    assert_eq!(bodies(&receiver.until(1).await), ["1"]);
    world.until(webhook.id, |state| state.delivered == 1 && state.health == WebhookHealth::Healthy).await;
    engine.stop().await;
}

#[tokio::test]
async fn a_template_that_has_no_end_holds_up_nobody() {
    let mut limits = limits();
    limits.deliver.template_fuel = 10_000;
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let (world, receiver) = (World::with(limits, guard).await, Receiver::new().await);
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
    let bad = world.insert(templated(&world, &receiver.url, TemplatePer::Batch, endless)).await;
    let good = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(bad.feed_id, Found::Virtual, &["1"]).await;
    let state = world.until(bad.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("10000 steps"), "{state:?}");
    world.until(good.id, |state| state.delivered == 1).await;
    assert_eq!(receiver.shown(), ["VIRTUAL 1"]);
    engine.stop().await;
}

#[tokio::test]
async fn headers_go_with_the_payload_as_it_is() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let mut webhook = world.webhook(&receiver.url, Change::Updated);
    let pairs = [("authorization", "Bearer very-secret"), ("x-first", "{{ data[0].id }}")];
    let headers: BTreeMap<_, _> = pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    Plan::keep_headers(&mut webhook.delivery, &headers, &Plan::owner(webhook.id), &world.context.vault).unwrap();
    let webhook = world.insert(webhook).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2"]).await;
    let seen = receiver.until(1).await;
    assert_eq!(receiver.shown(), ["VIRTUAL 1 2"]);
    assert_eq!((seen[0].header("authorization"), seen[0].header("x-first")), ("Bearer very-secret", "1"));
    assert_eq!(seen[0].header("content-type"), "application/json");
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&seen[0].body, &seen[0].headers).unwrap();
    let told = String::from_utf8(seen[0].body.to_vec()).unwrap();
    assert!(!told.contains("very-secret"), "{told}");
    let calls = format!("{:?}", world.calls(webhook.id).await);
    assert!(!calls.contains("very-secret"), "{calls}");
    engine.stop().await;
}
