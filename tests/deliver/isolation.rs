//! One endpoint holds up no other. Bounds are shares of the deadline of an attempt, or numbers of attempts: never a
//! latency that a busy machine could miss.

use crate::harness::{World, limits};
use crate::hosts::{Hosts, Manner};
use crate::receiver::{Receiver, status};
use anyhook::limits::Limits;
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use std::time::{Duration, Instant};

fn guard() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
}

/// Few slots, and a deadline that nothing here may wait for.
fn few_slots() -> Limits {
    let mut limits = limits();
    let deliver = &mut limits.deliver;
    (deliver.slots_max, deliver.host_slots_max, deliver.slow_slots_max) = (8, 4, 256);
    (deliver.attempt_deadline_ms, deliver.slow_after_ms) = (20_000, 100);
    limits
}

#[tokio::test]
async fn an_endpoint_that_hangs_holds_nobody_else() {
    let mut limits = limits();
    (limits.deliver.slots_max, limits.deliver.host_slots_max) = (4, 2);
    let world = World::with(limits, guard()).await;
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

/// Twenty times as many hosts hang as there are slots.
#[tokio::test]
async fn hosts_that_hang_hold_nobody_else() {
    let limits = few_slots();
    let deadline = Duration::from_millis(limits.deliver.attempt_deadline_ms);
    let world = World::with(limits, guard()).await;
    let (hanging, quick) = (Hosts::new(160, Manner::Hangs).await, Receiver::new().await);
    for url in hanging.urls() {
        world.subscribe(&url).await;
    }
    let webhook = world.subscribe(&quick.url).await;
    let engine = world.start();
    let began = Instant::now();
    for page in 0..20 {
        world.log(webhook.feed_id, Found::Virtual, &[&page.to_string()]).await;
        quick.until(page + 1).await;
    }
    hanging.until(160).await;
    assert!(began.elapsed() < deadline * 3 / 4, "{:?}", began.elapsed());
    assert_eq!(hanging.attempts(), 160, "each has one attempt, which goes on");
    engine.crash().await;
}

/// The slow pool is smaller than the number of hosts that hang.
#[tokio::test]
async fn a_full_slow_pool_holds_nobody_and_serves_all_in_turn() {
    let mut limits = few_slots();
    limits.deliver.slow_slots_max = 16;
    limits.deliver.retry_schedule_ms = vec![20; 500];
    let world = World::with(limits, guard()).await;
    let (hanging, quick) = (Hosts::new(64, Manner::Hangs).await, Receiver::new().await);
    let mut webhooks = Vec::new();
    for url in hanging.urls() {
        webhooks.push(world.subscribe(&url).await.id);
    }
    let webhook = world.subscribe(&quick.url).await;
    let engine = world.start();
    for page in 0..20 {
        world.log(webhook.feed_id, Found::Virtual, &[&page.to_string()]).await;
        quick.until(page + 1).await;
    }
    // Those that make room have failed: they are not left waiting, nor lost.
    hanging.until(64).await;
    assert!(hanging.open_max() <= 8 + 16, "{} attempts were open at once", hanging.open_max());
    hanging.answer();
    for id in webhooks {
        world.until(id, |state| state.delivered >= 20).await;
    }
    engine.stop().await;
}

/// A host whose answers take long, though not too long, is served while others hang and are retried.
#[tokio::test]
async fn a_slow_host_is_served_in_its_turn() {
    let mut limits = few_slots();
    (limits.deliver.attempt_deadline_ms, limits.deliver.slow_slots_max) = (1_500, 64);
    limits.deliver.retry_schedule_ms = vec![20; 500];
    let world = World::with(limits, guard()).await;
    let (hanging, slow) =
        (Hosts::new(320, Manner::Hangs).await, Hosts::new(1, Manner::Takes(Duration::from_millis(300))).await);
    let webhook = world.subscribe(&slow.urls()[0]).await;
    for url in hanging.urls() {
        world.subscribe(&url).await;
    }
    let engine = world.start();
    for page in 0..5 {
        world.log(webhook.feed_id, Found::Virtual, &[&page.to_string()]).await;
    }
    world.until(webhook.id, |state| state.delivered == 5).await;
    let statuses: Vec<_> = world.calls(webhook.id).await.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [200; 5], "each in one attempt");
    engine.crash().await;
}

/// Webhooks that are refused and tried again all the time, and some that are served: how many attempts the former have
/// for each page of the latter.
async fn attempts_per_page(limits: Limits, refusing: &Hosts, serving: &Hosts) -> usize {
    const REFUSED: usize = 400;
    const PAGES: usize = 10;
    let world = World::with(limits, guard()).await;
    let mut webhooks = Vec::new();
    for index in 0..REFUSED {
        let urls = refusing.urls();
        world.subscribe(&urls[index % urls.len()].replace("/hook", "/refused")).await;
    }
    for _ in 0..8 {
        webhooks.push(world.subscribe(&serving.urls()[0]).await);
    }
    let engine = world.start();
    world.log(webhooks[0].feed_id, Found::Virtual, &["first"]).await;
    refusing.until(2 * REFUSED).await;
    let before = refusing.attempts();
    for page in 0..PAGES {
        world.log(webhooks[0].feed_id, Found::Virtual, &[&page.to_string()]).await;
        for webhook in &webhooks {
            world.until(webhook.id, |state| state.delivered >= page as u64 + 2).await;
        }
    }
    let between = refusing.attempts() - before;
    engine.crash().await;
    between / PAGES
}

fn retrying() -> Limits {
    let mut limits = limits();
    limits.deliver.retry_schedule_ms = vec![1; 500];
    limits
}

#[tokio::test]
async fn retries_leave_slots_for_what_is_fresh() {
    let mut limits = retrying();
    (limits.deliver.slots_max, limits.deliver.host_slots_max) = (4, 64);
    let (refusing, serving) = (Hosts::new(10, Manner::RefusesSome).await, Hosts::new(1, Manner::RefusesSome).await);
    let attempts = attempts_per_page(limits, &refusing, &serving).await;
    assert!(attempts < 200, "what is fresh waits for {attempts} of 400 retries");
}

#[tokio::test]
async fn retries_at_a_host_leave_it_to_what_is_fresh() {
    let mut limits = retrying();
    limits.deliver.host_slots_max = 4;
    let host = Hosts::new(1, Manner::RefusesSome).await;
    let attempts = attempts_per_page(limits, &host, &host).await;
    assert!(attempts < 200, "what is fresh waits for {attempts} of 400 retries");
}

/// What waits for its turn is an id: a webhook that has nothing to deliver has no task.
#[tokio::test]
async fn an_idle_webhook_has_no_task() {
    let world = World::new().await;
    let quick = Receiver::scripted(|_| status(200)).await;
    let mut webhooks = Vec::new();
    for _ in 0..300 {
        webhooks.push(world.subscribe(&quick.url).await);
    }
    let engine = world.start();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let feed = webhooks[0].feed_id;
    world.log(feed, Found::Virtual, &["1"]).await;
    quick.until(300).await;
    let most = 2 * 64 + 32; // both ends of the connections that are kept open to one host, and the engine's own
    let idle = tokio::time::timeout(Duration::from_secs(20), async {
        while tasks() > most {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(idle.await.is_ok(), "{} tasks", tasks());
    engine.stop().await;
}
