//! Delivery as a receiver sees it: over real sockets, from a store in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

#[path = "deliver/harness.rs"]
mod harness;
#[path = "deliver/receiver.rs"]
mod receiver;

use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::{JobMode, Missed, Position, Stream, Trim, Webhook, WebhookHealth};
use anyhook_connectors::contract::Change;
use axum::response::IntoResponse;
use harness::{SECRET, World, limits};
use receiver::{Receiver, status};
use std::collections::HashSet;

fn message(health: &WebhookHealth) -> &str {
    match health {
        WebhookHealth::Healthy => panic!("it is healthy"),
        WebhookHealth::Unhealthy { message, .. } => message,
    }
}

#[tokio::test]
async fn batches_come_in_order_signed_and_cut_as_asked() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = Webhook { page_max_limit: Some(2), ..world.webhook(&receiver.url, Change::Updated) };
    let webhook = world.insert(webhook).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2", "3"]).await;
    world.log(webhook.feed_id, Found::Native, &["4"]).await;
    world.log(webhook.feed_id, Found::Virtual, &["5", "6"]).await;
    let seen = receiver.until(4).await;
    assert_eq!(receiver.shown(), ["VIRTUAL 1 2", "VIRTUAL 3", "NATIVE 4", "VIRTUAL 5 6"]);

    let independent = standardwebhooks::Webhook::new(SECRET).unwrap();
    for attempt in &seen {
        independent.verify(&attempt.body, &attempt.headers).unwrap();
        let headers: Vec<_> = attempt
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let report = anyhook::verify::check(&attempt.body, &headers, SECRET, world.context.clock.now()).unwrap();
        assert!(report.is_good(), "{report:?}");
        assert_eq!(attempt.header("content-type"), "application/json");
    }
    let numbers: Vec<u64> = seen.iter().map(|attempt| attempt.header("anyhook-sequence").parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let ids: HashSet<_> = seen.iter().map(|attempt| attempt.header("webhook-id")).collect();
    assert_eq!(ids.len(), 4);

    world.until(webhook.id, |state| state.delivered == 4).await;
    let call = &world.calls(webhook.id).await[0];
    assert_eq!((call.name.as_str(), call.status, call.records, call.requests), ("crm_contact VIRTUAL", 200, 2, 1));
    assert_eq!(call.path, receiver.url.trim_end_matches("?token=secret"));
    assert_eq!(call.delivery.as_deref(), Some(seen[0].header("webhook-id")));
    assert_eq!(call.size_bytes, seen[0].body.len() as u64);
    engine.stop().await;
}

