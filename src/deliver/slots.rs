//! Slots: how many attempts run at once. Each has a slot of its host, and a place in one of two pools: a quick slot, or
//! a place of the slow pool once it has lasted longer than `deliver.slow_after_ms` (`slow.rs`), from the start where the
//! host was slow the last time. So endpoints that hang, on however many hosts, take no slots from others for longer.
//!
//! - First come, first served, and in each a part is kept for batches that are sent for the first time.
//! - An eighth of the quick slots is kept for hosts that answered quickly the last time, so that those keep their pace
//!   while many that nothing is known of hang.
//! - Only so many webhooks wait for a host, and for all hosts. Others are turned away and wait in the hub, as ids.

use super::lanes::{Lanes, Permits, part};
use super::slow::{Admission, SlowPlace, SlowPool};
use super::speeds::{Speed, Speeds};
use crate::limits::DeliverLimits;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Webhooks that may wait for or use a host's slots, as a multiple of these slots. More are turned away.
const CROWD: usize = 2;

/// Webhooks that may wait for slots of their hosts, as a multiple of the quick slots.
const WAITING_PER_SLOT: usize = 4;

/// The slots.
#[derive(Debug)]
pub(super) struct Slots {
    quick: Lanes,
    /// Of the quick slots, those for hosts of which nothing is known.
    unknown: Arc<Semaphore>,
    pub(super) slow: Arc<SlowPool>,
    slow_after: Duration,
    hosts: Mutex<Hosts>,
    host_max: usize,
    waiting_max: usize,
    /// Told when there may be room for webhooks that were turned away.
    pub(super) freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Hosts {
    used: HashMap<Arc<str>, Host>,
    /// Users that wait for a slot of their host, and how many of them with retries.
    waiting: Count,
    speeds: Speeds,
    /// Hosts with room again that turned webhooks away.
    freed: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Host {
    lanes: Lanes,
    users: Count,
    turned_away: bool,
}

/// Webhooks, and how many of them have retries.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    all: usize,
    retries: usize,
}

impl Count {
    /// How many more there may be. Retries may take a part.
    fn room(self, max: usize, is_retry: bool) -> usize {
        let all = max.saturating_sub(self.all);
        if is_retry { all.min(part(max, 3, 4).saturating_sub(self.retries)) } else { all }
    }

    fn add(&mut self, is_retry: bool) {
        self.all += 1;
        self.retries += usize::from(is_retry);
    }

    fn remove(&mut self, is_retry: bool) {
        self.all -= 1;
        self.retries -= usize::from(is_retry);
    }
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// As many wait for this host, or for all hosts, as may.
    Crowded,
    /// The host is slow, and others wait for the slow pool.
    Slow,
}

/// One attempt's slot; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    place: Place,
    _of_host: Permits,
    user: User,
}

type QuickPermits = [Option<OwnedSemaphorePermit>; 3];

#[derive(Debug)]
enum Place {
    Quick(#[allow(dead_code)] QuickPermits), // held, not read
    Slow(SlowPlace),
}

/// An attempt was ended after this time, because it was slow and its place was needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended(pub(super) Duration);

impl Slots {
    pub(super) fn new(limits: &DeliverLimits) -> Arc<Self> {
        let (quick, freed) = (limits.slots_max.max(1), Arc::<Notify>::default());
        Arc::new(Slots {
            quick: Lanes::new(quick),
            unknown: Arc::new(Semaphore::new(part(quick, 7, 8))),
            slow: SlowPool::new(limits.slow_slots_max, freed.clone()),
            slow_after: Duration::from_millis(limits.slow_after_ms),
            hosts: Mutex::default(),
            host_max: limits.host_slots_max.max(1),
            waiting_max: quick * WAITING_PER_SLOT,
            freed,
        })
    }

    /// Waits for a slot. The host's comes first, so that who waits for a host holds nobody else's. `admission` is what
    /// lets this webhook begin in the slow pool, and is kept there for its next attempt.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        host: &Arc<str>,
        is_retry: bool,
        admission: &mut Option<Admission>,
    ) -> Result<Slot, Refused> {
        let (user, of_host) = match self.enter(host, is_retry)? {
            Entered::Has(user, permits) => (user, permits),
            Entered::Waits(waiting, user, lanes) => {
                let permits = lanes.take(is_retry).await;
                drop(waiting);
                (user, permits)
            }
        };
        // A host may turn slow, or quick again, while it is waited.
        let mut speed = self.speed(host);
        if speed != Speed::Slow {
            *admission = None;
            let quick = self.take_quick(is_retry, speed).await;
            speed = self.speed(host);
            if speed != Speed::Slow {
                return Ok(Slot { place: Place::Quick(quick), _of_host: of_host, user });
            }
        }
        *admission = self.slow.turn(admission.take(), is_retry);
        match admission {
            Some(_) => Ok(Slot { place: Place::Slow(self.slow.enter(Instant::now())), _of_host: of_host, user }),
            None => Err(Refused::Slow),
        }
    }

