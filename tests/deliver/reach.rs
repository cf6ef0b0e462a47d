//! Where deliveries may go.

use crate::harness::{World, limits};
use crate::message;
use crate::receiver::Receiver;
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::WebhookHealth;

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
