//! What a receiver's answer leads to.

use crate::harness::{World, limits};
use crate::message;
use crate::receiver::{Receiver, status};
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::{Position, Stream, WebhookHealth};
use axum::response::IntoResponse;

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
