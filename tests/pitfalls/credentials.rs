//! Tokens that end.

use super::support::{Setup, Subscription};
use super::*;
use anyhook_connectors::model::ObjectType;

#[tokio::test(start_paused = true)]
async fn p11_a_token_ends_between_two_pages() {
    let mut setup = Setup::contacts(20);
    setup.simulator.access_token_lifetime_s = 7;
    let mut world = World::new(setup).await;
    let connection = world.connect_by_oauth().await;
    // Four feeds share the token, so that it is refused for all of them at once; each refresh token works once.
    world.subscribe(&connection, Subscription::new("a").every(10 * SECOND)).await;
    for object_type in [ObjectType::CrmDeal, ObjectType::CrmCompany, ObjectType::TicketingTicket] {
        let other = Subscription { object_type, ..Subscription::new("other").every(10 * SECOND) };
        world.subscribe(&connection, other).await;
    }
    world.run_for(20 * SECOND).await;
    let mut ids = Vec::new();
    for turn in 0..12 {
        world.faults(vec![FaultRule::always(Fault::Slow { ms: 1_500 })]);
        ids.extend(world.create_many(250));
        world.run_for(25 * SECOND).await;
        if turn % 4 == 3 {
            // Whatever the vendor has given must be known after a restart.
            world.crash();
            world.run_for(10 * SECOND).await;
            world.start().await;
        }
    }
    world.faults(Vec::new());
    world.run_for(3 * MINUTE).await;
    assert_told_once_or_again(&world, &ids);
    let stored = world.disk.store.connection(connection.id).await.unwrap().unwrap();
    assert!(stored.last_unhealthy_at.is_none() && stored.auth_revision > 10, "{}", stored.auth_revision);
}

/// A crash may repeat what was delivered, in the same payload.
fn assert_told_once_or_again(world: &World, ids: &[String]) {
    assert_eq!(set(&world.ids("a", "VIRTUAL")), set(ids));
    let mut payloads: Vec<_> = world.got("a").into_iter().map(|got| (got.webhook_id, got.data_text)).collect();
    payloads.sort();
    payloads.dedup();
    let records: usize = payloads.iter().map(|(_, data)| data.matches(r#""id":"con_"#).count()).sum();
    assert_eq!(records, ids.len(), "what is sent again is the same payload");
}
