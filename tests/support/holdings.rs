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
}

/// Who held what.
#[derive(Debug, Default)]
pub struct Holdings(Mutex<HashMap<(Duty, ShardId), Vec<Holding>>>);

impl Holdings {
    /// An engine holds these now; whoever held them before does not any more.
    pub fn taken(&self, engine: usize, fences: &[Fence]) {
        let mut shards = self.0.lock().unwrap();
        for fence in fences {
            let of_shard = shards.entry((fence.duty, fence.shard)).or_default();
            if of_shard.last().is_none_or(|last| last.epoch != fence.epoch) {
                end(of_shard);
                of_shard.push(Holding { engine, epoch: fence.epoch, from: Instant::now(), until: None });
            }
        }
    }

    /// These are held no more, unless they were taken since.
    pub fn given(&self, fences: &[Fence]) {
        let mut shards = self.0.lock().unwrap();
        for fence in fences {
            let of_shard = shards.entry((fence.duty, fence.shard)).or_default();
            if of_shard.last().is_some_and(|last| last.epoch == fence.epoch) {
                end(of_shard);
            }
        }
    }

    /// An engine holds nothing any more.
    pub fn left(&self, engine: usize) {
        for of_shard in self.0.lock().unwrap().values_mut() {
            if of_shard.last().is_some_and(|last| last.engine == engine) {
                end(of_shard);
            }
        }
    }

    /// Whether an engine held a shard then.
    pub fn holds(&self, engine: usize, duty: Duty, shard: ShardId, at: Instant) -> bool {
        let shards = self.0.lock().unwrap();
        let mut of_shard = shards.get(&(duty, shard)).into_iter().flatten();
        of_shard.any(|one| one.engine == engine && one.from <= at && one.until.is_none_or(|until| at <= until))
    }
}

fn end(of_shard: &mut [Holding]) {
    if let Some(last) = of_shard.last_mut() {
        last.until.get_or_insert_with(Instant::now);
    }
}
