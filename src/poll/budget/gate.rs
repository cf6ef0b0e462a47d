//! Waiting for a turn at a host, and the permit to ask once that has come.

use super::host::{Granted, Host, Rules};
use super::pace::{Pace, Slice};
use super::quota::{Hint, Pauses, Quota};
use super::turns::Place;
use super::{Caller, Priority};
use crate::clock::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Hosts kept before the idle ones are dropped.
const HOSTS_MAX: usize = 100_000;

/// How long calls may wait, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The longest wait of one call.
    pub wait_max: Duration,
    /// Calls that wait at one host; listing jobs may be half of them.
    pub waiting_max: usize,
}

/// There is no turn soon enough: come again after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotNow(pub Duration);

/// Which of a host's quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The credential's.
    Bucket,
    /// The app's, over all credentials.
    App,
}

/// One host, shared by all that ask it.
#[derive(Debug)]
pub struct Gate {
    host: Mutex<Host<oneshot::Sender<Permit>>>,
    clock: Clock,
    /// Something changed that may give a call its turn sooner than was known.
    changed: Notify,
    /// Whether a task is there that wakes calls when time brings their turn.
    is_driven: Mutex<bool>,
}

impl Gate {
    fn new(rules: Rules, clock: Clock) -> Self {
        let host = Mutex::new(Host::new(rules, Instant::now()));
        Gate { host, clock, changed: Notify::new(), is_driven: Mutex::new(false) }
    }

    fn host(&self) -> MutexGuard<'_, Host<oneshot::Sender<Permit>>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once a bucket's pause from before is known.
    pub fn knows(&self, bucket: &str) -> bool {
        self.host().knows(bucket)
    }

    /// Makes a bucket. It pauses for so long from before, and the app for so long.
    pub fn make(&self, bucket: &str, pace: Pace, pause: Option<Duration>, pause_of_app: Option<Duration>) {
        let now = Instant::now();
        let mut host = self.host();
        if host.knows(bucket) {
            return;
        }
        let quota = host.make(bucket, pace, now);
        pause.into_iter().for_each(|pause| quota.close(now + pause));
        let app = host.app.as_mut().zip(pause_of_app);
        app.into_iter().for_each(|(app, pause)| app.close(now + pause));
    }

    /// What of the app's quota is this node's from now on.
    pub fn set_slice(&self, slice: Slice) {
        if self.host().app.as_mut().is_some_and(|app| app.set_slice(slice, Instant::now())) {
            self.changed.notify_one();
        }
    }

    /// True where nobody has read for so long how long a quota pauses; the caller is to read it then.
    pub fn is_pause_stale(&self, bucket: &str, scope: Scope, age: Duration) -> bool {
        let (now, mut host) = (Instant::now(), self.host());
        let read_at = match scope {
            Scope::App if host.app.is_none() => None,
            Scope::App => Some(&mut host.app_pause_read_at),
            Scope::Bucket => host.bucket(bucket).map(|known| &mut known.pause_read_at),
        };
        read_at.filter(|at| now.saturating_duration_since(**at) >= age).map(|at| *at = now).is_some()
    }

    /// Another node was refused for this quota, which pauses for so long.
    pub fn close(&self, bucket: &str, scope: Scope, pause: Duration) {
        let until = Instant::now() + pause;
        self.with_quota(bucket, scope, |quota, _| quota.close(until));
    }

    /// Waits for a turn. [`NotNow`] at once where it would not come in time, or too many wait already.
    pub async fn enter(self: &Arc<Self>, bucket: &str, caller: Caller, patience: Patience) -> Result<Permit, NotNow> {
        let deadline = Instant::now() + patience.wait_max;
        let (sender, mut turn) = oneshot::channel();
        let Some(place) = self.host().push(bucket, caller, sender) else { return Err(NotNow(Duration::ZERO)) };
        let waiter = Waiter { gate: self, bucket, priority: caller.priority, place };
        self.settle();
        if let Ok(permit) = turn.try_recv() {
            return Ok(permit);
        }
        if self.host().is_crowded(caller.priority, patience.waiting_max)
            || waiter.outlook().0 > deadline.saturating_duration_since(Instant::now())
        {
            return waiter.give_up(&mut turn, patience);
        }
        self.drive();
        tokio::select! {
            biased;
            Ok(permit) = &mut turn => Ok(permit),
            () = self.clock.sleep(deadline.saturating_duration_since(Instant::now())) => waiter.give_up(&mut turn, patience),
        }
    }

    /// Gives out what may go now.
    fn settle(self: &Arc<Self>) {
        let now = Instant::now();
        let granted = self.host().grant(now);
        for Granted { bucket, call } in granted {
            let permit = Permit { gate: self.clone(), bucket, sent_at: now };
            // Where nobody waits any more the permit ends here, and its place goes to the next.
            drop(call.send(permit));
        }
        self.changed.notify_one();
    }

