//! Access tokens that end, refresh tokens that work once, and processes that end between the two.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::simulator::{Fault, FaultRule};
use anyhook::store::*;
use anyhook_connectors::model::ObjectType;
use chrono::TimeDelta;
use std::time::Duration;
use support::{Setup, Subscription, World};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The vendor ends the old refresh token at once, and takes its time to answer.
fn slow_tokens() -> FaultRule {
    FaultRule { path: "/oauth/".to_owned(), ..FaultRule::always(Fault::Slow { ms: 5_000 }) }
}

/// A connection by OAuth whose token is being renewed, slowly.
async fn renewing() -> (World, Connection, Webhook) {
    let world = World::new(Setup::default()).await;
    let connection = world.connect_by_oauth().await;
    world.faults(vec![slow_tokens()]);
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.until(MINUTE, "a renewal", |world| !world.calls_to("/oauth/token").is_empty()).await;
    (world, connection, webhook)
}

/// Whether the vendor took the last request that polls.
fn is_let_in(world: &World) -> bool {
    world.calls_to("/v1/").last().is_some_and(|call| matches!(call.status, 200 | 304))
}

fn statuses(world: &World) -> Vec<u16> {
    world.calls_to("/oauth/token").iter().map(|call| call.status).collect()
}

#[tokio::test(start_paused = true)]
async fn however_many_feeds_are_refused_at_once_the_token_is_renewed_once() {
    let world = World::new(Setup::contacts(300)).await;
    let connection = world.connect_by_oauth().await;
    world.faults(vec![slow_tokens()]);
    let types = [ObjectType::CrmCompany, ObjectType::CrmContact, ObjectType::CrmDeal, ObjectType::TicketingTicket];
    for object_type in types {
        let subscription = Subscription { object_type, ..Subscription::new(object_type.as_str()) };
        world.subscribe(&connection, subscription.include_all()).await;
    }
    world.run_for(2 * MINUTE).await;
    let refused = world.calls_to("/v1/").iter().filter(|call| call.status == 401).count();
    assert!(refused >= 4, "all were refused: {refused}");
    assert_eq!(statuses(&world), [200]);
    assert_eq!(world.ids(ObjectType::CrmContact.as_str(), "INITIAL").len(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_when_three_quarters_of_its_life_are_over() {
    let mut setup = Setup::default();
    setup.simulator.access_token_lifetime_s = 400;
    let world = World::new(setup).await;
    let connection = world.connect_by_oauth().await;
    world.subscribe(&connection, Subscription::new("a").every(10 * SECOND)).await;
    world.run_for(MINUTE).await;
    let refused = |world: &World| world.calls_to("/v1/").iter().filter(|call| call.status == 401).count();
    assert_eq!((refused(&world), statuses(&world).len()), (1, 1));
    world.run_for(HOUR).await;
    assert_eq!(refused(&world), 1, "no poll is refused again");
    assert!((11..=13).contains(&statuses(&world).len()), "every five minutes: {}", statuses(&world).len());
    // While tokens cannot be renewed, the old one serves as long as it lives, and the vendor is not asked at every poll.
    let before = statuses(&world).len();
    world.until(6 * MINUTE, "a renewal", |world| statuses(world).len() > before).await;
    world.faults(vec![FaultRule { path: "/oauth/".to_owned(), ..FaultRule::always(Fault::Status { status: 503 }) }]);
    world.run_for(390 * SECOND).await;
    let tried = statuses(&world).len() - before - 1;
    assert!((1..=2).contains(&tried) && refused(&world) == 1, "{tried} tries");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stops_while_a_token_is_renewed_keeps_the_new_one() {
    let (mut world, connection, _) = renewing().await;
    world.run_for(SECOND).await;
    world.stop().await;
    assert!(world.credentials(connection.id).await.expires_at.is_some(), "the new token was kept");
    world.start().await;
    world.run_for(5 * MINUTE).await;
    assert_eq!(statuses(&world), [200]);
    assert!(is_let_in(&world));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_dies_after_the_vendor_rotated_says_so_and_a_person_mends_it() {
    let (mut world, connection, webhook) = renewing().await;
    world.run_for(SECOND).await;
    world.crash();
    world.run_for(10 * SECOND).await;
    world.faults(Vec::new());
    world.start().await;
    world.run_for(HOUR).await;
    // The one that was given is lost with the process; the old one works no more.
    let tries = statuses(&world);
    assert!(tries[1..].iter().all(|status| *status == 400) && (2..=4).contains(&tries.len()), "{tries:?}");
    let state = world.feed_state(&webhook).await;
    assert!(matches!(state.health, FeedHealth::Unhealthy { is_credential: true, .. }), "{:?}", state.health);
    world.give_token(connection.id, "sandbox").await;
    world.run_for(2 * MINUTE).await;
    assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_dies_once_the_token_is_kept_goes_on_with_it() {
    let (mut world, connection, webhook) = renewing().await;
    for _ in 0..100 {
        world.run_for(SECOND / 10).await;
        if world.disk.store.connection(connection.id).await.unwrap().unwrap().auth_revision > 0 {
            break;
        }
    }
    world.crash();
    world.start().await;
    world.run_for(5 * MINUTE).await;
    assert_eq!(statuses(&world), [200]);
    assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_a_person_gives_meanwhile_win() {
    for vendor_gives_one in [true, false] {
        let (world, connection, webhook) = renewing().await;
        if !vendor_gives_one {
            let refused = FaultRule { path: "/oauth/".to_owned(), ..FaultRule::always(Fault::Status { status: 400 }) };
            world.faults(vec![slow_tokens(), refused]);
            world.run_for(20 * MINUTE).await;
        }
        world.give_token(connection.id, "sandbox").await;
        world.run_for(5 * MINUTE).await;
        let held = world.credentials(connection.id).await;
        assert_eq!((held.token.as_deref(), held.access_token), (Some("sandbox"), None));
        assert!(is_let_in(&world));
        assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_old_refresh_token_does_not_count_against_new_credentials() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect_by_oauth().await;
    let refused = FaultRule { path: "/oauth/".to_owned(), ..FaultRule::always(Fault::Status { status: 400 }) };
    world.faults(vec![slow_tokens(), refused]);
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.until(MINUTE, "a renewal", |world| !world.calls_to("/oauth/token").is_empty()).await;
    world.run_for(SECOND).await;
    // By a row that nothing is made due by: as another process would.
    let donor = world.connect().await;
    let given = world.credentials(donor.id).await;
    world.seal_credentials(connection.id, &given).await;
    world.run_for(10 * SECOND).await;
    assert_eq!(world.feed_state(&webhook).await.health, FeedHealth::Healthy);
    assert!(is_let_in(&world), "the same poll went on with them");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_process_renews_is_left_to_it() {
    let world = World::new(Setup::default()).await;
    let connection = world.connect_by_oauth().await;
    let until = world.clock.now() + TimeDelta::seconds(40);
    world.change_connection(connection.id, |row| row.refreshing_until = Some(until)).await;
    world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(38 * SECOND).await;
    assert!(!world.calls_to("/v1/").is_empty() && statuses(&world).is_empty(), "{:?}", statuses(&world));
    world.run_for(30 * SECOND).await;
    assert_eq!(statuses(&world), [200], "the other one has died");
    // A claim from before our clock went back by a day.
    let world = World::new(Setup::default()).await;
    let connection = world.connect_by_oauth().await;
    let until = world.clock.now() + TimeDelta::days(1);
    world.change_connection(connection.id, |row| row.refreshing_until = Some(until)).await;
    world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(2 * MINUTE).await;
    assert_eq!(statuses(&world), [200]);
}
