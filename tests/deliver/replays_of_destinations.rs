//! What was delivered to a destination is sent again, and what it cannot take is passed over on purpose.

use crate::destinations::{change, destination, to, told, until_told};
use crate::harness::{World, limits};
use crate::receiver::{Receiver, status};
use crate::repair::{ask, get, post, world};
use crate::replays::until_at;
use anyhook::store::{DeliverySettings, Destination, TemplatePer, WebhookHealth};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// A destination and the API's paths under it.
struct Made(Destination);

impl Made {
    async fn new(world: &World, receiver: &Receiver, events: &[&str]) -> Self {
        Made(destination(world, &receiver.url, to(events)).await)
    }

    fn path(&self, rest: &str) -> String {
        format!("/unified/destination/{}/{rest}", self.0.id)
    }

    async fn get(&self, world: &World, rest: &str) -> Value {
        get(world, &self.0.as_webhook(), &self.path(rest)).await
    }

    async fn post(&self, world: &World, rest: &str, body: Value) -> Value {
        post(world, &self.0.as_webhook(), &self.path(rest), body).await
    }

    async fn ask(&self, world: &World, method: &str, rest: &str, body: Value) -> (u16, String) {
        let (status, answer) = ask(world, &self.0.as_webhook(), method, &self.path(rest), Some(body)).await;
        (status, answer["message"].as_str().unwrap_or_default().to_owned())
    }

    async fn until(&self, world: &World, state: &str) -> Value {
        until_at(world, &self.0.as_webhook(), &self.path("replay"), state).await
    }

    async fn delivered(&self, world: &World, count: u64) {
        world.until(Destination::served_as(self.0.id), |state| state.delivered == count).await;
    }
}

/// A time that nothing before was told at, and nothing after will have been told before.
async fn between(world: &World) -> DateTime<Utc> {
    let clock = &world.context.clock;
    let after = async |at: DateTime<Utc>| {
        while clock.now().timestamp_millis() <= at.timestamp_millis() {
            tokio::task::yield_now().await;
        }
        clock.now()
    };
    let at = after(clock.now()).await;
    after(at).await;
    at
}