    async fn take_quick(&self, is_retry: bool, speed: Speed) -> QuickPermits {
        let retry = self.quick.retry(is_retry).await;
        let unknown = match speed {
            Speed::Unknown => self.unknown.clone().acquire_owned().await.ok(),
            Speed::Quick | Speed::Slow => None,
        };
        [retry, unknown, self.quick.place().await]
    }

    /// Webhooks that would not be turned away from a host.
    pub(super) fn room(&self, host: &str, is_retry: bool) -> usize {
        let hosts = self.hosts();
        let users = hosts.used.get(host).map_or(Count::default(), |known| known.users);
        users.room(self.crowd(hosts.speeds.of(host, Instant::now())), is_retry)
    }

    /// Users that a host may have. Nobody waits for a slow one: that would take long.
    fn crowd(&self, speed: Speed) -> usize {
        match speed {
            Speed::Slow => self.host_max,
            Speed::Quick | Speed::Unknown => self.host_max * CROWD,
        }
    }

    /// Hosts with room for webhooks that were turned away, since the last time.
    pub(super) fn take_freed(&self) -> HashSet<Arc<str>> {
        std::mem::take(&mut self.hosts().freed)
    }

    /// Has whoever uses a host tell when there is room; false where nobody uses it, so that nobody would.
    pub(super) fn await_room(&self, host: &str) -> bool {
        match self.hosts().used.get_mut(host) {
            Some(known) if known.users.all > 0 => {
                known.turned_away = true;
                true
            }
            _ => false,
        }
    }

    /// Nobody waits any more who was turned away from a host.
    pub(super) fn is_awaited_no_more(&self, host: &str) {
        if let Some(known) = self.hosts().used.get_mut(host) {
            known.turned_away = false;
        }
    }

    /// A slot of the host, or a place among those who wait for one.
    fn enter(self: &Arc<Self>, host: &Arc<str>, is_retry: bool) -> Result<Entered, Refused> {
        let mut hosts = self.hosts();
        let speed = hosts.speeds.of(host, Instant::now());
        let may_wait = speed != Speed::Slow && hosts.waiting.room(self.waiting_max, is_retry) > 0;
        let known = hosts.used.entry(host.clone()).or_insert_with(|| Host {
            lanes: Lanes::new(self.host_max),
            users: Count::default(),
            turned_away: false,
        });
        let permits = known.lanes.try_take(is_retry);
        if permits.is_none() && !(may_wait && known.users.room(self.crowd(speed), is_retry) > 0) {
            known.turned_away = true;
            return Err(Refused::Crowded);
        }
        known.users.add(is_retry);
        let (user, lanes) = (User { slots: self.clone(), host: host.clone(), is_retry }, known.lanes.clone());
        Ok(match permits {
            Some(permits) => Entered::Has(user, permits),
            None => {
                hosts.waiting.add(is_retry);
                Entered::Waits(Waiting { slots: self.clone(), is_retry }, user, lanes)
            }
        })
    }

    fn speed(&self, host: &str) -> Speed {
        self.hosts().speeds.of(host, Instant::now())
    }

    fn note(&self, host: &Arc<str>, speed: Speed) {
        self.hosts().speeds.note(host, speed, Instant::now());
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Entered {
    Has(User, Permits),
    Waits(Waiting, User, Lanes),
}

/// Waits for a slot of its host.
struct Waiting {
    slots: Arc<Slots>,
    is_retry: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slots.hosts().waiting.remove(self.is_retry);
    }
}

impl Slot {
    /// Does an attempt's work. Once it turns out slow, its quick slot is given back. It ends early only where the slow
    /// pool is full and it has lasted longest of all.
    pub(super) async fn run<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let (mut work, began) = (std::pin::pin!(work), Instant::now());
        let slots = self.user.slots.clone();
        let done = match tokio::time::timeout(slots.slow_after, self.place.unless_ended(work.as_mut())).await {
            Ok(done) => {
                if done.is_some() {
                    slots.note(&self.user.host, Speed::Quick);
                }
                done
            }
            Err(_) => {
                slots.note(&self.user.host, Speed::Slow);
                if let Place::Quick(_) = self.place {
                    self.place = Place::Slow(slots.slow.enter(began));
                }
                self.place.unless_ended(work).await
            }
        };
        done.ok_or_else(|| Ended(began.elapsed()))
    }
}

impl Place {
    /// None if it ended before the work did.
    async fn unless_ended<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        match self {
            Place::Quick(_) => Some(work.await),
            Place::Slow(place) => tokio::select! {
                biased;
                done = work => Some(done),
                () = place.ended() => None,
            },
        }
    }
}

/// Waits for, or uses, a host's slot. A host without users is forgotten.
#[derive(Debug)]
struct User {
    slots: Arc<Slots>,
    host: Arc<str>,
    is_retry: bool,
}

impl Drop for User {
    fn drop(&mut self) {
        let mut hosts = self.slots.hosts();
        let Hosts { used, freed, .. } = &mut *hosts;
        let Some(known) = used.get_mut(&self.host) else { return };
        known.users.remove(self.is_retry);
        if known.turned_away {
            freed.insert(self.host.clone());
            self.slots.freed.notify_one();
        }
        if known.users.all == 0 {
            used.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests;
