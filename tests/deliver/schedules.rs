//! When a batch is tried again, and how often.

use crate::harness::{World, limits};
use crate::message;
use crate::peer::{OK, Peer};
use crate::receiver::{Receiver, status};
use anyhook::limits::Limits;
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::{DeliverySettings, Webhook, WebhookHealth, Workspace};
use anyhook_connectors::contract::Change;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const NEVER_MS: u64 = 80_000_000;

async fn world(limits: Limits) -> World {
    World::with(limits, Guard::new(vec!["127.0.0.0/8".parse().unwrap()])).await
}

fn schedule(waits_ms: &[u64]) -> DeliverySettings {
    DeliverySettings { retry_schedule_ms: Some(waits_ms.to_vec()), ..DeliverySettings::default() }
}

async fn subscribe(world: &World, hook_url: &str, delivery: DeliverySettings) -> Webhook {
    world.insert(Webhook { delivery, ..world.webhook(hook_url, Change::Updated) }).await
}

/// How many attempts are made before the webhook is unhealthy.
async fn attempts_until_unhealthy(world: &World, webhook: &Webhook) -> usize {
    world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    world.calls(webhook.id).await.len()
}

#[tokio::test]
async fn the_webhooks_schedule_goes_before_the_workspaces_and_that_before_the_servers() {
    let (world, receiver) = (world(limits()).await, Receiver::scripted(|_| status(500)).await);
    let store = &world.context.store;
    let workspace = store.workspace(world.connection.workspace_id).await.unwrap().unwrap();
    let engine = world.start();
    let (plain, own, once) = (
        subscribe(&world, &receiver.url, DeliverySettings::default()).await,
        subscribe(&world, &receiver.url, schedule(&[5])).await,
        subscribe(&world, &receiver.url, schedule(&[])).await,
    );
    world.log(plain.feed_id, Found::Virtual, &["1"]).await;
    assert_eq!(attempts_until_unhealthy(&world, &plain).await, 4, "the server's has three waits");
    assert_eq!(attempts_until_unhealthy(&world, &own).await, 2);
    assert_eq!(attempts_until_unhealthy(&world, &once).await, 1);
    assert!(message(&world.delivery(once.id).await.health).starts_with("the only attempt failed: "));

    store.replace_workspace(Workspace { delivery: schedule(&[5; 5]), ..workspace }).await.unwrap();
    for webhook in [&plain, &own] {
        store.resume_webhook(webhook.id, world.context.clock.now()).await.unwrap();
    }
    assert_eq!(attempts_until_unhealthy(&world, &plain).await, 4 + 6, "the workspace's has five");
    assert_eq!(attempts_until_unhealthy(&world, &own).await, 2 + 2);
    engine.stop().await;
}

#[tokio::test]
async fn a_webhooks_longer_waits_are_kept() {
    let (world, receiver) = (world(limits()).await, Receiver::scripted(|_| status(503)).await);
    let webhook = subscribe(&world, &receiver.url, schedule(&[NEVER_MS])).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let retry = world.until(webhook.id, |state| state.retry.is_some()).await.retry.unwrap();
    // It said that it is overloaded, so that the schedule's value is the least.
    assert!((retry.next_at - world.context.clock.now()).num_milliseconds() > i64::try_from(NEVER_MS / 2).unwrap());
    engine.stop().await;

    // Neither it nor a new start takes that time for a clock's mistake.
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["2"]).await;
    let other = subscribe(&world, &receiver.url, DeliverySettings::default()).await;
    world.log(other.feed_id, Found::Virtual, &["3"]).await;
    world.until(other.id, |state| state.health != WebhookHealth::Healthy).await;
    assert_eq!(world.delivery(webhook.id).await.retry, Some(retry));
    assert_eq!(world.calls(webhook.id).await.len(), 1, "it was not tried again");
    engine.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_was_away_for_a_moment_is_reached_beside_the_schedule() {
    let mut limits = limits();
    limits.deliver.retry_schedule_ms = vec![NEVER_MS];
    limits.deliver.quick_retry_ms = 2_000;
    let world = world(limits).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let webhook = world.subscribe(&format!("http://{address}/hook")).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    let retry = world.until(webhook.id, |state| state.retry.is_some()).await.retry.unwrap();
    assert!(retry.is_quick && (retry.attempts, retry.quick) == (1, 1), "{retry:?}");
    let peer = Peer::on(TcpListener::bind(address).await.unwrap(), |_, mut stream| async move {
        stream.write_all(OK).await.ok()?;
        Some(stream)
    });
    world.until(webhook.id, |state| state.delivered == 1).await;
    assert_eq!(peer.requests(), 1);
    let calls = world.calls(webhook.id).await;
    let shown: Vec<_> = calls.iter().map(|call| (call.requests, call.status)).collect();
    assert_eq!(shown, [(1, 0), (2, 200)], "both are attempts");
    assert!(calls[0].error.as_ref().unwrap().starts_with("could not connect: "), "{:?}", calls[0].error);
    engine.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_dropped_gets_one_more_attempt_for_each_wait() {
    let mut limits = limits();
    limits.deliver.retry_schedule_ms = vec![1, 1];
    limits.deliver.quick_retry_ms = 10;
    let (world, peer) = (world(limits).await, Peer::new(|_, _| async { None }).await);
    let webhook = world.subscribe(&peer.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    assert_eq!(
        attempts_until_unhealthy(&world, &webhook).await,
        6,
        "three attempts by the schedule, each with another"
    );
    assert_eq!(peer.requests(), 6);
    let ids = peer.header("webhook-id");
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let health = world.delivery(webhook.id).await.health;
    let told = message(&health);
    assert!(told.contains("6 attempts failed") && told.contains("closed without an answer"), "{told}");
    engine.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_no_success_uses_up_the_schedule() {
    let mut limits = limits();
    (limits.deliver.retry_schedule_ms, limits.deliver.quick_retry_ms) = (vec![1, 1], 10);
    let world = world(limits).await;
    // Garbage and a body that breaks off: the endpoint was reached.
    for text in
        [&b"SSH-2.0-OpenSSH_9.9\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nxxx"]
    {
        let peer = Peer::new(move |_, mut stream| async move {
            stream.write_all(text).await.ok()?;
            None
        })
        .await;
        let webhook = world.subscribe(&peer.url).await;
        let engine = world.start();
        world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
        assert_eq!(attempts_until_unhealthy(&world, &webhook).await, 3);
        engine.stop().await;
    }
}
