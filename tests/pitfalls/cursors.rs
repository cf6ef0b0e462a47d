//! What a feed remembers of how far it has read.

use super::support::{Setup, Subscription, vendors};
use super::*;
use anyhook::simulator::Granularity;
use serde_json::json;

fn with(granularity: Granularity) -> Setup {
    let mut setup = Setup::default();
    setup.simulator.granularity = granularity;
    setup
}

#[tokio::test(start_paused = true)]
async fn p01_the_vendors_clock_is_ahead_or_behind() {
    for shift_ms in [-3_600_000, -30_000, 30_000, 3_600_000] {
        let world = World::new(Setup::default()).await;
        world.faults(vec![FaultRule::always(Fault::ClockSkew { ms: shift_ms })]);
        let connection = world.connect().await;
        world.create_many(5);
        world.run_for(20 * SECOND).await;
        world.subscribe(&connection, Subscription::new("a")).await;
        let mut ids = Vec::new();
        for _ in 0..6 {
            ids.extend(world.create_many(3));
            world.run_for(25 * SECOND).await;
        }
        world.run_for(2 * MINUTE).await;
        assert_told_once(&world, &ids, &format!("{shift_ms} ms"));
    }
}

#[tokio::test(start_paused = true)]
async fn p02_records_of_the_second_or_minute_that_was_read_come_later() {
    for (vendor, granularity) in [(vendors::SECONDS, Granularity::Second), (vendors::MINUTES, Granularity::Minute)] {
        let (world, _, webhook) = listening_to(with(granularity), vendor).await;
        let mut ids = Vec::new();
        // Every poll finds records of the granule that it reads in, and others come to that granule behind it.
        for _ in 0..40 {
            ids.push(world.create(json!({})));
            world.run_for(Duration::from_millis(130)).await;
            poll_now(&world, &webhook).await;
            world.run_for(Duration::from_millis(130)).await;
        }
        world.run_for(3 * MINUTE).await;
        assert_told_once(&world, &ids, vendor);
        let changed = &ids[..1];
        world.update(&changed[0], json!({"title": "one"}));
        poll_now(&world, &webhook).await;
        world.run_for(Duration::from_millis(200)).await;
        world.update(&changed[0], json!({"title": "two"}));
        world.run_for(3 * MINUTE).await;
        assert_eq!(held_by(&world, "a")[&changed[0]], "two", "{vendor}: changed twice within one granule");
    }
}

#[tokio::test(start_paused = true)]
async fn p02_a_minute_seems_to_be_over_before_the_feed_began_in_it() {
    let world = World::new(with(Granularity::Minute)).await;
    let connection = world.connect_to(vendors::MINUTES, "sandbox").await;
    world.run_for(30 * SECOND).await;
    world.faults(vec![contacts(Fault::Status { status: 503 }, 12)]);
    world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(10 * SECOND).await;
    // Its time is the full minute, which was before the feed was made.
    let mut ids = vec![world.create(json!({}))];
    world.run_for(20 * MINUTE).await;
    assert_told_once(&world, &ids, "while the vendor was away");
    world.run_for(30 * SECOND).await;
    ids.push(world.create(json!({})));
    world.run_for(3 * MINUTE).await;
    assert_told_once(&world, &ids, "after an idle time");
}

#[tokio::test(start_paused = true)]
async fn p08_the_filter_leaves_out_its_bound() {
    let (world, _, webhook) = listening_to(with(Granularity::Second), vendors::SECONDS_AFTER).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(world.create(json!({})));
        world.run_for(Duration::from_millis(130)).await;
        poll_now(&world, &webhook).await;
        world.run_for(Duration::from_millis(130)).await;
    }
    // More of one second than a page holds: the next page begins at the last time seen.
    ids.extend(world.create_many(250));
    world.run_for(2 * MINUTE).await;
    assert_told_once(&world, &ids, "one bound on each page and between runs");
}

#[tokio::test(start_paused = true)]
async fn p09_a_record_has_a_time_of_the_future() {
    for vendor in ["sandbox", vendors::LATE, vendors::NEWEST_FIRST] {
        let (world, ..) = listening_to(Setup::contacts(10), vendor).await;
        let wrong = world.create(json!({"updated_at": "2099-01-01T00:00:00Z"}));
        world.run_for(2 * MINUTE).await;
        let mut ids = vec![wrong.clone()];
        for _ in 0..5 {
            ids.extend(world.create_many(2));
            world.run_for(70 * SECOND).await;
        }
        assert_told_once(&world, &ids, vendor);
        world.update(&wrong, json!({"title": "put right"}));
        ids.push(wrong);
        world.run_for(2 * MINUTE).await;
        assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&ids), "{vendor}");
        assert_eq!(world.ids("a", "VIRTUAL").len(), ids.len(), "{vendor}: once more when it was put right");
    }
}