#[tokio::test]
async fn the_same_bytes_go_out_again_with_the_same_id() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let mut made = Made::new(&world, &receiver, &["CONNECTION_UPDATED"]).await;
    let engine = world.start();
    let mut since = between(&world).await;
    for number in 0..3 {
        since = if number == 2 { between(&world).await } else { since };
        world.subscribe("http://127.0.0.1:9/").await;
        change(&world, number..number + 1).await;
        made.delivered(&world, u64::from(number) + 1).await;
    }
    let served_as = Destination::served_as(made.0.id);
    let before = world.delivery(served_as).await;
    let second = receiver.seen()[1].clone();
    let id = second.header("webhook-id");
    assert_eq!(made.ask(&world, "GET", "replay", json!({})).await.0, 404);
    let begun = made.post(&world, "replay", json!({"delivery": id})).await;
    assert_eq!((&begun["state"], &begun["deliveries"]), (&json!("running"), &json!(1)));
    assert_eq!(begun["destination_id"], made.0.id.to_string());
    assert!(begun.get("webhook_id").is_none() && begun.get("payloads_kept_since").is_none(), "{begun}");
    let seen = receiver.until(4).await;
    assert_eq!((seen[3].header("webhook-id"), &seen[3].body), (id, &second.body), "data, nonce and signatures");
    assert_eq!(seen[3].header("anyhook-replay"), begun["id"].as_str().unwrap());
    let done = made.until(&world, "done").await;
    assert_eq!((&done["repeated"], &done["id"]), (&json!(1), &begun["id"]));
    assert_eq!(world.delivery(served_as).await, before, "positions are as they were");
    let one = made.get(&world, &format!("deliveries/{id}")).await;
    assert_eq!((&one["state"], &one["attempts"][1]["replay_id"]), (&json!("delivered"), &begun["id"]));

    let begun = made.post(&world, "replay", json!({"updated_gte": since.to_rfc3339()})).await;
    assert_eq!(begun["deliveries"], 1, "the last: {begun}");
    made.until(&world, "done").await;
    // Of what comes once it is asked for, nothing is sent twice.
    let store = &world.context.store;
    made.0 = store.replace_destination(Destination { is_paused: true, ..made.0 }).await.unwrap();
    let all = made.0.created_at.to_rfc3339();
    let begun = made.post(&world, "replay", json!({"updated_gte": all})).await;
    assert_eq!(begun["deliveries"], 1, "as one batch: {begun}");
    change(&world, 3..5).await;
    store.replace_destination(Destination { is_paused: false, ..made.0.clone() }).await.unwrap();
    made.until(&world, "done").await;
    world.until(served_as, |state| state.position.sequence > before.position.sequence + 1).await;
    engine.stop().await;
    let seen = receiver.seen();
    assert_eq!(told(&seen[3..5]), [1, 2]);
    assert_eq!(seen[4].header("webhook-id"), seen[2].header("webhook-id"), "also as a part of a range");
    let mut rest = told(&seen[5..]);
    rest.sort_unstable();
    assert_eq!(rest, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn all_since_a_time_comes_in_batches_as_they_are_cut_now() {
    let of_all = ("{{ data | tojson }}", None, 3);
    for (template, template_per, expected) in [of_all, ("[{{ object | tojson }}]", Some(TemplatePer::Object), 250)] {
        let (world, receiver) = (world(limits()).await, Receiver::new().await);
        let mut made = Made::new(&world, &receiver, &["CONNECTION_UPDATED"]).await;
        let engine = world.start();
        change(&world, 0..250).await;
        until_told(&receiver, 250).await;
        world.until(Destination::served_as(made.0.id), |state| state.position.sequence >= 250).await;
        let template = Some(template.to_owned());
        let delivery = DeliverySettings { template, template_per, ..DeliverySettings::default() };
        made.0 = world.context.store.replace_destination(Destination { delivery, ..made.0 }).await.unwrap();
        let live = receiver.seen().len();
        let all = json!({"updated_gte": made.0.created_at.to_rfc3339()});
        let begun = made.post(&world, "replay", all).await;
        assert_eq!(begun["deliveries"], expected, "{begun}");
        let done = made.until(&world, "done").await;
        assert_eq!(done["repeated"], expected);
        engine.stop().await;
        let bodies: Vec<Vec<Value>> =
            receiver.seen()[live..].iter().map(|received| serde_json::from_slice(&received.body).unwrap()).collect();
        let told = bodies.iter().flatten().map(|one| one["external_xref"].as_str().unwrap().parse().unwrap());
        assert_eq!(told.collect::<Vec<u32>>(), (0..250).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_was_dropped_is_told_and_never_left_out() {
    let mut limits = limits();
    limits.store.notifications_max = 10;
    let (world, receiver) = (world(limits).await, Receiver::new().await);
    let made = Made::new(&world, &receiver, &["CONNECTION_UPDATED"]).await;
    let polls = Made::new(&world, &receiver, &["SYNC_COMPLETED"]).await;
    let engine = world.start();
    change(&world, 0..1).await;
    made.delivered(&world, 1).await;
    let early = between(&world).await;
    for number in 1..11 {
        change(&world, number..number + 1).await;
        made.delivered(&world, u64::from(number) + 1).await;
    }
    let late = between(&world).await;
    change(&world, 11..12).await;
    made.delivered(&world, 12).await;
    let seen = receiver.seen();
    let ids: Vec<_> = seen.iter().map(|received| received.header("webhook-id")).collect();

    let shown = made.get(&world, &format!("deliveries/{}", ids[0])).await;
    assert!(shown["notice"].as_str().unwrap().contains("no longer kept"), "{shown}");
    let (status, message) = made.ask(&world, "POST", "replay", json!({"delivery": ids[0]})).await;
    assert!(status == 409 && message.contains("1 of 1 deliveries"), "{message}");
    assert!(message.contains("was told after") && message.contains("/unified/notification"), "{message}");
    for since in [made.0.created_at, early] {
        let asked = json!({"updated_gte": since.to_rfc3339()});
        let (status, message) = made.ask(&world, "POST", "replay", asked).await;
        assert!(status == 409 && message.contains("not all that was delivered since is kept"), "{message}");
    }
    let begun = made.post(&world, "replay", json!({"delivery": ids[2]})).await;
    assert!(begun["payloads_kept_since"].is_string(), "{begun}");
    made.until(&world, "done").await;
    made.post(&world, "replay", json!({"updated_gte": late.to_rfc3339()})).await;
    made.until(&world, "done").await;
    assert_eq!(told(&receiver.seen()[12..]), [2, 11]);
    let asked = json!({"updated_gte": polls.0.created_at.to_rfc3339()});
    let (status, message) = polls.ask(&world, "POST", "replay", asked).await;
    assert!(status == 409 && message.contains("nothing was delivered"), "no poll was dropped: {message}");

    // What is dropped while a replay is under way ends it.
    receiver.close();
    let asked = json!({"state": "failed"});
    assert_eq!(made.ask(&world, "POST", "replay", asked).await.0, 409, "nothing failed");
    made.post(&world, "replay", json!({"updated_gte": late.to_rfc3339()})).await;
    receiver.until(15).await;
    engine.crash().await;
    change(&world, 12..24).await;
    receiver.open();
    let engine = world.start();
    let failed = made.until(&world, "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("no longer kept; GET /unified/notification"), "{failed}");
    engine.stop().await;
}

#[tokio::test]
async fn one_that_is_dropped_before_its_turn_is_told_of() {
    let mut limits = limits();
    limits.store.notifications_max = 10;
    let (world, receiver) = (world(limits).await, Receiver::new().await);
    let mut made = Made::new(&world, &receiver, &["CONNECTION_UPDATED"]).await;
    let store = &world.context.store;
    let engine = world.start();
    change(&world, 0..1).await;
    made.delivered(&world, 1).await;
    made.0 = store.replace_destination(Destination { is_paused: true, ..made.0 }).await.unwrap();
    made.post(&world, "replay", json!({"delivery": receiver.seen()[0].header("webhook-id")})).await;
    change(&world, 1..12).await;
    store.replace_destination(Destination { is_paused: false, ..made.0.clone() }).await.unwrap();
    let failed = made.until(&world, "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("no longer kept"), "{failed}");
    until_told(&receiver, 11).await;
    engine.stop().await;
    assert_eq!(
        told(&receiver.seen())[1..],
        (2..12).collect::<Vec<_>>(),
        "what is left of what waited, and nothing else"
    );
}

#[tokio::test]
async fn what_it_was_set_otherwise_for_is_refused() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let made = Made::new(&world, &receiver, &["CONNECTION_UPDATED"]).await;
    let engine = world.start();
    change(&world, 0..1).await;
    made.delivered(&world, 1).await;
    let id = receiver.seen()[0].header("webhook-id").to_owned();
    let deaf = Destination { subscriptions: vec![to(&["WEBHOOK_*"])], ..made.0.clone() };
    world.context.store.replace_destination(deaf).await.unwrap();
    let (status, message) = made.ask(&world, "POST", "replay", json!({"delivery": id})).await;
    assert!(status == 409 && message.contains("the destination was set otherwise since"), "{message}");
    for wrong in [json!({}), json!({"state": "delivered"}), json!({"delivery": id, "state": "failed"})] {
        assert_eq!(made.ask(&world, "POST", "replay", wrong.clone()).await.0, 400, "{wrong}");
    }
    let (status, message) = made.ask(&world, "POST", "replay", json!({"delivery": "msg_1"})).await;
    assert!(status == 404 && message.contains("delivery"), "{message}");
    engine.stop().await;
}

#[tokio::test]
async fn a_batch_that_fails_is_skipped_and_replayed() {
    let (world, receiver) = (world(limits()).await, Receiver::scripted(|_| status(500)).await);
    let made = Made::new(&world, &receiver, &["CONNECTION_UPDATED"]).await;
    let served_as = Destination::served_as(made.0.id);
    let engine = world.start();
    let (status_code, message) = made.ask(&world, "POST", "skip", json!({})).await;
    assert!(status_code == 409 && message.contains("nothing to skip"), "{message}");
    change(&world, 0..1).await;
    world.until(served_as, |state| state.health != WebhookHealth::Healthy).await;
    change(&world, 1..2).await;
    let id = receiver.seen()[0].header("webhook-id").to_owned();
    assert_eq!(made.ask(&world, "POST", "skip", json!({"delivery": "msg_other"})).await.0, 409);
    let skipped = made.post(&world, "skip", json!({"delivery": id})).await;
    assert_eq!((&skipped["state"], &skipped["id"]), (&json!("skipped"), &json!(id)));
    assert!(skipped["notice"].as_str().unwrap().contains("the destination is not healthy"), "{skipped}");
    let begun = made.post(&world, "replay", json!({"state": "skipped"})).await;
    assert!(begun["notice"].as_str().unwrap().contains("the destination is not healthy"), "{begun}");

    receiver.answer(|_| status(200));
    let attempts = receiver.seen().len();
    world.context.store.resume_webhook(served_as, world.context.clock.now()).await.unwrap();
    made.delivered(&world, 1).await;
    made.until(&world, "done").await;
    let mut after = told(&receiver.seen()[attempts..]);
    after.sort_unstable();
    assert_eq!(after, [0, 1], "what was behind it, and itself once it is asked for");
    assert_eq!(made.get(&world, &format!("deliveries/{id}")).await["state"], "delivered");
    engine.stop().await;
}

#[tokio::test]
async fn a_replay_waits_for_one_that_is_paused_and_ends_with_it() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let mut made = Made::new(&world, &receiver, &["CONNECTION_UPDATED"]).await;
    let store = &world.context.store;
    let engine = world.start();
    change(&world, 0..1).await;
    made.delivered(&world, 1).await;
    made.0 = store.replace_destination(Destination { is_paused: true, ..made.0 }).await.unwrap();
    let all = json!({"updated_gte": made.0.created_at.to_rfc3339()});
    let begun = made.post(&world, "replay", all.clone()).await;
    assert!(begun["notice"].as_str().unwrap().contains("the destination is paused"), "{begun}");
    let (status, message) = made.ask(&world, "POST", "replay", all.clone()).await;
    assert!(status == 409 && message.contains(&made.path("replay")), "one at a time: {message}");
    assert_eq!(made.ask(&world, "DELETE", "replay", json!({})).await.0, 200);
    assert_eq!(made.get(&world, "replay").await["state"], "cancelled");
    assert_eq!(made.ask(&world, "DELETE", "replay", json!({})).await.0, 404);
    assert_eq!(receiver.seen().len(), 1);
    made.post(&world, "replay", all.clone()).await;
    made.0 = store.replace_destination(Destination { is_paused: false, ..made.0 }).await.unwrap();
    made.until(&world, "done").await;
    assert_eq!(told(&receiver.seen()), [0, 0]);
    store.delete_destination(made.0.id).await.unwrap();
    assert_eq!(made.ask(&world, "GET", "replay", json!({})).await.0, 404);
    assert_eq!(made.ask(&world, "POST", "replay", all).await.0, 404);
    assert_eq!(store.replay(Destination::served_as(made.0.id)).await.unwrap(), None);
    engine.stop().await;
}
