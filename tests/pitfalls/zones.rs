//! Times without a zone.

use super::support::{Setup, vendors};
use super::*;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn p07_times_without_a_zone_are_local_somewhere() {
    for (vendor, zone) in [(vendors::KOLKATA, "+05:30"), (vendors::BERLIN, "Europe/Berlin")] {
        let local = FaultRule::always(Fault::LocalTimes { zone: zone.to_owned() });
        let (world, ..) = listening_under(Setup::contacts(30), vendor, vec![local]).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.extend(world.create_many(3));
            world.run_for(45 * SECOND).await;
        }
        world.run_for(2 * MINUTE).await;
        assert_told_once(&world, &ids, zone);
        let told = &world.got("a")[0].data[0];
        let made_at: chrono::DateTime<chrono::Utc> = told["created_at"].as_str().unwrap().parse().unwrap();
        assert!((world.clock.now() - made_at).num_minutes() < 10, "{zone}: told as an instant: {made_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn p07_an_hour_of_local_times_comes_twice_or_never() {
    // Clocks go back in October, and forward in March.
    for starts_at in ["2026-10-24T23:20:00.250Z", "2026-03-29T00:20:00.250Z"] {
        let setup = Setup { starts_at: starts_at.parse().unwrap(), ..Setup::contacts(30) };
        let local = FaultRule::always(Fault::LocalTimes { zone: "Europe/Berlin".to_owned() });
        let (world, ..) = listening_under(setup, vendors::BERLIN, vec![local]).await;
        let mut ids = Vec::new();
        for _ in 0..50 {
            ids.push(world.create(json!({})));
            world.run_for(4 * MINUTE).await;
        }
        world.run_for(2 * MINUTE).await;
        assert_told_once(&world, &ids, starts_at);
    }
}
