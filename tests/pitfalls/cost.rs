//! What a change costs at the vendor.

use super::support::{Setup, Subscription};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_change_costs_the_vendor_as_much_for_one_webhook_as_for_a_hundred() {
    let mut costs = Vec::new();
    for webhooks in [1, 10, 100] {
        let mut setup = Setup::default();
        setup.limits.poll.jitter_percent = 0;
        let world = World::new(setup).await;
        let connection = world.connect().await;
        let names: Vec<String> = (0..webhooks).map(|number| format!("w{number}")).collect();
        for name in &names {
            world.subscribe(&connection, Subscription::new(name)).await;
        }
        world.run_for(10 * SECOND).await;
        let requests = |world: &World| world.simulator.with(|vendor, _| vendor.stats().requests);
        let before = requests(&world);
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.extend(world.create_many(30));
            world.run_for(MINUTE).await;
        }
        world.run_for(MINUTE).await;
        for name in &names {
            assert_eq!(set(&world.ids(name, "VIRTUAL")), set(&ids), "{name} of {webhooks}");
        }
        costs.push((webhooks, requests(&world) - before, ids.len()));
    }
    println!("webhooks, requests, changes: {costs:?}");
    assert!(costs.iter().all(|cost| (cost.1, cost.2) == (costs[0].1, costs[0].2)), "{costs:?}");
}
