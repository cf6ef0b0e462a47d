//! Slots: how many attempts run at once, in all and to one host. First come, first served; a part of them is kept for
//! batches that are sent for the first time, so that retries never starve those.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Webhooks that may wait for or use a host's slots, as a multiple of these slots. More are turned away, so that those
/// of one slow host do not fill the memory.
const CROWD: usize = 8;

/// The slots.
#[derive(Debug)]
pub(super) struct Slots {
    all: Lanes,
    hosts: Mutex<HashMap<Arc<str>, Host>>,
    host_max: usize,
}

#[derive(Debug, Clone)]
struct Lanes {
    all: Arc<Semaphore>,
    retries: Arc<Semaphore>,
}

#[derive(Debug)]
struct Host {
    lanes: Lanes,
    users: usize,
}

impl Lanes {
    /// Three quarters of the slots may be taken by retries.
    fn new(slots: usize) -> Self {
        let slots = slots.max(1);
        let retries = if slots == 1 { 1 } else { (slots * 3 / 4).clamp(1, slots - 1) };
        Lanes { all: Arc::new(Semaphore::new(slots)), retries: Arc::new(Semaphore::new(retries)) }
    }

    /// The semaphores are never closed, so none of these is none in practice.
    async fn take(&self, is_retry: bool) -> [Option<OwnedSemaphorePermit>; 2] {
        let retry = if is_retry { self.retries.clone().acquire_owned().await.ok() } else { None };
        [retry, self.all.clone().acquire_owned().await.ok()]
    }
}

/// One attempt's slot; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _permits: [[Option<OwnedSemaphorePermit>; 2]; 2],
    _user: User,
}

/// Too many wait for this host already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowded;

impl Slots {
    /// That many slots in all, and to one host.
    pub(super) fn new(all: usize, per_host: usize) -> Arc<Self> {
        Arc::new(Slots { all: Lanes::new(all), hosts: Mutex::default(), host_max: per_host.max(1) })
    }

    /// Waits for a slot. The host's comes first, so that who waits for a host holds nobody else's.
    pub(super) async fn acquire(self: &Arc<Self>, host: &Arc<str>, is_retry: bool) -> Result<Slot, Crowded> {
        let (user, lanes) = self.enter(host)?;
        let of_host = lanes.take(is_retry).await;
        Ok(Slot { _permits: [of_host, self.all.take(is_retry).await], _user: user })
    }

    /// True if a host has as many waiting as it may.
    pub(super) fn is_crowded(&self, host: &str) -> bool {
        self.hosts().get(host).is_some_and(|known| known.users >= self.host_max * CROWD)
    }

    fn enter(self: &Arc<Self>, host: &Arc<str>) -> Result<(User, Lanes), Crowded> {
        let mut hosts = self.hosts();
        let known = hosts.entry(host.clone()).or_insert_with(|| Host { lanes: Lanes::new(self.host_max), users: 0 });
        if known.users >= self.host_max * CROWD {
            return Err(Crowded);
        }
        known.users += 1;
        Ok((User { slots: self.clone(), host: host.clone() }, known.lanes.clone()))
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for, or uses, a host's slot. A host without users is forgotten.
#[derive(Debug)]
struct User {
    slots: Arc<Slots>,
    host: Arc<str>,
}

impl Drop for User {
    fn drop(&mut self) {
        let mut hosts = self.slots.hosts();
        if let Some(known) = hosts.get_mut(&self.host) {
            known.users -= 1;
            if known.users == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn host(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[tokio::test]
    async fn a_full_host_keeps_nobody_elses_slots() {
        let slots = Slots::new(4, 2);
        let (a, b) = (slots.acquire(&host("slow"), false).await, slots.acquire(&host("slow"), false).await);
        let (slow, quick) = (host("slow"), host("quick"));
        let mut third = Box::pin(slots.acquire(&slow, false));
        assert!(third.as_mut().now_or_never().is_none());
        let others = [slots.acquire(&quick, false).await, slots.acquire(&quick, false).await];
        drop(others);
        drop(a);
        assert!(third.await.is_ok());
        drop(b);
        assert!(slots.hosts().is_empty(), "hosts without users are forgotten");
    }

    #[tokio::test]
    async fn retries_leave_room_for_fresh_batches() {
        let slots = Slots::new(4, 4);
        let dead = host("dead");
        let mut retries = Vec::new();
        while let Some(slot) = slots.acquire(&dead, true).now_or_never() {
            retries.push(slot.unwrap());
        }
        assert_eq!(retries.len(), 3);
        assert!(slots.acquire(&dead, false).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away() {
        let slots = Slots::new(1, 1);
        let name = host("slow");
        let mut waiting: Vec<_> = (0..CROWD).map(|_| Box::pin(slots.acquire(&name, false))).collect();
        let first: Vec<_> = waiting.iter_mut().map(|wait| wait.as_mut().now_or_never()).collect();
        assert!(first[0].as_ref().is_some_and(Result::is_ok) && first[1].is_none());
        assert!(slots.is_crowded("slow") && !slots.is_crowded("quick"));
        assert_eq!(slots.acquire(&name, false).await.err(), Some(Crowded));
        drop((first, waiting));
        assert!(slots.hosts().is_empty());
    }
}
