//! Vendors that refuse because there were too many requests.

use super::support::{Setup, Subscription};
use super::*;
use anyhook_connectors::model::ObjectType;

/// A connection with three feeds, polled every ten seconds.
async fn busy() -> (World, Connection) {
    let world = World::new(Setup::default()).await;
    let connection = world.connect().await;
    world.subscribe(&connection, Subscription::new("a").every(10 * SECOND)).await;
    for object_type in [ObjectType::CrmDeal, ObjectType::CrmCompany] {
        let other = Subscription { object_type, ..Subscription::new("other").every(10 * SECOND) };
        world.subscribe(&connection, other).await;
    }
    world.run_for(MINUTE).await;
    (world, connection)
}

fn asked(world: &World) -> usize {
    world.calls.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn p12_a_pause_that_the_vendor_names_holds_for_all_feeds_and_over_restarts() {
    let (mut world, connection) = busy().await;
    let ids = world.create_many(3);
    world.faults(vec![FaultRule::always(Fault::TooManyRequests { retry_after_s: Some(600) })]);
    let before = asked(&world);
    world.until(MINUTE, "a refusal", |world| asked(world) > before).await;
    let refused_at = world.calls.lock().unwrap().last().unwrap().at;
    for _ in 0..4 {
        world.run_for(100 * SECOND).await;
        world.restart().await;
        // One that has never been refused.
        let other = Subscription { object_type: ObjectType::TicketingTicket, ..Subscription::new("new").include_all() };
        world.subscribe(&connection, other).await;
    }
    world.faults(Vec::new());
    world.run_for(10 * MINUTE).await;
    let calls = world.calls.lock().unwrap().clone();
    let refusals: Vec<_> = calls.iter().filter(|call| call.status == 429).collect();
    assert_eq!(refusals.len(), 1, "one feed was refused, and then none of them asked");
    let next = calls.iter().find(|call| call.at > refused_at && call.status == 200).unwrap();
    assert!(next.at - refused_at >= 599 * SECOND, "{:?}", next.at - refused_at);
    assert_told_once(&world, &ids, "after the pause");
}

#[tokio::test(start_paused = true)]
async fn p12_a_storm_of_refusals_without_a_word_on_when_to_come_again() {
    let (world, _) = busy().await;
    let ids = world.create_many(3);
    world.faults(vec![FaultRule::always(Fault::TooManyRequests { retry_after_s: None })]);
    let before = asked(&world);
    world.run_for(30 * MINUTE).await;
    let during = asked(&world) - before;
    assert!((4..40).contains(&during), "asked {during} times in half an hour; as every ten seconds it were 540");
    world.faults(Vec::new());
    world.run_for(2 * HOUR).await;
    assert_told_once(&world, &ids, "after the storm");
}
