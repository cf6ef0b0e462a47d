//! Several nodes over one store: each works on its share, and whoever comes or goes, nothing is lost or done twice at
//! once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod support;

use anyhook::limits::BudgetLimits;
use anyhook::store::*;
use chrono::TimeDelta;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::vendor::Call;
use support::{Setup, Subscription, World};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const BOTH: &[Duty] = &Duty::ALL;
/// Feeds and webhooks, each of a connection of its own.
const FEEDS: usize = 12;
/// As long as it takes until the shards of a node that has ended are worked on by others: a lease, and a heartbeat.
const TAKEN_WITHIN: Duration = Duration::from_secs(30 + 10);
/// As long as it takes until a node that has come has its share: a heartbeat of the others, what they have under way, and
/// one of its own.
const SHARED_WITHIN: Duration = Duration::from_secs(10 + 5 + 10);

fn name(feed: usize) -> String {
    format!("w{feed}")
}

/// A world of several nodes, with feeds that are polled every two seconds.
async fn fleet(setup: Setup) -> World {
    let world = World::without_engine(setup).await;
    for feed in 0..FEEDS {
        let connection = world.connect_by_host(&format!("customer-{feed}"), &format!("host-{feed}.test")).await;
        world.subscribe(&connection, Subscription::new(&name(feed)).every(2 * SECOND)).await;
    }
    world
}

fn shards(world: &World, node: usize, duty: Duty) -> BTreeSet<ShardId> {
    world.node(node).leases.shards(duty).into_iter().collect()
}

/// Fails unless these nodes hold all shards of both duties, evenly, each node the same ones of both.
fn assert_even(world: &World, nodes: &[usize]) {
    let mut all = BTreeMap::new();
    for node in nodes {
        let held = shards(world, *node, Duty::Poll);
        assert_eq!(held, shards(world, *node, Duty::Deliver), "the same shards of both duties");
        let fair = usize::from(SHARDS) / nodes.len();
        assert!((fair..=fair + 1).contains(&held.len()), "node {node} holds {}", held.len());
        for shard in held {
            assert_eq!(all.insert(shard, *node), None, "{shard:?} is held twice");
        }
    }
    assert_eq!(all.len(), usize::from(SHARDS));
}

fn is_even(world: &World, nodes: &[usize]) -> bool {
    let fair = usize::from(SHARDS) / nodes.len();
    let held = |node: usize, duty| world.node(node).leases.shards(duty).len();
    let total: usize = nodes.iter().map(|node| held(*node, Duty::Poll)).sum();
    total == usize::from(SHARDS) && nodes.iter().all(|node| Duty::ALL.iter().all(|duty| held(*node, *duty) >= fair))
}

/// Makes records, one after the other, and lets time pass until every webhook has been told of them all.
async fn create_and_see_all(world: &World, count: usize, over: Duration) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(world.create(json!({})));
        world.run_for(over / u32::try_from(count).unwrap()).await;
    }
    let told = |world: &World, feed| world.ids(&name(feed), "VIRTUAL").into_iter().collect::<BTreeSet<_>>();
    let made_all: BTreeSet<_> = made.iter().cloned().collect();
    let has_all = |world: &World| (0..FEEDS).all(|feed| made_all.is_subset(&told(world, feed)));
    world.until(2 * TAKEN_WITHIN, "every webhook is told of all", has_all).await;
    made
}

/// Fails where a webhook was told of records in another order than they were made in, repeats left out.
fn assert_in_order(world: &World, made: &[String]) {
    for feed in 0..FEEDS {
        let mut seen = BTreeSet::new();
        let told: Vec<_> = world.ids(&name(feed), "VIRTUAL").into_iter().filter(|id| seen.insert(id.clone())).collect();
        let told: Vec<_> = told.into_iter().filter(|id| made.contains(id)).collect();
        assert_eq!(told, made, "{}", name(feed));
    }
}

