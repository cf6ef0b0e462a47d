//! Pauses, deletions, stops, crashes, leases, and the log behind them.

use crate::harness::World;
use crate::receiver::Receiver;
use anyhook::log::Found;
use anyhook::store::{Duty, JobMode, Missed, Trim, Webhook};
use anyhook_connectors::contract::Change;
use std::collections::HashSet;

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
    world.context.leases.lost(world.context.leases.lease(Duty::Deliver, webhook.shard).unwrap().fence);
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    engine.stop().await;
    assert!(receiver.seen().is_empty());

    let engine = world.start();
    world.context.leases.renew(&*world.context.store).await.unwrap();
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
        let fence = world.context.leases.lease(Duty::Deliver, webhook.shard).unwrap().fence;
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
