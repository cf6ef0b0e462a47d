//! Records that show later than their time says, and older versions that show again.

use super::support::{Setup, vendors};
use super::*;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn p04_records_show_in_the_listing_only_later() {
    let (world, ..) = listening_to(Setup::contacts(10), vendors::LATE).await;
    // Half of them show at once, and move the cursor past those that do not show yet.
    let late = FaultRule::always(Fault::LateVisibility { ms: 55_000 });
    world.faults(vec![FaultRule { probability: Some(0.5), ..late }]);
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(world.create(json!({})));
        world.run_for(11 * SECOND).await;
    }
    world.run_for(3 * MINUTE).await;
    assert_told_once(&world, &ids, "each a minute late at most");
}

#[tokio::test(start_paused = true)]
async fn p04_a_copy_that_is_behind_shows_older_versions_again() {
    for vendor in [vendors::LATE, vendors::WHOLE] {
        let (world, _, webhook) = listening_to(Setup::contacts(60), vendor).await;
        world.change(webhook.id, |row| row.interval_ms = 10_000).await;
        let behind = FaultRule { probability: Some(0.5), ..FaultRule::always(Fault::LaggingReplica { ms: 40_000 }) };
        world.faults(vec![behind]);
        let ids: Vec<String> = (1..=30).map(|number| format!("con_{number:08}")).collect();
        for turn in 0..3 {
            for id in &ids {
                world.update(id, json!({"title": format!("title {turn}")}));
                world.run_for(7 * SECOND).await;
            }
        }
        world.run_for(5 * MINUTE).await;
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for object in world.got("a").into_iter().flat_map(|payload| payload.data) {
            let text = |field: &str| object[field].as_str().unwrap().to_owned();
            let (id, title) = (text("id"), text("title"));
            let before = last.insert(id.clone(), title.clone());
            assert!(before.is_none_or(|before| before < title), "{vendor}: {id} went back to {title}");
        }
        assert!(ids.iter().all(|id| last[id] == "title 2"), "{vendor}: the last version of each");
    }
}

#[tokio::test(start_paused = true)]
async fn p20_what_is_read_again_is_not_told_again() {
    let (world, _, webhook) = listening_to(Setup::contacts(10), vendors::LATE).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.extend(world.create_many(7));
        world.run_for(3 * SECOND).await;
        // Every poll lists the last minute anew.
        poll_now(&world, &webhook).await;
    }
    world.run_for(5 * MINUTE).await;
    assert_told_once(&world, &ids, "though each was listed about twenty times");
}
