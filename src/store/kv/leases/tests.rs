//! Leases where calls come late.

use super::*;
use crate::limits::StoreLimits;
use crate::store::kv::engine::MemoryEngine;
use std::time::Duration;

const TTL_MS: u64 = 30_000;

fn beat(txn: &mut Txn<'_>, node: NodeId, now: DateTime<Utc>) -> Heartbeat {
    let life = Life { duties: Duty::ALL.to_vec(), until: later(now, TTL_MS), ttl_ms: TTL_MS };
    heartbeat(txn, node, life, now).unwrap()
}

#[test]
fn what_waited_for_long_takes_nothing_from_those_who_have_told_since_that_they_live() {
    let (engine, limits) = (MemoryEngine::default(), StoreLimits::default());
    let (alive, late) = (NodeId::from_bytes([1; 12]), NodeId::from_bytes([2; 12]));
    let shards = BTreeSet::from([(Duty::Poll, ShardId(3))]);
    let mut txn = Txn::new(&engine, &limits);
    let asked = DateTime::UNIX_EPOCH;
    let now = later(asked, 2 * TTL_MS + 1);
    beat(&mut txn, alive, now);
    let fences = take(&mut txn, alive, &shards, now).unwrap();

    txn.set_waited(Duration::from_millis(2 * TTL_MS + 1));
    let now = at_last(&txn, asked);
    let nodes: Vec<_> = beat(&mut txn, late, now).nodes.into_iter().map(|node| node.id).collect();
    assert_eq!(nodes, [alive, late]);
    assert_eq!(take(&mut txn, late, &shards, now).unwrap(), []);
    assert_eq!(check(&txn, fences[0]), Ok(()));
}
