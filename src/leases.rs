//! The shards this node works on. Whoever writes for a shard asks here for its lease, keeps that for as long as the work
//! lasts, and tells here when it was fenced.
//!
//! A lease is shown for as long as it is ours by our own clock, which is looked at each time: a process that was stopped
//! beyond it starts nothing when it is woken. A shard that is to go to another node is shown no more, and is given back
//! once no work keeps a lease of it, or such work has had the time that an attempt may take.

pub mod share;
mod state;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use crate::ids::NodeId;
use crate::limits::Limits;
use crate::store::{Duty, Fence, Heartbeat, SHARDS, ShardId, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use state::{State, Until};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether work on a shard that is to be given away has ended.
const HANDOVER_LOOK: Duration = Duration::from_millis(100);
/// How long it may take to keep the outcome of an attempt that has ended.
const HANDOVER_SLACK: Duration = Duration::from_secs(2);
/// Tries in a row to take shards, where other nodes take the same ones.
const TAKES_MAX: usize = 3;
/// How far our clock may be from the store's before it follows that one.
const CLOCK_SLACK: TimeDelta = TimeDelta::milliseconds(500);
/// From how far on that is worth a warning.
const CLOCK_FAR: TimeDelta = TimeDelta::seconds(5);

/// A shard in this node's hands. Kept for as long as work on it lasts: no other node is given it before.
#[derive(Debug, Clone)]
pub struct Lease {
    /// What to show when writing.
    pub fence: Fence,
    /// Which time of working on it this is: another one whenever the lease was not shown in between.
    pub term: u64,
    /// Until when nobody else can take it, by our clock.
    pub expires_at: DateTime<Utc>,
    _in_flight: Arc<()>,
}

/// Holds this node's leases.
#[derive(Debug)]
pub struct LeaseKeeper {
    node: NodeId,
    duties: Vec<Duty>,
    ttl_ms: u64,
    /// How long work on a shard that is to be given away may take to end.
    handover: Duration,
    clock: Clock,
    state: RwLock<State>,
    /// Whether it was seen that all leases are over, since they were renewed.
    has_lapsed: AtomicBool,
    changed: broadcast::Sender<()>,
}

/// Hears of shards that were won or lost. Those who wait are woken in the order in which they began to, so that a
/// simulated life repeats.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<()>);

impl Changes {
    /// Waits for a change since the last time this was asked; never returns once there can be none.
    pub async fn changed(&mut self) {
        if let Err(RecvError::Closed) = self.0.recv().await {
            std::future::pending().await
        }
    }
}

impl LeaseKeeper {
    /// A keeper that holds nothing yet, and will take shards for these duties.
    pub fn new(node: NodeId, duties: &[Duty], limits: &Limits, clock: &Clock) -> Self {
        LeaseKeeper {
            node,
            duties: duties.to_vec(),
            ttl_ms: limits.store.lease_ttl_ms,
            handover: Duration::from_millis(limits.deliver.attempt_deadline_ms) + HANDOVER_SLACK,
            clock: clock.clone(),
            state: RwLock::default(),
            has_lapsed: AtomicBool::new(false),
            changed: broadcast::Sender::new(1),
        }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What this node takes shards for.
    pub fn duties(&self) -> &[Duty] {
        &self.duties
    }

    /// The lease of a shard, if this node is to work on it.
    pub fn lease(&self, duty: Duty, shard: ShardId) -> Option<Lease> {
        self.current()?.lease(duty, shard)
    }

    /// The shards this node is to work on.
    pub fn shards(&self, duty: Duty) -> Vec<ShardId> {
        self.current().map_or_else(Vec::new, |state| state.shards(duty).collect())
    }

    /// How many of all shards this node works on.
    pub fn share(&self, duty: Duty) -> (u16, u16) {
        let held = self.current().map_or(0, |state| state.shards(duty).count());
        (u16::try_from(held).unwrap_or(SHARDS), SHARDS)
    }

    /// Changes whenever a shard was won or lost.
    pub fn changes(&self) -> Changes {
        Changes(self.changed.subscribe())
    }

    /// Forgets a shard that turned out to be another's.
    pub fn lost(&self, fence: Fence) {
        if self.state().remove(fence) {
            self.tell();
        }
    }

    /// What is ours; none once it is over.
    fn current(&self) -> Option<RwLockReadGuard<'_, State>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.is_over(&self.clock) {
            self.has_lapsed.store(true, Ordering::Relaxed);
            return None;
        }
        Some(state)
    }

    fn state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody listens does not matter.
    fn tell(&self) {
        for duty in &self.duties {
            metrics::gauge!("anyhook_shards_held", "duty" => duty.as_str()).set(self.share(*duty).0);
        }
        metrics::counter!("anyhook_lease_changes_total").increment(1);
        let _ = self.changed.send(());
    }

    /// Tells the store that this node lives, takes what is missing of its share and free, and begins to give away what is
    /// above it, once.
    pub async fn renew(&self, store: &dyn Store) -> Result<(), StoreError> {
        for _ in 0..TAKES_MAX {
            let asked = Instant::now();
            let now = self.time(store).await?;
            let until = Until { instant: asked + Duration::from_millis(self.ttl_ms), at: later(now, self.ttl_ms) };
            let beat = store.heartbeat(self.node, &self.duties, now, self.ttl_ms).await?;
            let taking = self.take_in(&beat, until);
            if taking.is_empty() {
                break;
            }
            let taken = store.take_shards(self.node, &taking, now).await?;
            self.add(&taken);
            if taken.len() == taking.len() {
                break;
            }
        }
        Ok(())
    }

    /// The store's time, which our clock is made to show where it is off by more than the way there and back explains.
    async fn time(&self, store: &dyn Store) -> Result<DateTime<Utc>, StoreError> {
        let (asked, ours) = (Instant::now(), self.clock.now());
        let theirs = store.time(ours).await?;
        let half = TimeDelta::from_std(asked.elapsed() / 2).unwrap_or(TimeDelta::MAX);
        let off = theirs - (ours + half);
        if off.abs() > CLOCK_SLACK + half {
            if off.abs() >= CLOCK_FAR {
                let off_ms = off.num_milliseconds();
                tracing::warn!(off_ms, "this machine's clock is not the store's, which is followed; set it right");
            }
            self.clock.correct(off);
        }
        Ok(theirs)
    }

    /// Takes in how things stand. Answers what is to be taken.
    fn take_in(&self, beat: &Heartbeat, until: Until) -> Vec<(Duty, ShardId)> {
        let mut state = self.state();
        let has_lapsed = state.is_over(&self.clock) | self.has_lapsed.swap(false, Ordering::Relaxed);
        let is_changed = state.reconcile(&beat.held, has_lapsed);
        let plan = share::plan(self.node, beat, &state.leaving());
        let leaves = state.set_leaving(&plan.leaving, Instant::now() + self.handover);
        (state.until, state.is_short) = (Some(until), plan.is_short);
        drop(state);
        if is_changed || leaves {
            self.tell();
        }
        plan.taking.into_iter().collect()
    }

    fn add(&self, taken: &[Fence]) {
        let mut state = self.state();
        let is_changed = taken.iter().fold(false, |is_changed, fence| state.add(*fence) | is_changed);
        drop(state);
        if is_changed {
            self.tell();
        }
    }

    /// Gives back what is to be given away and not worked on any more.
    async fn hand_over(&self, store: &dyn Store) -> Result<(), StoreError> {
        let left = self.state().left(Instant::now());
        if !left.is_empty() {
            store.give_shards(&left).await?;
            let mut state = self.state();
            for fence in left {
                state.remove(fence);
            }
        }
        Ok(())
    }

    /// Renews until told to stop, then gives everything back.
    pub async fn run(&self, store: &dyn Store, stop: CancellationToken) {
        let ttl = Duration::from_millis(self.ttl_ms.max(1));
        let mut renew_at = Instant::now() + ttl / 3;
        loop {
            let now = Instant::now();
            let look_at = if self.leaving().is_empty() { renew_at } else { renew_at.min(now + HANDOVER_LOOK) };
            let wait = self.clock.sleep(look_at.saturating_duration_since(now));
            if stop.run_until_cancelled(wait).await.is_none() {
                break;
            }
            if let Err(error) = within(ttl, self.hand_over(store)).await {
                tracing::warn!(%error, "shards could not be given to other nodes yet");
            }
            if Instant::now() < renew_at {
                continue;
            }
            let asked = Instant::now();
            let is_renewed = within(ttl, self.renew(store)).await;
            if let Err(error) = &is_renewed {
                tracing::error!(%error, "leases could not be renewed; work stops when they expire");
                if self.current().is_none() {
                    self.tell();
                }
            }
            // What is missing is being given away by others, or will be free soon.
            let is_hurried = is_renewed.is_err() || self.state().is_short;
            renew_at = asked + if is_hurried { ttl / 12 } else { ttl / 3 }.max(Duration::from_millis(1));
        }
        self.state().clear();
        if let Err(error) = within(ttl, store.leave(self.node)).await {
            tracing::warn!(%error, "leases could not be given back; they expire by themselves");
        }
    }

    fn leaving(&self) -> BTreeSet<(Duty, ShardId)> {
        self.state().leaving()
    }
}

/// No call of the store is waited for beyond a lease's life.
async fn within<T>(ttl: Duration, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable(format!("it did not answer within {} ms", ttl.as_millis()));
    tokio::time::timeout(ttl, call).await.unwrap_or_else(|_| Err(late()))
}

fn later(at: DateTime<Utc>, by_ms: u64) -> DateTime<Utc> {
    let span = i64::try_from(by_ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
    at.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
