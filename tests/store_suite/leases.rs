use crate::world::{World, at};
use anyhook::store::{Pause, SHARDS, ShardId};
use std::collections::BTreeSet;
use std::time::Duration;

// Leases belong to the whole store: each test goes on from whoever holds what.

pub(crate) async fn a_held_shard_is_not_taken(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    let held = world.store.hold_shards(one, at(0), 10_000, 40).await.unwrap();
    assert_eq!(held.len(), 40);
    assert!(held.iter().all(|lease| lease.expires_at == at(10)));
    let rest = world.store.hold_shards(other, at(9), 10_000, SHARDS).await.unwrap();
    assert_eq!(rest.len(), 24);
    let shards =
        |leases: &[anyhook::store::Lease]| leases.iter().map(|lease| lease.fence.shard).collect::<BTreeSet<_>>();
    assert!(shards(&held).is_disjoint(&shards(&rest)));
    let renewed = world.store.hold_shards(one, at(9), 10_000, 40).await.unwrap();
    assert!(held.iter().zip(&renewed).all(|(before, after)| before.fence == after.fence), "renewing keeps the epoch");
    assert!(renewed.iter().all(|lease| lease.expires_at == at(19)));
}

pub(crate) async fn a_shard_taken_over_begins_a_new_epoch(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    let held = world.store.hold_shards(one, at(0), 10_000, SHARDS).await.unwrap();
    let taken = world.store.hold_shards(other, at(10), 10_000, SHARDS).await.unwrap();
    assert_eq!(taken.len(), usize::from(SHARDS));
    for (before, after) in held.iter().zip(&taken) {
        assert!(after.fence.shard == before.fence.shard && after.fence.epoch > before.fence.epoch);
    }
    assert_eq!(world.store.hold_shards(one, at(11), 10_000, SHARDS).await.unwrap(), []);
}

pub(crate) async fn surplus_is_released(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    world.store.hold_shards(one, at(0), 10_000, SHARDS).await.unwrap();
    assert_eq!(world.store.hold_shards(one, at(1), 10_000, 10).await.unwrap().len(), 10);
    assert_eq!(world.store.hold_shards(other, at(1), 10_000, SHARDS).await.unwrap().len(), 54);
}

pub(crate) async fn released_shards_are_free(world: &World) {
    let (one, other) = (world.node_id(), world.node_id());
    let held = world.store.hold_shards(one, at(0), 10_000, SHARDS).await.unwrap();
    world.store.release_shards(one).await.unwrap();
    let taken = world.store.hold_shards(other, at(1), 10_000, SHARDS).await.unwrap();
    assert_eq!(taken.len(), usize::from(SHARDS));
    let (before, after) = (held[5].fence, taken[5].fence);
    assert!(before.shard == ShardId(5) && after.epoch > before.epoch);
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
