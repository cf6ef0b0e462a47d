//! What was delivered is sent again, and what cannot be delivered is passed over on purpose.

use crate::harness::{World, limits};
use crate::receiver::{Receiver, status};
use crate::repair::{ask, get, post, world};
use anyhook::log::Found;
use anyhook::store::{Duty, Keep, Trim, Webhook, WebhookHealth};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(20);

/// Waits until the webhook's replay is in this state, and answers it.
async fn until(world: &World, webhook: &Webhook, state: &str) -> Value {
    until_at(world, webhook, "~/replay", state).await
}

/// The same for the replay at a path.
pub(crate) async fn until_at(world: &World, webhook: &Webhook, path: &str, state: &str) -> Value {
    let waited = tokio::time::timeout(WAIT, async {
        loop {
            let replay = get(world, webhook, path).await;
            if replay["state"] == state {
                return replay;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("the replay comes to be {state}"))
}

async fn deliver(world: &World, webhook: &Webhook, ids: &[&str]) {
    let delivered = world.delivery(webhook.id).await.delivered;
    for id in ids {
        world.log(webhook.feed_id, Found::Virtual, &[id]).await;
    }
    world.until(webhook.id, |state| state.delivered == delivered + ids.len() as u64).await;
}

/// Pages before this one leave the log and are kept so.
async fn trim(world: &World, webhook: &Webhook, before: u64, keep: Keep) {
    let fence = world.context.leases.lease(Duty::Deliver, webhook.shard).unwrap().fence;
    let trim = Trim { keep, ..Trim::new(fence, webhook.feed_id, before) };
    assert_eq!(world.context.store.trim_log(trim).await.unwrap(), before);
}

fn days(world: &World) -> Keep {
    Keep { at: world.context.clock.now(), life: TimeDelta::days(3), bytes_max: 1 << 20 }
}

#[tokio::test]
async fn the_same_bytes_go_out_again_with_the_same_id_also_from_pages_that_left_the_log() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    deliver(&world, &webhook, &["1", "2", "3"]).await;
    trim(&world, &webhook, 2, days(&world)).await;
    let before = world.delivery(webhook.id).await;
    let second = receiver.seen()[1].clone();
    let id = second.header("webhook-id");
    assert_eq!(ask(&world, &webhook, "GET", "~/replay", None).await.0, 404);
    let begun = post(&world, &webhook, "~/replay", json!({"delivery": id})).await;
    assert_eq!((&begun["state"], &begun["deliveries"]), (&json!("running"), &json!(1)));
    assert!(begun.get("payloads_kept_since").is_none(), "nothing has gone: {begun}");
    let seen = receiver.until(4).await;
    assert_eq!(
        (seen[3].header("webhook-id"), seen[3].header("anyhook-sequence")),
        (id, second.header("anyhook-sequence"))
    );
    assert_eq!(seen[3].body, second.body, "data, nonce and signatures");
    assert_eq!(seen[3].header("anyhook-replay"), begun["id"].as_str().unwrap());
    assert!(!second.headers.contains_key("anyhook-replay"));
    let done = until(&world, &webhook, "done").await;
    assert_eq!((&done["repeated"], &done["id"]), (&json!(1), &begun["id"]));
    assert_eq!(world.delivery(webhook.id).await, before, "positions are as they were");
    let told = get(&world, &webhook, &format!("~/deliveries/{id}")).await;
    assert_eq!((&told["state"], told["attempts"].as_array().unwrap().len()), (&json!("delivered"), 2));
    assert_eq!(told["attempts"][1]["replay_id"], begun["id"]);

    // From a time: the second one's, so that the first is not among them.
    let since = get(&world, &webhook, "~/deliveries")
        .await
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["records"] == 1 && one["sequence"] == 2_000_000)
        .unwrap()["created_at"]
        .clone();
    let begun = post(&world, &webhook, "~/replay", json!({"updated_gte": since})).await;
    assert_eq!(begun["deliveries"], 1, "the third: {begun}");
    until(&world, &webhook, "done").await;
    let all = webhook.created_at.to_rfc3339();
    let begun = post(&world, &webhook, "~/replay", json!({"updated_gte": all})).await;
    assert_eq!(begun["deliveries"], 3);
    until(&world, &webhook, "done").await;
    assert_eq!(receiver.shown()[3..], ["VIRTUAL 2", "VIRTUAL 3", "VIRTUAL 1", "VIRTUAL 2", "VIRTUAL 3"]);
    engine.stop().await;
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told_and_never_left_out() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    deliver(&world, &webhook, &["1", "2"]).await;
    let gone_at = world.context.clock.now();
    trim(&world, &webhook, 1, Keep::nothing(gone_at)).await;
    let seen = receiver.seen();
    let path = format!("~/deliveries/{}", seen[0].header("webhook-id"));
    let shown = get(&world, &webhook, &path).await;
    assert!(shown.get("payload").is_none() && shown["notice"].as_str().unwrap().contains("no longer kept"), "{shown}");
    let told = |body: Value| {
        let (world, webhook) = (&world, &webhook);
        async move {
            let (status, answer) = ask(world, webhook, "POST", "~/replay", Some(body)).await;
            assert_eq!(status, 409, "{answer}");
            answer["message"].as_str().unwrap().to_owned()
        }
    };
    let message = told(json!({"delivery": seen[0].header("webhook-id")})).await;
    assert!(message.contains("1 of 1 deliveries") && message.contains("/backfill"), "{message}");
    let message = told(json!({"updated_gte": webhook.created_at.to_rfc3339()})).await;
    assert!(message.contains("not all that was delivered since is kept"), "{message}");
    assert!(message.contains(&gone_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)), "{message}");
    let later = gone_at + TimeDelta::milliseconds(1);
    while world.context.clock.now() <= later {
        tokio::task::yield_now().await;
    }
    deliver(&world, &webhook, &["3"]).await;
    let begun = post(&world, &webhook, "~/replay", json!({"updated_gte": later.to_rfc3339()})).await;
    assert!(begun["payloads_kept_since"].is_string(), "{begun}");
    until(&world, &webhook, "done").await;
    assert_eq!(receiver.shown()[3..], ["VIRTUAL 3"]);
    for wrong in
        [json!({}), json!({"state": "delivered"}), json!({"delivery": "msg_1", "updated_gte": later.to_rfc3339()})]
    {
        assert_eq!(ask(&world, &webhook, "POST", "~/replay", Some(wrong.clone())).await.0, 400, "{wrong}");
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_replay_that_fails_holds_up_nothing_and_outlives_a_crash() {
    let mut limits = limits();
    limits.deliver.retry_schedule_ms = vec![10_000_000];
    let mut world = world(limits.clone()).await;
    let receiver = Receiver::scripted(|number| status(if number == 2 { 500 } else { 200 })).await;
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    deliver(&world, &webhook, &["1", "2"]).await;
    let all = json!({"updated_gte": webhook.created_at.to_rfc3339()});
    post(&world, &webhook, "~/replay", all.clone()).await;
    receiver.until(3).await;
    let waits = tokio::time::timeout(WAIT, async {
        loop {
            let replay = get(&world, &webhook, "~/replay").await;
            if replay["attempts"] == 1 {
                return replay;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let waits = waits.await.expect("it waits for its next attempt");
    assert!(waits["next_attempt_at"].is_string() && waits["error"].as_str().unwrap().contains("500"), "{waits}");
    let (code, answer) = ask(&world, &webhook, "POST", "~/replay", Some(all)).await;
    assert_eq!(code, 409, "one at a time: {answer}");
    deliver(&world, &webhook, &["3"]).await;
    let state = world.delivery(webhook.id).await;
    assert_eq!((state.health, state.retry), (WebhookHealth::Healthy, None));
    engine.crash().await;

    // No wait is as long by these limits: such a time is taken for a wrong clock's.
    limits.deliver.retry_schedule_ms = vec![10];
    limits.deliver.retry_after_max_ms = 10;
    limits.api.retry_wait_max_ms = 10;
    world.context.limits = Arc::new(limits);
    let engine = world.start();
    let done = until(&world, &webhook, "done").await;
    assert_eq!((&done["repeated"], &done["id"]), (&json!(2), &waits["id"]));
    assert_eq!(receiver.shown()[2..], ["VIRTUAL 1", "VIRTUAL 3", "VIRTUAL 1", "VIRTUAL 2"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_replay_that_is_ended_sends_no_more() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    deliver(&world, &webhook, &["1", "2", "3"]).await;
    receiver.close();
    post(&world, &webhook, "~/replay", json!({"updated_gte": webhook.created_at.to_rfc3339()})).await;
    receiver.until(4).await;
    let (code, ended) = ask(&world, &webhook, "DELETE", "~/replay", None).await;
    assert_eq!((code, &ended["state"]), (200, &json!("cancelled")), "{ended}");
    assert_eq!(ask(&world, &webhook, "DELETE", "~/replay", None).await.0, 404);
    receiver.open();
    deliver(&world, &webhook, &["4"]).await;
    engine.stop().await;
    assert_eq!(receiver.shown()[3..], ["VIRTUAL 1", "VIRTUAL 4"]);
    assert_eq!(get(&world, &webhook, "~/replay").await["state"], "cancelled");
}

#[tokio::test]
async fn a_replay_of_one_that_rests_waits_until_it_is_resumed() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    deliver(&world, &webhook, &["1"]).await;
    let known = world.context.store.webhook(webhook.id).await.unwrap().unwrap();
    let paused = world.context.store.replace_webhook(Webhook { is_paused: true, ..known }).await.unwrap();
    let begun = post(&world, &webhook, "~/replay", json!({"updated_gte": webhook.created_at.to_rfc3339()})).await;
    assert!(begun["notice"].as_str().unwrap().contains("paused"), "{begun}");
    let other = world.subscribe(&receiver.url).await;
    deliver(&world, &other, &["2"]).await;
    assert_eq!(receiver.seen().len(), 2);
    world.context.store.replace_webhook(Webhook { is_paused: false, ..paused }).await.unwrap();
    until(&world, &webhook, "done").await;
    engine.stop().await;
}

#[tokio::test]
async fn a_batch_that_fails_stays_until_a_person_skips_it_and_can_be_replayed() {
    let (world, receiver) = (world(limits()).await, Receiver::scripted(|_| status(500)).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    assert_eq!(ask(&world, &webhook, "POST", "~/skip", None).await.0, 409, "nothing fails");
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    engine.stop().await;
    // Whatever comes and however often it starts, the position stays.
    let engine = world.start();
    let other = world.subscribe(&Receiver::new().await.url).await;
    deliver(&world, &other, &["3"]).await;
    assert_eq!(world.delivery(webhook.id).await.position.sequence, 0);
    assert_eq!(receiver.shown(), ["VIRTUAL 1"; 4]);

    let (code, _) = ask(&world, &webhook, "POST", "~/skip", Some(json!({"delivery": "msg_other"}))).await;
    assert_eq!(code, 409);
    let id = receiver.seen()[0].header("webhook-id").to_owned();
    let skipped = post(&world, &webhook, "~/skip", json!({"delivery": id})).await;
    assert_eq!((&skipped["state"], &skipped["id"]), (&json!("skipped"), &json!(id)));
    assert!(skipped["notice"].as_str().unwrap().contains("resumed"), "{skipped}");
    let last = skipped["attempts"].as_array().unwrap().last().unwrap();
    assert!(last["error"].as_str().unwrap().contains("skipped on request"), "{last}");
    let state = world.delivery(webhook.id).await;
    assert_eq!((state.position.sequence, state.retry), (1, None));
    assert_eq!(ask(&world, &webhook, "POST", "~/skip", None).await.0, 409, "the next one has not failed");

    receiver.answer(|_| status(200));
    world.context.store.resume_webhook(webhook.id, world.context.clock.now()).await.unwrap();
    world.until(webhook.id, |state| state.delivered == 2).await;
    assert_eq!(receiver.shown()[4..], ["VIRTUAL 2", "VIRTUAL 3"]);
    let begun = post(&world, &webhook, "~/replay", json!({"state": "skipped"})).await;
    assert_eq!(begun["deliveries"], 1);
    until(&world, &webhook, "done").await;
    assert_eq!(receiver.seen().last().unwrap().header("webhook-id"), id);
    assert_eq!(get(&world, &webhook, &format!("~/deliveries/{id}")).await["state"], "delivered");
    assert_eq!(ask(&world, &webhook, "POST", "~/replay", Some(json!({"state": "skipped"}))).await.0, 409);
    engine.stop().await;
}

#[tokio::test]
async fn read_pages_are_kept_unless_the_limit_is_zero() {
    for (kept_ms, is_kept) in [(1_000_000, true), (0, false)] {
        let mut limits = limits();
        limits.deliver.replay_kept_ms = kept_ms;
        let (world, receiver) = (world(limits).await, Receiver::new().await);
        let webhook = world.subscribe(&receiver.url).await;
        let engine = world.start();
        let ids: Vec<String> = (0..70).map(|id| id.to_string()).collect();
        deliver(&world, &webhook, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let store = &world.context.store;
        let trimmed = tokio::time::timeout(WAIT, async {
            while store.log_head(webhook.feed_id).await.unwrap().start == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        trimmed.await.expect("pages that everyone has passed leave the log");
        assert_eq!(store.log_page(webhook.feed_id, 0).await.unwrap(), None);
        assert_eq!(store.kept_page(webhook.feed_id, 0).await.unwrap().is_some(), is_kept, "{kept_ms}");
        let kept = store.kept(webhook.feed_id, world.context.clock.now()).await.unwrap();
        assert_eq!((kept.bytes > 0, kept.gone_at.is_none()), (is_kept, is_kept));
        engine.stop().await;
    }
}
