//! Which shards a node should hold: its even share of those there are. Pure.
//!
//! All nodes that live and take a duty are in the order of their ids; each one's share is the number of shards over that
//! of the nodes, and one more for the first of them where that leaves a rest. Whether a node comes or goes, and wherever
//! in the order, no share of another changes against the direction of the change: so nothing moves that need not.

use crate::ids::NodeId;
use crate::store::{Duty, Heartbeat, LiveNode, SHARDS, ShardId};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What a node should do about its shards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Those of its own that it is to give away.
    pub leaving: BTreeSet<(Duty, ShardId)>,
    /// Free ones that it is to take.
    pub taking: BTreeSet<(Duty, ShardId)>,
    /// Whether its share is more than it holds and can take.
    pub is_short: bool,
}

/// Where a node stands among those that take a duty, and how many they are.
fn rank(nodes: &[LiveNode], duty: Duty, node: NodeId) -> Option<(u16, u16)> {
    let takers = nodes.iter().filter(|live| live.duties.contains(&duty));
    let before = takers.clone().filter(|live| live.id < node).count();
    takers.clone().find(|live| live.id == node)?;
    Some((u16::try_from(before).ok()?, u16::try_from(takers.count()).ok()?))
}

/// How many shards a node should hold for a duty.
pub fn share(nodes: &[LiveNode], duty: Duty, node: NodeId) -> u16 {
    let Some((rank, count)) = rank(nodes, duty, node) else { return 0 };
    SHARDS / count + u16::from(rank < SHARDS % count)
}

/// What a node should do, as things stand. What `was_leaving` goes on leaving first. Shards are chosen such that those
/// of both duties are the same ones where they can be.
pub fn plan(node: NodeId, beat: &Heartbeat, was_leaving: &BTreeSet<(Duty, ShardId)>) -> Plan {
    let held: BTreeSet<_> = beat.held.iter().map(|fence| (fence.duty, fence.shard)).collect();
    let free: BTreeSet<_> = beat.free.iter().copied().collect();
    let mut plan = Plan::default();
    for duty in Duty::ALL {
        let own: Vec<_> = held.iter().copied().filter(|(of, _)| *of == duty).collect();
        let want = usize::from(share(&beat.nodes, duty, node));
        if own.len() > want {
            let mut surplus = own.clone();
            surplus.sort_by_key(|(_, shard)| {
                let beside = (other(duty), *shard);
                let stays_beside = held.contains(&beside) && !plan.leaving.contains(&beside);
                (!was_leaving.contains(&(duty, *shard)), stays_beside, Reverse(*shard))
            });
            plan.leaving.extend(surplus.into_iter().take(own.len() - want));
            continue;
        }
        let (rank, count) = rank(&beat.nodes, duty, node).unwrap_or((0, 1));
        // Nodes that look at the same time begin at different places, so that they want other ones.
        let from = usize::from(SHARDS) * usize::from(rank) / usize::from(count);
        let mut wanted: Vec<_> = free.iter().copied().filter(|(of, _)| *of == duty).collect();
        wanted.sort_by_key(|(_, shard)| {
            let beside = (other(duty), *shard);
            let has_beside = held.contains(&beside) && !plan.leaving.contains(&beside) || plan.taking.contains(&beside);
            let place = (usize::from(shard.0) + usize::from(SHARDS) - from) % usize::from(SHARDS);
            (!has_beside, !free.contains(&beside), place)
        });
        let missing = want - own.len();
        plan.is_short |= wanted.len() < missing;
        plan.taking.extend(wanted.into_iter().take(missing));
    }
    plan
}

fn other(duty: Duty) -> Duty {
    match duty {
        Duty::Poll => Duty::Deliver,
        Duty::Deliver => Duty::Poll,
    }
}

#[cfg(test)]
mod tests;
