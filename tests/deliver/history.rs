//! History beside what changes.

use crate::harness::World;
use crate::receiver::{Receiver, status};
use anyhook::log::Found;
use anyhook::store::{JobMode, Position};

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
