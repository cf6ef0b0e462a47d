//! Runs that are cut off, begun anew, or would run into each other.

use super::support::{Setup, Subscription, vendors};
use super::*;
use anyhook_connectors::contract::Change;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn p13_the_process_dies_between_a_page_and_its_cursor() {
    for (vendor, step) in [("sandbox", 1), (vendors::NEWEST_FIRST, 6)] {
        for nth in (0..24).step_by(step) {
            let mut setup = Setup { seed: nth, ..Setup::contacts(20) };
            setup.store_latency_us_max = 2_000;
            let (mut world, _, webhook) = listening_to(setup, vendor).await;
            let mut ids = Vec::new();
            for _ in 0..120 {
                ids.push(world.create(json!({})));
                world.run_for(Duration::from_millis(40)).await;
            }
            poll_now(&world, &webhook).await;
            world.crash_at_call(i64::try_from(nth).unwrap());
            world.run_for(5 * SECOND).await;
            world.crash();
            world.crash_at_call(-1);
            world.start().await;
            world.run_for(65 * SECOND).await;
            let what = format!("{vendor}, dead at call {nth}");
            assert_eq!(set(&world.ids("a", "VIRTUAL")), set(&ids), "{what}");
            let mut payloads: Vec<_> = world.got("a").into_iter().map(|got| (got.webhook_id, got.data_text)).collect();
            payloads.sort();
            payloads.dedup();
            let records: usize = payloads.iter().map(|(_, data)| data.matches(r#""id":"con_"#).count()).sum();
            assert_eq!(records, ids.len(), "{what}: what is sent again is the same payload");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p15_a_webhook_or_its_connection_is_edited() {
    for vendor in ["sandbox", vendors::UNDATED, vendors::WHOLE] {
        let (mut world, connection, webhook) = listening_to(Setup::contacts(150), vendor).await;
        let mut ids = world.create_many(3);
        world.run_for(2 * MINUTE).await;
        for edit in 0..7 {
            ids.extend(world.create_many(3));
            match edit {
                0 => world.change(webhook.id, |row| row.fields = vec!["id".to_owned(), "title".to_owned()]).await,
                1 => world.change(webhook.id, |row| row.interval_ms = 30_000).await,
                2 => world.give_token(connection.id, "sandbox").await,
                3 => world.restart().await,
                // A webhook that asks for more than the feed has kept until now.
                4 => {
                    let more = Subscription::new("created").event(Change::Created).fields(&["id", "raw"]);
                    drop(world.subscribe(&connection, more).await);
                }
                5 => world.pause_connection(connection.id, true).await,
                _ => world.change(webhook.id, |row| row.is_paused = true).await,
            }
            ids.extend(world.create_many(3));
            world.run_for(3 * MINUTE).await;
            world.pause_connection(connection.id, false).await;
            world.change(webhook.id, |row| row.is_paused = false).await;
            world.run_for(2 * MINUTE).await;
            assert_told_once(&world, &ids, &format!("{vendor}, edit {edit}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p16_a_run_takes_longer_than_the_interval() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    let webhook = world.subscribe(&connection, Subscription::new("a").every(5 * SECOND)).await;
    world.run_for(10 * SECOND).await;
    world.faults(vec![FaultRule::always(Fault::Slow { ms: 20_000 })]);
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.extend(world.create_many(40));
        poll_now(&world, &webhook).await;
        world.run_for(8 * SECOND).await;
    }
    world.run_for(5 * MINUTE).await;
    assert_told_once(&world, &ids, "by runs of a minute each");
    let calls = world.calls.lock().unwrap().clone();
    let overlap = calls.windows(2).find(|pair| pair[1].at < pair[0].until);
    assert!(overlap.is_none(), "two runs at once: {overlap:?}");
}

#[tokio::test(start_paused = true)]
async fn p16_what_was_missed_is_one_run_and_not_many() {
    let (mut world, ..) = listening_to(Setup::default(), "sandbox").await;
    world.crash();
    let ids = world.create_many(3);
    world.run_for(5 * HOUR).await;
    let before = world.polls();
    world.start().await;
    world.run_for(50 * SECOND).await;
    assert!(world.polls() - before <= 2, "300 intervals were missed, and {} runs made up", world.polls() - before);
    world.update(&ids[0], json!({}));
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.ids("a", "VIRTUAL").len(), 4);
}