#[tokio::test]
async fn the_body_is_the_contracts() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let fields = vec!["name".to_owned(), "raw".to_owned()];
    let webhook = world.insert(Webhook { fields, ..world.webhook(&receiver.url, Change::Updated) }).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let body = String::from_utf8(receiver.until(1).await[0].body.to_vec()).unwrap();
    let data = r#"{"data":[{"id":"1","name":"Name of 1","raw":{"vendor_id":"1"}}],"webhook":{"id":""#;
    assert!(body.starts_with(&format!("{data}{}\"", webhook.id)), "{body}");
    assert!(body.ends_with(r#""type":"VIRTUAL","external_xref":"their-ref"}"#), "{body}");
    engine.stop().await;
}

#[tokio::test]
async fn each_event_gets_its_changes_and_passes_over_the_rest() {
    let world = World::new().await;
    let receivers = [Receiver::new().await, Receiver::new().await, Receiver::new().await];
    let mut webhooks = Vec::new();
    for (receiver, event) in receivers.iter().zip([Change::Created, Change::Updated, Change::Deleted]) {
        webhooks.push(world.insert(world.webhook(&receiver.url, event)).await);
    }
    let engine = world.start();
    let feed = webhooks[0].feed_id;
    world.log_changes(feed, Found::Virtual, &[("1", Change::Created), ("2", Change::Updated)]).await;
    world.log_changes(feed, Found::Virtual, &[("3", Change::Updated)]).await;
    world.log_changes(feed, Found::Virtual, &[("1", Change::Deleted)]).await;
    let end = Position { sequence: world.context.store.log_head(feed).await.unwrap().end, offset: 0 };
    for webhook in &webhooks {
        world.until(webhook.id, |state| state.position == end).await;
    }
    assert_eq!(receivers[0].shown(), ["VIRTUAL 1"]);
    assert_eq!(receivers[1].shown(), ["VIRTUAL 1 2", "VIRTUAL 3"]);
    assert_eq!(receivers[2].shown(), ["VIRTUAL 1"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_retry_survives_a_restart_with_the_same_id() {
    let mut limits = limits();
    limits.deliver.retry_schedule_ms = vec![1_000_000];
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let (world, receiver) = (World::with(limits.clone(), guard).await, Receiver::scripted(|_| status(500)).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2"]).await;
    world.log(webhook.feed_id, Found::Virtual, &["3"]).await;
    let retry = world.until(webhook.id, |state| state.retry.is_some()).await.retry.unwrap();
    assert_eq!((retry.stream, retry.attempts, retry.records), (Stream::Live, 1, 2));
    engine.stop().await;

    // A new start, with another limit: the batch that waits stays as it was cut. Resuming makes it due.
    receiver.answer(|_| status(200));
    limits.deliver.batch_records_max = 1;
    let mut world = world;
    world.context.limits = std::sync::Arc::new(limits);
    let engine = world.start();
    world.context.store.resume_webhook(webhook.id, world.context.clock.now()).await.unwrap();
    let seen = receiver.until(3).await;
    assert_eq!(receiver.shown(), ["VIRTUAL 1 2", "VIRTUAL 1 2", "VIRTUAL 3"]);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_ne!(seen[1].header("webhook-id"), seen[2].header("webhook-id"));
    world.until(webhook.id, |state| state.delivered == 2 && state.retry.is_none()).await;
    engine.stop().await;
}

#[tokio::test]
async fn failures_are_tried_again_until_the_schedule_ends() {
    let (world, receiver) = (World::new().await, Receiver::scripted(|_| status(500)).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("4 attempts failed") && message(&state.health).contains("500"));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|attempt| attempt.header("webhook-id") == seen[0].header("webhook-id")));
    let numbers: Vec<_> = world.calls(webhook.id).await.iter().map(|call| (call.requests, call.status)).collect();
    assert_eq!(numbers, [(1, 500), (2, 500), (3, 500), (4, 500)]);

    // Nothing more is sent, and resuming goes on from where it stopped.
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    receiver.answer(|_| status(200));
    world.context.store.resume_webhook(webhook.id, world.context.clock.now()).await.unwrap();
    receiver.until(6).await;
    assert_eq!(receiver.shown()[4..], ["VIRTUAL 1", "VIRTUAL 2"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_first_retry_heals_by_itself() {
    let (world, receiver) = (World::new().await, Receiver::scripted(|n| status(if n == 0 { 502 } else { 204 })).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let state = world.until(webhook.id, |state| state.delivered == 1).await;
    assert_eq!((state.retry, state.health), (None, WebhookHealth::Healthy));
    assert_eq!(receiver.shown(), ["VIRTUAL 1", "VIRTUAL 1"]);
    engine.stop().await;
}

#[tokio::test]
async fn gone_is_unhealthy_at_once() {
    let (world, receiver) = (World::new().await, Receiver::scripted(|_| status(410)).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("410"));
    assert_eq!((state.position, receiver.seen().len()), (Position::default(), 1));
    engine.stop().await;
}

#[tokio::test]
async fn retry_after_is_the_least_wait() {
    let answer = |_| ([("retry-after", "3600")], status(503)).into_response();
    let (world, receiver) = (World::new().await, Receiver::scripted(answer).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let retry = world.until(webhook.id, |state| state.retry.is_some()).await.retry.unwrap();
    assert!((3590..=3600).contains(&(retry.next_at - world.context.clock.now()).num_seconds()));
    engine.stop().await;
}

#[tokio::test]
async fn redirects_are_failures_and_not_followed() {
    let target = Receiver::new().await;
    let location = target.url.clone();
    let answer = move |_| ([("location", location.clone())], status(307)).into_response();
    let (world, receiver) = (World::new().await, Receiver::scripted(answer).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("redirects are not followed"));
    assert!(target.seen().is_empty());
    engine.stop().await;
}

#[tokio::test]
async fn private_addresses_are_not_reached_unless_allowed() {
    let (world, receiver) = (World::with(limits(), Guard::default()).await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let state = world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    assert!(message(&state.health).contains("not a public address"));
    assert!(receiver.seen().is_empty());
    engine.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_holds_nobody_else() {
    let mut limits = limits();
    (limits.deliver.slots_max, limits.deliver.host_slots_max) = (4, 2);
    let world = World::with(limits, Guard::new(vec!["127.0.0.0/8".parse().unwrap()])).await;
    let (slow, quick) = (Receiver::new().await, Receiver::new().await);
    slow.close();
    let mut feed = None;
    for _ in 0..10 {
        feed = Some(world.subscribe(&slow.url).await.feed_id);
    }
    let webhook = world.subscribe(&quick.url).await;
    assert_eq!(feed, Some(webhook.feed_id), "one feed serves them all");
    let engine = world.start();
    for page in 0..20 {
        world.log(webhook.feed_id, Found::Virtual, &[&page.to_string()]).await;
    }
    quick.until(20).await;
    assert_eq!(slow.seen().len(), 2, "a host has as many slots as it may");
    slow.open();
    slow.until(200).await;
    engine.stop().await;
}

#[tokio::test]
async fn history_comes_first_and_completes_once() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let (webhook, job) = world.subscribe_all(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["9"]).await;
    world.list(job, &["1", "2"], false).await;
    receiver.until(1).await;
    world.list(job, &[], false).await;
    world.list(job, &["3"], true).await;
    receiver.until(3).await;
    let state = world.until(webhook.id, |state| state.listing.is_none() && state.delivered == 3).await;
    assert_eq!(
        state.position,
        Position { sequence: world.context.store.log_head(webhook.feed_id).await.unwrap().end, offset: 0 }
    );
    assert_eq!(receiver.shown(), ["INITIAL-PARTIAL 1 2", "INITIAL-COMPLETE 3", "VIRTUAL 9"]);
    let streams: Vec<_> = receiver.seen().iter().map(|seen| seen.header("anyhook-stream").to_owned()).collect();
    assert_eq!(streams, [format!("listing-{job}"), format!("listing-{job}"), "live".to_owned()]);
    engine.stop().await;
}

#[tokio::test]
async fn an_empty_history_is_one_complete_without_data() {
    let (world, receiver) = (World::new().await, Receiver::scripted(|n| status(if n == 0 { 500 } else { 200 })).await);
    let (webhook, job) = world.subscribe_all(&receiver.url).await;
    let engine = world.start();
    world.list(job, &[], true).await;
    world.until(webhook.id, |state| state.listing.is_none() && state.delivered == 1).await;
    let seen = receiver.seen();
    assert_eq!(receiver.shown(), ["INITIAL-COMPLETE", "INITIAL-COMPLETE"]);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert!(seen[0].body.starts_with(br#"{"data":[],"webhook""#));
    engine.stop().await;
}

#[tokio::test]
async fn a_backfill_goes_beside_the_log_and_a_cancelled_one_ends() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    let job = world.job(&webhook, JobMode::Backfill);
    let store = &world.context.store;
    store.insert_job(job.clone()).await.unwrap();
    world.list(job.id, &["1"], false).await;
    receiver.until(1).await;
    world.log(webhook.feed_id, Found::Virtual, &["9"]).await;
    receiver.until(2).await;
    store.cancel_job(job.id, world.context.clock.now()).await.unwrap();
    world.log(webhook.feed_id, Found::Virtual, &["10"]).await;
    receiver.until(3).await;
    engine.stop().await;
    assert_eq!(receiver.shown(), ["INITIAL-PARTIAL 1", "VIRTUAL 9", "VIRTUAL 10"]);
}

#[tokio::test]
async fn a_paused_webhook_rests_and_goes_on_where_it_was() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let (store, other) = (&world.context.store, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    world.subscribe(&other.url).await;
    let paused = store.replace_webhook(Webhook { is_paused: true, ..webhook.clone() }).await.unwrap();
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    other.until(1).await;
    store.replace_webhook(Webhook { is_paused: false, ..paused }).await.unwrap();
    receiver.until(1).await;

    let mut connection = store.connection(world.connection.id).await.unwrap().unwrap();
    connection.is_paused = true;
    let mut connection = store.replace_connection(connection).await.unwrap();
    engine.stop().await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    assert_eq!((receiver.seen().len(), other.seen().len()), (1, 1));
    connection.is_paused = false;
    store.replace_connection(connection).await.unwrap();
    receiver.until(2).await;
    other.until(2).await;
    engine.stop().await;
    assert_eq!(receiver.shown(), ["VIRTUAL 1", "VIRTUAL 2"]);
}

#[tokio::test]
async fn no_attempt_starts_after_a_deletion() {
    let (world, receiver, other) = (World::new().await, Receiver::new().await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    world.subscribe(&other.url).await;
    receiver.close();
    let engine = world.start();
    for page in ["1", "2", "3"] {
        world.log(webhook.feed_id, Found::Virtual, &[page]).await;
    }
    receiver.until(1).await;
    world.context.store.delete_webhook(webhook.id, world.context.clock.now()).await.unwrap();
    receiver.open();
    other.until(3).await;
    engine.stop().await;
    assert_eq!(receiver.seen().len(), 1);
    assert_eq!(world.context.store.delivery(webhook.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_stop_lets_an_attempt_end_and_keeps_what_came_of_it() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    receiver.close();
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    receiver.until(1).await;
    let stopped = tokio::spawn(engine.stop());
    tokio::task::yield_now().await;
    receiver.open();
    stopped.await.unwrap();
    assert_eq!(world.delivery(webhook.id).await.delivered, 1);
    assert_eq!(receiver.shown(), ["VIRTUAL 1"]);
}

#[tokio::test]
async fn all_webhooks_of_a_feed_get_each_page_once_and_the_log_is_trimmed() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let mut feed = None;
    let mut last = None;
    for _ in 0..20 {
        let webhook = world.subscribe(&receiver.url).await;
        (feed, last) = (Some(webhook.feed_id), Some(webhook.id));
    }
    let (feed, last) = (feed.unwrap(), last.unwrap());
    let engine = world.start();
    for page in 0..100 {
        world.log(feed, Found::Virtual, &[&page.to_string()]).await;
    }
    let seen = receiver.until(2000).await;
    let ids: HashSet<_> = seen.iter().map(|attempt| attempt.header("webhook-id").to_owned()).collect();
    assert_eq!((seen.len(), ids.len()), (2000, 2000));
    let end = world.context.store.log_head(feed).await.unwrap().end;
    world.until(last, |state| state.position.sequence == end).await;
    world.log(feed, Found::Virtual, &["last"]).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while world.context.store.log_head(feed).await.unwrap().start == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("pages that everyone has passed go");
    engine.stop().await;
}

#[tokio::test]
async fn a_crash_loses_nothing_and_repeats_carry_their_id() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let pages: Vec<String> = (0..60).map(|page| format!("VIRTUAL {page}")).collect();
    for page in 0..60 {
        world.log(webhook.feed_id, Found::Virtual, &[&page.to_string()]).await;
    }
    for seen in [1, 10, 11, 30] {
        let engine = world.start();
        receiver.until(seen).await;
        engine.crash().await;
    }
    let engine = world.start();
    world.until(webhook.id, |state| state.position.sequence == 60).await;
    engine.stop().await;
    let mut ids = HashSet::new();
    let seen = receiver.seen();
    let first: Vec<_> = seen.iter().filter(|attempt| ids.insert(attempt.header("webhook-id"))).collect();
    assert_eq!(first.iter().map(|attempt| attempt.shown()).collect::<Vec<_>>(), pages);
}

#[tokio::test]
async fn a_node_sends_for_the_shards_it_holds_alone() {
    let (world, receiver) = (World::new().await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    world.context.leases.lost(webhook.shard);
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    engine.stop().await;
    assert!(receiver.seen().is_empty());

    let engine = world.start();
    world.context.leases.renew(&*world.context.store, &world.context.clock).await.unwrap();
    receiver.until(1).await;
    engine.stop().await;
}

#[tokio::test]
async fn a_webhook_that_is_behind_lists_from_the_earliest_run_of_all_that_it_does_not_read() {
    for (event, since, resume_at) in [(Change::Updated, 100, 4), (Change::Deleted, 200, 2)] {
        let world = World::new().await;
        let receiver = Receiver::new().await;
        let webhook = world.insert(world.webhook(&receiver.url, event)).await;
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0);
        for from in [300, 200, 400, 100] {
            world.log_from(webhook.feed_id, at(from)).await;
        }
        let fence = world.context.leases.lease(webhook.shard).unwrap().fence;
        let missed = Missed { since: at(200), sequence: 0, pages: 2, lost_deletions: false };
        let trim = Trim { missed: vec![(webhook.id, missed)], ..Trim::new(fence, webhook.feed_id, 2) };
        world.context.store.trim_log(trim).await.unwrap();
        let engine = world.start();
        let state = world.until(webhook.id, |state| state.listing.is_some()).await;
        assert_eq!((state.position.sequence, state.missed), (resume_at, None));
        let job = world.context.store.job(state.listing.unwrap()).await.unwrap().unwrap();
        assert_eq!((job.mode, job.updated_gte), (JobMode::CatchUp, at(since)));
        engine.stop().await;
    }
}
