//! Who holds which shard when, as the store answered it.

use anyhook::store::{Duty, Fence, ShardId};
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::time::Instant;

/// That an engine holds a shard, in an epoch, from then until then.
#[derive(Debug, Clone, Copy)]
struct Holding {
    engine: usize,
    epoch: u64,
    from: Instant,
    until: Option<Instant>,
    /// It ended because its time was over, and another engine took the shard.
    is_taken: bool,
}

/// Who held what.
#[derive(Debug, Default)]
pub struct Holdings {
    shards: Mutex<HashMap<(Duty, ShardId), Vec<Holding>>>,
    /// What was written by engines whose lease had ended.
    strays: Mutex<Vec<(usize, Fence)>>,
}

impl Holdings {
    /// An engine holds these now; whoever held them before does not any more.
    pub fn taken(&self, engine: usize, fences: &[Fence]) {
        let mut shards = self.shards.lock().unwrap();
        for fence in fences {
            let of_shard = shards.entry((fence.duty, fence.shard)).or_default();
            if of_shard.last().is_none_or(|last| last.epoch != fence.epoch) {
                if let Some(last) = of_shard.last_mut() {
                    last.is_taken = last.until.is_none();
                }
                end(of_shard);
                let (epoch, from) = (fence.epoch, Instant::now());
                of_shard.push(Holding { engine, epoch, from, until: None, is_taken: false });
            }
        }
    }

    /// These are held no more, unless they were taken since.
    pub fn given(&self, fences: &[Fence]) {
        let mut shards = self.shards.lock().unwrap();
        for fence in fences {
            let of_shard = shards.entry((fence.duty, fence.shard)).or_default();
            if of_shard.last().is_some_and(|last| last.epoch == fence.epoch) {
                end(of_shard);
            }
        }
    }

    /// An engine holds nothing any more.
    pub fn left(&self, engine: usize) {
        for of_shard in self.shards.lock().unwrap().values_mut() {
            if of_shard.last().is_some_and(|last| last.engine == engine) {
                end(of_shard);
            }
        }
    }

    /// Whether a lease has not ended.
    pub fn is_held(&self, fence: Fence) -> bool {
        let shards = self.shards.lock().unwrap();
        let last = shards.get(&(fence.duty, fence.shard)).and_then(|of_shard| of_shard.last());
        last.is_some_and(|last| last.epoch == fence.epoch && last.until.is_none())
    }

    /// An engine has written by a lease that had ended.
    pub fn note_stray(&self, engine: usize, fence: Fence) {
        self.strays.lock().unwrap().push((engine, fence));
    }

    /// What was written by leases that had ended: the number of the engine, and what it showed.
    pub fn strays(&self) -> Vec<(usize, Fence)> {
        self.strays.lock().unwrap().clone()
    }

    /// Whether an engine held a shard then.
    pub fn holds(&self, engine: usize, duty: Duty, shard: ShardId, at: Instant) -> bool {
        self.holding(engine, duty, shard, at).is_some()
    }

    /// Whether a shard that an engine held then was taken by another, since the lease was over.
    pub fn is_taken(&self, engine: usize, duty: Duty, shard: ShardId, at: Instant) -> bool {
        self.holding(engine, duty, shard, at).is_some_and(|held| held.is_taken)
    }

    fn holding(&self, engine: usize, duty: Duty, shard: ShardId, at: Instant) -> Option<Holding> {
        let shards = self.shards.lock().unwrap();
        let covers = |one: &&Holding| one.from <= at && one.until.is_none_or(|until| at <= until);
        shards.get(&(duty, shard))?.iter().filter(|one| one.engine == engine).find(covers).copied()
    }
}

fn end(of_shard: &mut [Holding]) {
    if let Some(last) = of_shard.last_mut() {
        last.until.get_or_insert_with(Instant::now);
    }
}
