use super::*;
use crate::store::Fence;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Duties = (bool, bool);

fn node(number: u8, (polls, delivers): Duties) -> LiveNode {
    let duties = [(polls, Duty::Poll), (delivers, Duty::Deliver)];
    let duties = duties.into_iter().filter_map(|(does, duty)| does.then_some(duty)).collect();
    LiveNode { id: NodeId::from_bytes([number; 12]), duties }
}

fn nodes(nodes: &BTreeMap<u8, Duties>) -> Vec<LiveNode> {
    nodes.iter().map(|(number, duties)| node(*number, *duties)).collect()
}

fn some_nodes(at_least: usize) -> impl Strategy<Value = BTreeMap<u8, Duties>> {
    prop::collection::btree_map(any::<u8>(), any::<Duties>(), at_least..90)
}

/// Who holds what, and who lives.
#[derive(Debug, Default)]
struct Fleet {
    nodes: BTreeMap<u8, Duties>,
    held: BTreeMap<(Duty, ShardId), NodeId>,
    moves: usize,
}

impl Fleet {
    /// A node does what its plan says.
    fn beat(&mut self, number: u8) -> Plan {
        let id = node(number, (false, false)).id;
        let nodes = nodes(&self.nodes);
        let mut beat = Heartbeat { nodes, ..Heartbeat::default() };
        for duty in Duty::ALL {
            for shard in (0..SHARDS).map(ShardId) {
                match self.held.get(&(duty, shard)) {
                    Some(holder) if *holder == id => beat.held.push(Fence { duty, shard, epoch: 1 }),
                    Some(holder) if beat.nodes.iter().any(|live| live.id == *holder) => {}
                    _ => beat.free.push((duty, shard)),
                }
            }
        }
        let plan = plan(id, &beat, &BTreeSet::new());
        self.held.retain(|of, _| !plan.leaving.contains(of));
        self.held.extend(plan.taking.iter().map(|of| (*of, id)));
        self.moves += plan.leaving.len() + plan.taking.len();
        plan
    }

    /// All nodes beat in turn, often enough that all that is given away is taken.
    fn settle(&mut self) {
        for _ in 0..3 {
            for number in self.nodes.keys().copied().collect::<Vec<_>>() {
                self.beat(number);
            }
        }
    }

    fn of(&self, number: u8, duty: Duty) -> BTreeSet<ShardId> {
        let id = node(number, (false, false)).id;
        self.held.iter().filter(|(of, holder)| of.0 == duty && **holder == id).map(|(of, _)| of.1).collect()
    }
}

proptest! {
    #[test]
    fn shares_are_even_and_make_all_shards(some in some_nodes(0)) {
        let nodes = nodes(&some);
        for duty in Duty::ALL {
            let (takers, others): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.duties.contains(&duty));
            let shares: Vec<_> = takers.iter().map(|node| share(&nodes, duty, node.id)).collect();
            prop_assert!(others.iter().all(|node| share(&nodes, duty, node.id) == 0));
            if let (Some(least), Some(most)) = (shares.iter().min(), shares.iter().max()) {
                prop_assert_eq!(shares.iter().sum::<u16>(), SHARDS);
                prop_assert!(most - least <= 1);
            }
        }
    }

    #[test]
    fn a_node_that_comes_makes_no_other_share_greater(some in some_nodes(1), number in any::<u8>()) {
        prop_assume!(!some.contains_key(&number));
        let mut more = some.clone();
        more.insert(number, (true, true));
        let (before, after) = (nodes(&some), nodes(&more));
        for (duty, node) in Duty::ALL.into_iter().flat_map(|duty| before.iter().map(move |node| (duty, node))) {
            prop_assert!(share(&after, duty, node.id) <= share(&before, duty, node.id));
        }
    }

    #[test]
    fn whoever_comes_and_goes_all_shards_find_their_nodes_and_stay_there(
        steps in prop::collection::vec((any::<bool>(), 0..12u8, any::<Duties>(), any::<bool>()), 1..40),
    ) {
        let mut fleet = Fleet::default();
        for (comes, number, duties, settles) in steps {
            if comes { fleet.nodes.insert(number, duties); } else { fleet.nodes.remove(&number); }
            if settles { fleet.settle(); } else if fleet.nodes.contains_key(&number) { fleet.beat(number); }
        }
        fleet.settle();
        let live = nodes(&fleet.nodes);
        for (duty, (number, node)) in Duty::ALL.into_iter().flat_map(|duty| fleet.nodes.keys().zip(&live).map(move |of| (duty, of))) {
            prop_assert_eq!(fleet.of(*number, duty).len(), usize::from(share(&live, duty, node.id)));
        }
        fleet.moves = 0;
        fleet.settle();
        prop_assert_eq!(fleet.moves, 0, "nothing moves without a reason");
    }

    #[test]
    fn nodes_of_both_duties_hold_the_same_shards_and_no_more_move_than_need(count in 1..12u8, newcomer in any::<u8>()) {
        let mut fleet = Fleet::default();
        // They come one after the other, with room between their numbers.
        for number in (0..count).map(|number| number * 20 + 1) {
            fleet.nodes.insert(number, (true, true));
            fleet.settle();
        }
        prop_assume!(!fleet.nodes.contains_key(&newcomer));
        fleet.nodes.insert(newcomer, (true, true));
        fleet.moves = 0;
        fleet.settle();
        for number in fleet.nodes.keys() {
            prop_assert_eq!(fleet.of(*number, Duty::Poll), fleet.of(*number, Duty::Deliver));
        }
        // Each is given away once and taken once, for either duty.
        prop_assert_eq!(fleet.moves, 2 * 2 * fleet.of(newcomer, Duty::Poll).len());
    }
}