    /// Sees that a task is there for as long as calls wait.
    fn drive(self: &Arc<Self>) {
        let mut is_driven = self.is_driven.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *is_driven, true) {
            tokio::spawn(self.clone().run());
        }
    }

    async fn run(self: Arc<Self>) {
        while let Some(next_at) = self.next_look() {
            let wait = next_at.map(|at| at.saturating_duration_since(Instant::now()));
            tokio::select! {
                biased;
                () = self.clock.sleep(wait.unwrap_or(Duration::from_secs(3_600))) => self.settle(),
                () = self.changed.notified() => {}
            }
        }
    }

    /// None once nobody waits.
    fn next_look(&self) -> Option<Option<Instant>> {
        let mut is_driven = self.is_driven.lock().unwrap_or_else(PoisonError::into_inner);
        let host = self.host();
        *is_driven = host.waiting() > 0;
        is_driven.then(|| host.next_at())
    }

    fn with_quota<A>(&self, bucket: &str, scope: Scope, change: impl FnOnce(&mut Quota, u32) -> A) -> Option<A> {
        let mut host = self.host();
        let on_their_way = |slots: usize| u32::try_from(slots.saturating_sub(1)).unwrap_or(u32::MAX);
        match scope {
            Scope::App => {
                let others = on_their_way(host.taken());
                host.app.as_mut().map(|app| change(app, others))
            }
            Scope::Bucket => host.bucket(bucket).map(|known| {
                let others = on_their_way(known.slots.taken());
                change(&mut known.quota, others)
            }),
        }
    }
}

impl Gate {
    /// Requests a second that a quota allows in the long run, as the vendor's answers have corrected it; none where there
    /// is no such quota.
    pub fn per_second(&self, bucket: &str, scope: Scope) -> Option<f64> {
        self.with_quota(bucket, scope, |quota, _| 1.0 / quota.interval().as_secs_f64().max(1e-9))
    }
}

/// A call that waits, until it is dropped.
struct Waiter<'a> {
    gate: &'a Arc<Gate>,
    bucket: &'a str,
    priority: Priority,
    place: Place,
}

impl Waiter<'_> {
    fn outlook(&self) -> (Duration, bool) {
        self.gate.host().outlook(self.bucket, self.priority, self.place, Instant::now())
    }

    /// Stops waiting, unless the turn has come meanwhile.
    fn give_up(self, turn: &mut oneshot::Receiver<Permit>, patience: Patience) -> Result<Permit, NotNow> {
        let (wait, has_room) = self.outlook();
        drop(self);
        turn.try_recv().map_err(|_| {
            // Nobody knows when a request ends that is under way.
            NotNow(if has_room { wait } else { wait.max(patience.wait_max) })
        })
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.gate.host().leave(self.bucket, self.priority, self.place) {
            self.gate.changed.notify_one();
        }
    }
}

/// One request may be under way; its place is given back when this is dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    bucket: String,
    sent_at: Instant,
}

impl Permit {
    /// The vendor did not count the request.
    pub fn give_back(&self) {
        let now = Instant::now();
        for scope in [Scope::Bucket, Scope::App] {
            self.gate.with_quota(&self.bucket, scope, |quota, _| quota.give_back(now));
        }
    }

    /// The vendor refused the request for this quota. Answers how long it pauses.
    pub fn refuse(&self, scope: Scope, hint: Hint, bounds: Pauses) -> Duration {
        let now = Instant::now();
        let refuse = |quota: &mut Quota, _| quota.refuse(hint, self.sent_at, bounds, now);
        self.gate.with_quota(&self.bucket, scope, refuse).unwrap_or(bounds.floor)
    }

    /// Takes in what a good answer says of this quota. Answers how long it pauses if nothing is left.
    pub fn observe(&self, scope: Scope, hint: Hint, bounds: Pauses) -> Option<Duration> {
        let now = Instant::now();
        let observe = |quota: &mut Quota, others| quota.observe(hint, self.sent_at, others, bounds, now);
        self.gate.with_quota(&self.bucket, scope, observe).flatten()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.host().end(&self.bucket);
        self.gate.settle();
    }
}

/// All hosts that this node asks, by name.
#[derive(Debug, Default)]
pub struct Gates(Mutex<HashMap<String, Arc<Gate>>>);

impl Gates {
    /// The gate of a host.
    pub fn get(&self, name: &str, rules: Rules, clock: &Clock) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(name) {
            return gate.clone();
        }
        if gates.len() >= HOSTS_MAX {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let gate = Arc::new(Gate::new(rules, clock.clone()));
        gates.insert(name.to_owned(), gate.clone());
        gate
    }
}
