//! One endpoint holds up no other.

use crate::harness::{World, limits};
use crate::receiver::Receiver;
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;

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
