use crate::world::{World, at};
use anyhook::store::{SHARDS, ShardId};
use std::collections::BTreeSet;

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
    for (until, expected) in [(10, 10), (5, 10), (20, 20)] {
        world.store.extend_pause(&bucket, at(until)).await.unwrap();
        assert_eq!(world.store.pause(&bucket).await.unwrap(), Some(at(expected)));
    }
    assert_eq!(world.store.pause("another").await.unwrap(), None);
}
