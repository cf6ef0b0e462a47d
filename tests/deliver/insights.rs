//! What deliveries leave in the insights.

use crate::harness::World;
use crate::receiver::{Receiver, status};
use anyhook::store::{InsightQuery, Resolution};

#[tokio::test]
async fn deliveries_failures_and_lag_are_counted() {
    let (world, receiver) = (World::new().await, Receiver::scripted(|n| status(if n == 0 { 500 } else { 200 })).await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log_from(webhook.feed_id, None).await;
    world.until(webhook.id, |state| state.delivered == 1).await;
    engine.stop().await;
    let query = InsightQuery {
        connection_id: webhook.connection_id,
        resolution: Resolution::Day,
        object_type: Some(webhook.object_type),
        since: None,
        is_ascending: true,
        offset: 0,
        limit: 10,
    };
    let days = world.context.store.insights(&query).await.unwrap();
    let total = |of: fn(&anyhook::store::Figures) -> u64| days.iter().map(|day| of(&day.figures)).sum::<u64>();
    assert_eq!((total(|f| f.deliveries), total(|f| f.records), total(|f| f.failures)), (1, 1, 1));
    assert_eq!(total(|figures| figures.lags.count), 1);
    assert!(total(|figures| figures.lags.max_ms) < 20_000, "{days:?}");
}
