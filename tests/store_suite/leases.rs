use crate::world::{World, at};
use anyhook::ids::NodeId;
use anyhook::store::{Duty, Fence, Heartbeat, Pause, SHARDS, ShardId, StoreError};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::time::Duration;

// Leases belong to the whole store: each test wants one of its own.

const TTL_MS: u64 = 10_000;

/// Some shards of both duties.
fn some(shards: std::ops::Range<u16>) -> Vec<(Duty, ShardId)> {
    Duty::ALL.into_iter().flat_map(|duty| shards.clone().map(move |shard| (duty, ShardId(shard)))).collect()
}

async fn beat(world: &World, node: NodeId, now: DateTime<Utc>) -> Heartbeat {
    world.store.heartbeat(node, &Duty::ALL, now, TTL_MS).await.unwrap()
}

async fn take(world: &World, node: NodeId, shards: std::ops::Range<u16>, now: DateTime<Utc>) -> Vec<Fence> {
    world.store.take_shards(node, &some(shards), now).await.unwrap()
}

fn names(fences: &[Fence]) -> BTreeSet<(Duty, ShardId)> {
    fences.iter().map(|fence| (fence.duty, fence.shard)).collect()
}

pub(crate) async fn a_heartbeat_renews_all_that_a_node_holds(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    assert_eq!(beat(world, one, at(0)).await.free.len(), 2 * usize::from(SHARDS));
    let taken = take(world, one, 0..40, at(0)).await;
    assert_eq!(names(&taken), some(0..40).into_iter().collect());
    for seconds in [9, 18, 27] {
        assert_eq!(beat(world, one, at(seconds)).await.held, taken, "what is renewed keeps its epochs");
        let seen = beat(world, other, at(seconds)).await;
        assert_eq!((seen.held, seen.free.len()), (vec![], 48));
    }
}

pub(crate) async fn a_heartbeat_names_the_nodes_that_live(world: &World) {
    let mut nodes = [world.node_id(), world.node_id(), world.node_id()];
    nodes.sort();
    let [one, other, gone] = nodes;
    world.store.heartbeat(gone, &[Duty::Poll], at(0), TTL_MS).await.unwrap();
    world.store.heartbeat(other, &[Duty::Deliver], at(5), TTL_MS).await.unwrap();
    let seen = |beat: Heartbeat| beat.nodes.into_iter().map(|node| (node.id, node.duties)).collect::<Vec<_>>();
    let both = vec![Duty::Poll, Duty::Deliver];
    let all = vec![(one, both.clone()), (other, vec![Duty::Deliver]), (gone, vec![Duty::Poll])];
    assert_eq!(seen(beat(world, one, at(9)).await), all);
    assert_eq!(seen(beat(world, one, at(11)).await), [(one, both.clone()), (other, vec![Duty::Deliver])]);
    world.store.leave(other).await.unwrap();
    assert_eq!(seen(beat(world, one, at(12)).await), [(one, both)]);
}

pub(crate) async fn a_shard_of_the_living_is_not_taken(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    beat(world, one, at(0)).await;
    beat(world, other, at(0)).await;
    let held = take(world, one, 0..40, at(0)).await;
    assert_eq!(names(&take(world, other, 30..50, at(9)).await), some(40..50).into_iter().collect());
    assert_eq!(take(world, one, 0..40, at(9)).await, held, "what it holds itself it keeps");
}

pub(crate) async fn duties_are_held_on_their_own(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    beat(world, one, at(0)).await;
    beat(world, other, at(0)).await;
    let poll = world.store.take_shards(one, &[(Duty::Poll, ShardId(3))], at(0)).await.unwrap();
    let both = world.store.take_shards(other, &some(3..4), at(0)).await.unwrap();
    assert_eq!((names(&poll).len(), names(&both)), (1, BTreeSet::from([(Duty::Deliver, ShardId(3))])));
}

pub(crate) async fn what_a_dead_node_held_begins_a_new_epoch(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    beat(world, one, at(0)).await;
    let held = take(world, one, 0..SHARDS, at(0)).await;
    // A call counts from when it is carried out, which is a moment later.
    let free = beat(world, other, at(11)).await.free;
    assert_eq!(free.len(), held.len());
    let taken = take(world, other, 0..SHARDS, at(11)).await;
    for (before, after) in held.iter().zip(&taken) {
        assert!(names(&[*after]) == names(&[*before]) && after.epoch > before.epoch);
    }
    assert_eq!(beat(world, one, at(12)).await.held, []);
}

