//! The slow pool: attempts that have lasted longer than `deliver.slow_after_ms`, and those to hosts that were slow the
//! last time. It keeps them out of the way of quick ones and bounds their sockets and memory.
//!
//! - An attempt that turns out slow always finds a place: where the pool is full, the attempt that has lasted longest
//!   in it ends as unanswered. So a quick slot is held for `slow_after_ms` at most, whatever the other side does.
//! - An attempt to a host that is known to be slow needs an admission before it begins. Three quarters of the pool may
//!   be admitted, of these three quarters to retries, so that those that turn out slow rarely end another. Webhooks that
//!   find no admission wait in the hub, as ids.

use super::lanes::{Lanes, Permits};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// When an attempt began, and its number.
type Key = (Instant, u64);

/// The pool.
#[derive(Debug)]
pub(super) struct SlowPool {
    max: usize,
    /// Attempts by their age; letting go of one's sender ends it.
    running: Mutex<BTreeMap<Key, oneshot::Sender<()>>>,
    next: AtomicU64,
    admissions: Lanes,
    /// True while webhooks with fresh batches, or with retries, wait for an admission.
    waits: [AtomicBool; 2],
    freed: Arc<Notify>,
}

/// Lets a webhook's attempts begin in the pool, one at a time. Given back when dropped.
#[derive(Debug)]
pub(super) struct Admission {
    _permits: Permits,
    is_used: bool,
    freed: Arc<Notify>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.freed.notify_one();
    }
}

/// One attempt's place; given back when dropped.
#[derive(Debug)]
pub(super) struct SlowPlace {
    pool: Arc<SlowPool>,
    key: Key,
    ended: oneshot::Receiver<()>,
}

impl SlowPool {
    /// A pool of that many attempts, which tells `freed` of admissions that were given back.
    pub(super) fn new(max: usize, freed: Arc<Notify>) -> Arc<Self> {
        let max = max.max(1);
        Arc::new(SlowPool {
            max,
            running: Mutex::default(),
            next: AtomicU64::new(0),
            admissions: Lanes::new((max * 3 / 4).max(1)),
            waits: Default::default(),
            freed,
        })
    }

    /// An admission, unless there is none.
    pub(super) fn admit(&self, is_retry: bool) -> Option<Admission> {
        let permits = self.admissions.try_take(is_retry)?;
        Some(Admission { _permits: permits, is_used: false, freed: self.freed.clone() })
    }

    /// An admission for one more attempt: the one at hand, unless it was used and others wait for theirs; else another
    /// one. None if it is others' turn.
    pub(super) fn turn(&self, at_hand: Option<Admission>, is_retry: bool) -> Option<Admission> {
        let others_wait = self.waits[usize::from(is_retry)].load(Ordering::Relaxed);
        let at_hand = at_hand.filter(|admission| !(admission.is_used && others_wait));
        let mut admission = match at_hand {
            Some(admission) => admission,
            None if others_wait => return None,
            None => self.admit(is_retry)?,
        };
        admission.is_used = true;
        Some(admission)
    }

    /// Whether webhooks wait for an admission, with fresh batches and with retries.
    pub(super) fn set_waits(&self, fresh: bool, retries: bool) {
        self.waits[0].store(fresh, Ordering::Relaxed);
        self.waits[1].store(retries, Ordering::Relaxed);
    }

    /// A place for an attempt that began then. Where there is none, the oldest attempt ends.
    pub(super) fn enter(self: &Arc<Self>, began: Instant) -> SlowPlace {
        let (key, (end, ended)) = ((began, self.next.fetch_add(1, Ordering::Relaxed)), oneshot::channel());
        let mut running = self.running();
        while running.len() >= self.max {
            running.pop_first();
        }
        running.insert(key, end);
        SlowPlace { pool: self.clone(), key, ended }
    }

    /// Attempts in the pool.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.running().len()
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Key, oneshot::Sender<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlowPlace {
    /// Waits until the place is needed for another attempt.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }
}

impl Drop for SlowPlace {
    fn drop(&mut self) {
        self.pool.running().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;

    fn pool(max: usize) -> Arc<SlowPool> {
        SlowPool::new(max, Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room() {
        let (pool, now) = (pool(2), Instant::now());
        let second = Duration::from_secs(1);
        let (mut young, mut old) = (pool.enter(now + second), pool.enter(now));
        let mut newest = pool.enter(now + 2 * second);
        assert_eq!(pool.len(), 2);
        assert!(old.ended().now_or_never().is_some());
        assert!(young.ended().now_or_never().is_none() && newest.ended().now_or_never().is_none());
        drop((young, old, newest));
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn known_ones_leave_room_and_so_do_retries() {
        let pool = pool(16);
        let retries: Vec<_> = std::iter::from_fn(|| pool.admit(true)).collect();
        let fresh: Vec<_> = std::iter::from_fn(|| pool.admit(false)).collect();
        assert_eq!((retries.len(), fresh.len()), (9, 3));
        drop(retries);
        assert!(pool.admit(true).is_some());
    }

    #[test]
    fn turns_are_taken() {
        let pool = pool(2);
        let first = pool.turn(None, false);
        assert!(first.is_some() && pool.turn(None, false).is_none(), "there is one admission");
        let again = pool.turn(first, false);
        assert!(again.is_some(), "nobody else waits");
        pool.set_waits(true, false);
        assert!(pool.turn(again, false).is_none(), "another one waits");
        assert!(pool.turn(None, false).is_none(), "nobody overtakes those who wait");
        let admitted = pool.admit(false);
        assert!(pool.turn(admitted, false).is_some(), "whose turn it is goes on");
    }
}
