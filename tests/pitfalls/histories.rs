//! History that is listed while changes come in.

use super::support::{Setup, Subscription, vendors};
use super::*;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn p10_history_and_changes_run_side_by_side() {
    for vendor in ["sandbox", vendors::WHOLE, vendors::LATE, vendors::BY_PLACE, vendors::UNDATED, vendors::UNTIMED] {
        let world = World::new(Setup::contacts(600)).await;
        let connection = world.connect_to(vendor, "sandbox").await;
        // The feed's first poll fails, so that it begins some seconds after the history could.
        world.faults(vec![FaultRule::always(Fault::Slow { ms: 900 }), contacts(Fault::Status { status: 503 }, 8)]);
        world.subscribe(&connection, Subscription::new("a").include_all().every(20 * SECOND)).await;
        // Records in front of and behind the page that is being listed change, some of them again and again.
        for turn in 0..40_u32 {
            world.run_for(Duration::from_millis(700)).await;
            for number in [turn * 29 % 600 + 1, 600 - turn * 29 % 600, turn % 5 + 1] {
                world.update(&format!("con_{number:08}"), json!({"title": format!("turn {turn}")}));
            }
            world.create(json!({"title": format!("new {turn}")}));
        }
        world.faults(Vec::new());
        world.run_for(MINUTE).await;
        assert!(held_by(&world, "a") == at_vendor(&world), "{vendor}: the receiver ends with what the vendor has");
        let complete = world.kinds("a").iter().filter(|kind| *kind == "INITIAL-COMPLETE").count();
        assert_eq!(complete, 1, "{vendor}");
    }
}