pub(crate) async fn what_nobody_took_from_the_dead_is_still_theirs(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    beat(world, one, at(0)).await;
    let held = take(world, one, 0..2, at(0)).await;
    beat(world, other, at(100)).await;
    take(world, other, 1..2, at(100)).await;
    let again = beat(world, one, at(101)).await.held;
    assert_eq!(again, held.into_iter().filter(|fence| fence.shard == ShardId(0)).collect::<Vec<_>>());
    assert_eq!(take(world, other, 0..1, at(101)).await, [], "it lives again");
}

pub(crate) async fn what_is_given_back_is_free_and_its_epoch_has_ended(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    let webhook = world.webhook().await;
    let shard = (Duty::Poll, webhook.shard);
    beat(world, one, at(0)).await;
    let held = world.store.take_shards(one, &[shard], at(0)).await.unwrap();
    let commit = world.page_commit(&webhook, held[0]).await;
    world.store.commit_page(commit.clone()).await.unwrap();
    world.store.give_shards(&held).await.unwrap();
    assert_eq!(world.store.commit_page(commit).await, Err(StoreError::Fenced(held[0])));
    assert!(beat(world, other, at(1)).await.free.contains(&shard));
    let taken = world.store.take_shards(other, &[shard], at(1)).await.unwrap();
    assert!(taken[0].epoch > held[0].epoch);
    world.store.give_shards(&held).await.unwrap();
    assert_eq!(beat(world, other, at(2)).await.held, taken, "what has passed to another is left alone");
}

pub(crate) async fn a_node_that_leaves_gives_all_back(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    beat(world, one, at(0)).await;
    let held = take(world, one, 0..SHARDS, at(0)).await;
    world.store.leave(one).await.unwrap();
    let taken = take(world, other, 0..SHARDS, at(1)).await;
    assert_eq!(names(&taken), names(&held));
    assert!(held.iter().zip(&taken).all(|(before, after)| after.epoch > before.epoch));
}

pub(crate) async fn nobody_lives_by_a_clock_that_has_gone_back(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    beat(world, one, at(86_400)).await;
    take(world, one, 0..1, at(86_400)).await;
    let seen = beat(world, other, at(0)).await;
    assert_eq!((seen.nodes.len(), seen.free.len()), (1, 2 * usize::from(SHARDS)));
    assert_eq!(take(world, other, 0..1, at(0)).await.len(), 2);
    beat(world, one, at(0)).await;
    assert_eq!(beat(world, other, at(0)).await.nodes.len(), 2, "who tells it anew lives");
}

pub(crate) async fn pauses_are_only_extended(world: &World) {
    let bucket = format!("github/{}", world.job_id());
    assert_eq!(world.store.pause(&bucket).await.unwrap(), None);
    let pause = |from, seconds| Pause::starting(at(from), Duration::from_secs(seconds));
    for (new, expected) in [((0, 10), (0, 10)), ((2, 3), (0, 10)), ((5, 15), (5, 15)), ((6, 14), (5, 15))] {
        world.store.extend_pause(&bucket, pause(new.0, new.1)).await.unwrap();
        assert_eq!(world.store.pause(&bucket).await.unwrap(), Some(pause(expected.0, expected.1)));
    }
    assert_eq!(world.store.pause("another").await.unwrap(), None);
}

pub(crate) async fn a_pause_is_no_longer_than_it_was_when_the_clock_has_gone_back(world: &World) {
    let bucket = format!("github/{}", world.job_id());
    let seconds = Duration::from_secs;
    world.store.extend_pause(&bucket, Pause::starting(at(50_000), seconds(30))).await.unwrap();
    let kept = world.store.pause(&bucket).await.unwrap().unwrap();
    assert_eq!(
        (kept.left(at(50_010)), kept.left(at(0)), kept.left(at(60_000))),
        (seconds(20), seconds(30), seconds(0))
    );
    let new = Pause::starting(at(0), seconds(900));
    world.store.extend_pause(&bucket, new).await.unwrap();
    assert_eq!(world.store.pause(&bucket).await.unwrap(), Some(new), "what is left of it is more");
}