/// Fails where a webhook was told of something more than once.
fn assert_no_repeats(world: &World) {
    for feed in 0..FEEDS {
        let told = world.ids(&name(feed), "VIRTUAL");
        assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "{}", name(feed));
    }
}

/// What was asked for a feed.
fn calls_of(world: &World, feed: usize) -> Vec<Call> {
    let mut calls = world.calls_to("/");
    calls.retain(|call| call.host == format!("host-{feed}.test"));
    calls
}

/// Fails where two nodes asked for a feed at once, or it went to and fro between them.
fn assert_polled_by_one_at_a_time(world: &World, moves_max: usize) {
    for feed in 0..FEEDS {
        let calls = calls_of(world, feed);
        assert!(calls.len() > 10, "it is polled");
        for pair in calls.windows(2).filter(|pair| pair[0].engine != pair[1].engine) {
            let ended_at = pair[0].answered_at.unwrap_or(pair[0].until);
            assert!(ended_at <= pair[1].sent_at, "two nodes asked at once: {pair:?}");
        }
        let mut by: Vec<_> = calls.iter().map(|call| call.engine).collect();
        by.dedup();
        assert!(by.len() <= moves_max + 1, "{}: {by:?}", name(feed));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_node_that_ended_worked_on_is_taken_over_and_nothing_is_lost() {
    let mut world = fleet(Setup::default()).await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(world.add_node(BOTH, TimeDelta::zero()).await);
    }
    world.until(3 * SHARED_WITHIN, "the nodes have their shares", |world| is_even(world, &nodes)).await;
    assert_even(&world, &nodes);
    let mut made = create_and_see_all(&world, 20, 20 * SECOND).await;

    let gone = nodes.remove(1);
    let (began, survivors) = (Instant::now(), nodes.clone());
    world.crash_node(gone);
    let taken = create_and_see_all(&world, 30, TAKEN_WITHIN);
    made.extend(taken.await);
    assert_even(&world, &survivors);
    assert_in_order(&world, &made);
    assert_polled_by_one_at_a_time(&world, 3);
    for feed in 0..FEEDS {
        let later: Vec<_> = calls_of(&world, feed).iter().map(|call| call.sent_at).filter(|at| *at > began).collect();
        let longest = later.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap().max(later[0] - began);
        assert!(longest <= TAKEN_WITHIN + 5 * SECOND, "{} was not polled for {longest:?}", name(feed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_is_handed_its_share_and_one_that_stops_gives_it_back() {
    let mut world = fleet(Setup::default()).await;
    let first = world.add_node(BOTH, TimeDelta::zero()).await;
    assert_even(&world, &[first]);
    let mut made = create_and_see_all(&world, 10, 10 * SECOND).await;
    let second = world.add_node(BOTH, TimeDelta::zero()).await;
    let joined = Instant::now();
    made.extend(create_and_see_all(&world, 25, SHARED_WITHIN).await);
    assert!(joined.elapsed() <= SHARED_WITHIN + 5 * SECOND);
    assert_even(&world, &[first, second]);
    let (of_first, of_second) = (shards(&world, first, Duty::Poll), shards(&world, second, Duty::Poll));
    made.extend(create_and_see_all(&world, 60, 60 * SECOND).await);
    assert_eq!(
        (shards(&world, first, Duty::Poll), shards(&world, second, Duty::Poll)),
        (of_first, of_second),
        "no more moves"
    );
    world.stop_node(first).await;
    world.until(11 * SECOND, "what it gave back is taken", |world| is_even(world, &[second])).await;
    made.extend(create_and_see_all(&world, 20, 20 * SECOND).await);
    assert_even(&world, &[second]);
    assert_in_order(&world, &made);
    assert_no_repeats(&world);
    assert_polled_by_one_at_a_time(&world, 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_behind_its_page_where_its_shard_is_to_go_to_another_node() {
    let mut world = fleet(Setup { page_max: 1, latency_ms_max: 1_000, ..Setup::default() }).await;
    let first = world.add_node(BOTH, TimeDelta::zero()).await;
    world.run_for(10 * SECOND).await;
    world.create_many(60);
    world.run_for(10 * SECOND).await;
    world.add_node(BOTH, TimeDelta::zero()).await;
    let leaves = |world: &World| shards(world, first, Duty::Poll).len() < usize::from(SHARDS);
    world.until(SHARED_WITHIN, "the first gives shards away", leaves).await;
    // A page takes two seconds at most, and a run about a minute.
    let stays = shards(&world, first, Duty::Poll);
    let is_given = |world: &World| {
        let holds = |shard| world.disk.holdings.holds(first, Duty::Poll, shard, Instant::now());
        !(0..SHARDS).map(ShardId).any(|shard| !stays.contains(&shard) && holds(shard))
    };
    world.until(5 * SECOND, "they are given away", is_given).await;
    let told = |world: &World| (0..FEEDS).all(|feed| world.ids(&name(feed), "VIRTUAL").len() >= 60);
    world.until(10 * TAKEN_WITHIN, "every webhook is told of all", told).await;
    assert_polled_by_one_at_a_time(&world, 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_clock_is_ahead_takes_nothing_from_the_living() {
    let mut world = fleet(Setup::default()).await;
    world.disk.clock.set(world.clock.clone()).unwrap();
    let first = world.add_node(BOTH, TimeDelta::zero()).await;
    let second = world.add_node(BOTH, TimeDelta::minutes(7)).await;
    assert_even(&world, &[first]);
    let off = world.node(second).clock.now() - world.clock.now();
    assert!(off.abs() < TimeDelta::seconds(1), "it shows the store's time: {off}");
    let made = create_and_see_all(&world, 60, 60 * SECOND).await;
    assert_even(&world, &[first, second]);
    assert_in_order(&world, &made);
    assert_no_repeats(&world);
    assert_polled_by_one_at_a_time(&world, 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_renew_its_leases_starts_nothing_and_goes_on_once_it_can() {
    let mut world = fleet(Setup::default()).await;
    let node = world.add_node(BOTH, TimeDelta::zero()).await;
    let mut made = create_and_see_all(&world, 5, 10 * SECOND).await;
    world.cut_off(node, true);
    world.run_for(31 * SECOND).await;
    assert_eq!(world.node(node).leases.share(Duty::Poll), (0, SHARDS));
    let (polls, deliveries) = (world.polls(), world.inbox.lock().unwrap().deliveries.len());
    made.push(world.create(json!({})));
    world.run_for(60 * SECOND).await;
    assert_eq!((world.polls(), world.inbox.lock().unwrap().deliveries.len()), (polls, deliveries));
    world.cut_off(node, false);
    made.extend(create_and_see_all(&world, 5, 10 * SECOND).await);
    assert_even(&world, &[node]);
    assert_in_order(&world, &made);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_would_not_end_within_the_lease_does_not_begin() {
    let mut world = fleet(Setup::default()).await;
    let node = world.add_node(BOTH, TimeDelta::zero()).await;
    create_and_see_all(&world, 3, 6 * SECOND).await;
    world.cut_off(node, true);
    let deadline = TimeDelta::milliseconds(world.node(node).limits.deliver.attempt_deadline_ms.try_into().unwrap());
    let shard = shards(&world, node, Duty::Deliver).first().copied().unwrap();
    let ends_at = world.node(node).leases.lease(Duty::Deliver, shard).unwrap().expires_at;
    world.until(2 * TAKEN_WITHIN, "the lease ends soon", |world| world.clock.now() > ends_at - deadline).await;
    let (polls, deliveries) = (world.polls(), world.inbox.lock().unwrap().deliveries.len());
    let made = world.create(json!({}));
    world.run_for(10 * SECOND).await;
    assert!(world.polls() >= polls + FEEDS, "it is polled still");
    assert_eq!(world.inbox.lock().unwrap().deliveries.len(), deliveries, "nobody is sent {made}");
    world.cut_off(node, false);
    create_and_see_all(&world, 1, 10 * SECOND).await;
    assert!(world.ids(&name(0), "VIRTUAL").contains(&made));
}

#[tokio::test(start_paused = true)]
async fn nodes_may_poll_or_deliver_alone() {
    let mut world = fleet(Setup::default()).await;
    let poller = world.add_node(&[Duty::Poll], TimeDelta::zero()).await;
    world.run_for(10 * SECOND).await;
    world.create(json!({}));
    world.run_for(10 * SECOND).await;
    assert!(world.polls() > FEEDS && world.inbox.lock().unwrap().deliveries.is_empty(), "nobody delivers yet");
    let sender = world.add_node(&[Duty::Deliver], TimeDelta::zero()).await;
    let made = create_and_see_all(&world, 10, 10 * SECOND).await;
    assert_in_order(&world, &made);
    let held = |node, duty| world.node(node).leases.share(duty).0;
    assert_eq!((held(poller, Duty::Poll), held(poller, Duty::Deliver)), (SHARDS, 0));
    assert_eq!((held(sender, Duty::Poll), held(sender, Duty::Deliver)), (0, SHARDS));
    assert!(world.calls_to("/").iter().all(|call| call.engine == poller));
}

/// Feeds that are polled every second over one host, of whose app quota of 20 requests in 10 seconds they want more.
async fn fleet_with_app_quota() -> World {
    let mut setup = Setup::default();
    let budget = BudgetLimits { app_requests: Some(20), app_per_ms: Some(10_000), ..BudgetLimits::default() };
    setup.limits.poll.budgets.insert("sandbox".to_owned(), budget);
    let world = World::without_engine(setup).await;
    for feed in 0..FEEDS {
        let connection = world.connect_by_host(&format!("customer-{feed}"), "vendor.test").await;
        world.subscribe(&connection, Subscription::new(&name(feed)).every(SECOND)).await;
    }
    world
}

#[tokio::test(start_paused = true)]
async fn an_apps_quota_holds_over_all_nodes() {
    let mut world = fleet_with_app_quota().await;
    let mut nodes = vec![world.add_node(BOTH, TimeDelta::zero()).await];
    world.run_for(60 * SECOND).await;
    for _ in 0..2 {
        nodes.push(world.add_node(BOTH, TimeDelta::zero()).await);
        world.run_for(2 * SHARED_WITHIN).await;
    }
    world.stop_node(nodes[0]).await;
    world.run_for(60 * SECOND).await;
    let mut sent: Vec<_> = world.calls_to("/").iter().map(|call| call.sent_at).collect();
    sent.sort();
    // What is there at once, and what is refilled in the time.
    for (at, first) in sent.iter().enumerate() {
        let count = sent[at..].iter().take_while(|later| **later < *first + 10 * SECOND).count();
        assert!(count <= 40, "{count} requests in ten seconds");
    }
    let last = sent.last().unwrap();
    let lately = sent.iter().filter(|at| **at > *last - 30 * SECOND).count();
    assert!((50..=64).contains(&lately), "all of the quota is used: {lately} in 30 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_one_node_keeps_holds_for_all() {
    let mut world = fleet_with_app_quota().await;
    let nodes = [world.add_node(BOTH, TimeDelta::zero()).await, world.add_node(BOTH, TimeDelta::zero()).await];
    world.until(2 * SHARED_WITHIN, "the nodes have their shares", |world| is_even(world, &nodes)).await;
    world.run_for(20 * SECOND).await;
    let pause = Pause::starting(world.clock.now(), 60 * SECOND);
    world.disk.store.extend_pause("sandbox:app:vendor.test", pause).await.unwrap();
    world.run_for(2 * SECOND).await;
    let before = world.calls_to("/").len();
    world.run_for(57 * SECOND).await;
    assert_eq!(world.calls_to("/").len(), before);
    world.run_for(30 * SECOND).await;
    assert!(world.calls_to("/").len() > before + 20, "it goes on then");
}
