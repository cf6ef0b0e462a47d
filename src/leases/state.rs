//! What a node knows of its shards between two heartbeats.

use super::Lease;
use crate::clock::Clock;
use crate::store::{Duty, Fence, ShardId};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// The end of a node's life, unless it is renewed. Neither clock alone would do: one may be put back, the other may stand
/// still while a machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    pub(super) instant: Instant,
    pub(super) at: DateTime<Utc>,
}

/// A shard that the store says is ours.
#[derive(Debug)]
struct Held {
    epoch: u64,
    term: u64,
    in_flight: Arc<()>,
    /// When it is given away at the latest; none while it is worked on.
    leaving_by: Option<Instant>,
}

/// What a node holds.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) until: Option<Until>,
    /// Whether it is to hold more than it could take.
    pub(super) is_short: bool,
    held: BTreeMap<(Duty, ShardId), Held>,
    terms: u64,
}

impl State {
    /// True where nothing is ours any more, for all that we know.
    pub(super) fn is_over(&self, clock: &Clock) -> bool {
        self.until.is_none_or(|until| Instant::now() >= until.instant || clock.now() >= until.at)
    }

    /// The lease of what is worked on.
    pub(super) fn lease(&self, duty: Duty, shard: ShardId) -> Option<Lease> {
        let held = self.held.get(&(duty, shard)).filter(|held| held.leaving_by.is_none())?;
        Some(Lease {
            fence: Fence { duty, shard, epoch: held.epoch },
            term: held.term,
            expires_at: self.until?.at,
            _in_flight: held.in_flight.clone(),
        })
    }

    /// What is worked on, in order.
    pub(super) fn shards(&self, duty: Duty) -> impl Iterator<Item = ShardId> {
        let worked_on = move |(of, held): (&(Duty, ShardId), &Held)| of.0 == duty && held.leaving_by.is_none();
        self.held.iter().filter(move |(of, held)| worked_on((of, held))).map(|((_, shard), _)| *shard)
    }

    /// Takes in all that the store says is ours. Answers whether that changes what is worked on.
    pub(super) fn reconcile(&mut self, fences: &[Fence], has_lapsed: bool) -> bool {
        let before = self.held.len();
        let ours: BTreeSet<_> = fences.iter().collect();
        self.held.retain(|(duty, shard), held| ours.contains(&Fence { duty: *duty, shard: *shard, epoch: held.epoch }));
        let mut is_changed = has_lapsed || self.held.len() != before;
        if has_lapsed {
            let term = self.next_term();
            self.held.values_mut().for_each(|held| held.term = term);
        }
        for fence in fences {
            is_changed |= self.add(*fence);
        }
        is_changed
    }

    /// Takes in a shard. Answers whether it is new.
    pub(super) fn add(&mut self, fence: Fence) -> bool {
        let key = (fence.duty, fence.shard);
        if self.held.get(&key).is_some_and(|held| held.epoch == fence.epoch) {
            return false;
        }
        let term = self.next_term();
        self.held.insert(key, Held { epoch: fence.epoch, term, in_flight: Arc::default(), leaving_by: None });
        true
    }

    /// Forgets a shard. Answers whether it was there.
    pub(super) fn remove(&mut self, fence: Fence) -> bool {
        let key = (fence.duty, fence.shard);
        let is_there = self.held.get(&key).is_some_and(|held| held.epoch == fence.epoch);
        is_there && self.held.remove(&key).is_some()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.until = None;
    }

    /// What is to be given away.
    pub(super) fn leaving(&self) -> BTreeSet<(Duty, ShardId)> {
        self.held.iter().filter(|(_, held)| held.leaving_by.is_some()).map(|(of, _)| *of).collect()
    }

    /// Shows no longer what is to be given away, by then at the latest, and again what is to stay after all. Answers
    /// whether that changes anything.
    pub(super) fn set_leaving(&mut self, leaving: &BTreeSet<(Duty, ShardId)>, by: Instant) -> bool {
        let term = self.next_term();
        let mut is_changed = false;
        for (of, held) in &mut self.held {
            let leaves = leaving.contains(of);
            if leaves != held.leaving_by.is_some() {
                (held.leaving_by, held.term) = (leaves.then_some(by), term);
                is_changed = true;
            }
        }
        is_changed
    }

    /// What can be given back now: nobody works on it any more, or they have had the time to end.
    pub(super) fn left(&self, now: Instant) -> Vec<Fence> {
        let is_left = |held: &Held| {
            // A lease of what leaves is given out no more, so that the count only falls.
            held.leaving_by.is_some_and(|by| by <= now || Arc::strong_count(&held.in_flight) == 1)
        };
        let left = self.held.iter().filter(|(_, held)| is_left(held));
        left.map(|((duty, shard), held)| Fence { duty: *duty, shard: *shard, epoch: held.epoch }).collect()
    }

    fn next_term(&mut self) -> u64 {
        self.terms += 1;
        self.terms
    }
}
