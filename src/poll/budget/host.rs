//! Who may ask one vendor host next. Pure: the time is an argument, and what waits is the caller's.
//!
//! A request needs room at the host and in its bucket, and a token of its credential's quota and of the app's, where
//! there is one; it gets all of them at once or none. Buckets take turns, within a bucket the live line goes before
//! listing jobs, and within each of these every feed or job has its turn. Listing jobs leave a reserve of everything to
//! the live line, and keep a share of the turns where that wants all of them.

use super::pace::{Pace, Slice};
use super::quota::Quota;
use super::slots::{Share, Slots};
use super::turns::{Place, Turns};
use super::{Caller, Priority};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Buckets kept before the idle ones are dropped.
const BUCKETS_MAX: usize = 100_000;

/// The numbers of a host. Those of its app and buckets hold from when these are made.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Requests under way at the same time.
    pub host_requests_max: usize,
    /// The same for one bucket.
    pub bucket_requests_max: usize,
    /// The share of listing jobs, in percent.
    pub floor_percent: u32,
    /// What is allowed over all buckets, where that is known.
    pub app: Option<Pace>,
    /// What of that is this node's, to begin with.
    pub slice: Slice,
}

/// What belongs to one credential.
#[derive(Debug)]
pub(super) struct Bucket<T> {
    pub(super) quota: Quota,
    pub(super) slots: Slots,
    /// When it was last read how long it pauses.
    pub(super) pause_read_at: Instant,
    share: Share,
    live: Turns<T>,
    listing: Turns<T>,
}

impl<T> Bucket<T> {
    fn turns(&mut self, priority: Priority) -> &mut Turns<T> {
        match priority {
            Priority::Live => &mut self.live,
            Priority::Listing => &mut self.listing,
        }
    }

    fn waiting(&self) -> usize {
        self.live.len() + self.listing.len()
    }

    /// Whose turn it is in this bucket; none where only listing jobs wait, whose turn comes after everybody else's.
    fn pick(&self, is_rest: bool, is_owed: bool) -> Option<Priority> {
        match (self.live.is_empty(), self.listing.is_empty()) {
            (true, true) => None,
            (true, false) => (is_rest || is_owed).then_some(Priority::Listing),
            (false, true) => Some(Priority::Live),
            (false, false) if self.share.is_due() => Some(Priority::Listing),
            (false, false) => Some(Priority::Live),
        }
    }
}

/// A call that may be made now.
#[derive(Debug, PartialEq, Eq)]
pub struct Granted<T> {
    /// Its bucket.
    pub bucket: String,
    /// What waited.
    pub call: T,
}

/// One host of a vendor, with the buckets that are used there.
#[derive(Debug)]
pub struct Host<T> {
    rules: Rules,
    slots: Slots,
    share: Share,
    pub(super) app: Option<Quota>,
    /// When it was last read how long the app pauses.
    pub(super) app_pause_read_at: Instant,
    buckets: HashMap<String, Bucket<T>>,
    /// Buckets in which calls wait, the next one first.
    order: VecDeque<String>,
    waiting: usize,
    listing_waiting: usize,
}

impl<T> Host<T> {
    /// A host that nobody has asked yet.
    pub fn new(rules: Rules, now: Instant) -> Self {
        Host {
            rules,
            slots: Slots::new(rules.host_requests_max),
            share: Share::new(rules.floor_percent),
            app: rules.app.map(|pace| Quota::sliced(pace, rules.slice, now)),
            app_pause_read_at: now,
            buckets: HashMap::new(),
            order: VecDeque::new(),
            waiting: 0,
            listing_waiting: 0,
        }
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// True where too many wait, the newest among them; listing jobs may be half of them.
    pub fn is_crowded(&self, newest: Priority, waiting_max: usize) -> bool {
        self.waiting > waiting_max || newest == Priority::Listing && self.listing_waiting > waiting_max.div_ceil(2)
    }

    /// Requests under way.
    pub fn taken(&self) -> usize {
        self.slots.taken()
    }

    /// True once a bucket is known.
    pub fn knows(&self, bucket: &str) -> bool {
        self.buckets.contains_key(bucket)
    }

    pub(super) fn bucket(&mut self, bucket: &str) -> Option<&mut Bucket<T>> {
        self.buckets.get_mut(bucket)
    }

    /// A bucket, made at this pace where there is none.
    pub fn make(&mut self, bucket: &str, pace: Pace, now: Instant) -> &mut Quota {
        if self.buckets.len() >= BUCKETS_MAX {
            self.buckets.retain(|_, bucket| bucket.waiting() > 0 || bucket.slots.taken() > 0);
        }
        let rules = self.rules;
        let made = self.buckets.entry(bucket.to_owned()).or_insert_with(|| Bucket {
            quota: Quota::new(pace, now),
            pause_read_at: now,
            slots: Slots::new(rules.bucket_requests_max),
            share: Share::new(rules.floor_percent),
            live: Turns::default(),
            listing: Turns::default(),
        });
        &mut made.quota
    }

    /// A call begins to wait. None where the bucket is not known.
    pub fn push(&mut self, bucket: &str, caller: Caller, call: T) -> Option<Place> {
        let known = self.buckets.get_mut(bucket)?;
        if known.waiting() == 0 {
            self.order.push_back(bucket.to_owned());
        }
        self.waiting += 1;
        self.listing_waiting += usize::from(caller.priority == Priority::Listing);
        Some(known.turns(caller.priority).push(caller.lane(), call))
    }

    /// A call gives up waiting; its lane keeps the place. False where it has been served.
    pub fn leave(&mut self, bucket: &str, priority: Priority, place: Place) -> bool {
        let Some(known) = self.buckets.get_mut(bucket) else { return false };
        if known.turns(priority).leave(place).is_none() {
            return false;
        }
        if known.waiting() == 0 {
            self.order.retain(|name| name != bucket);
        }
        self.note_left(priority);
        true
    }

    /// A request has ended.
    pub fn end(&mut self, bucket: &str) {
        self.slots.give_back();
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.slots.give_back();
        }
    }

    /// What may be asked now, in its order. First the live line and what listing jobs are owed, then listing jobs as far
    /// as a reserve is left.
    pub fn grant(&mut self, now: Instant) -> Vec<Granted<T>> {
        let mut granted = Vec::new();
        for is_rest in [false, true] {
            while let Some(next) = self.grant_one(is_rest, now) {
                granted.push(next);
            }
        }
        granted
    }

    fn grant_one(&mut self, is_rest: bool, now: Instant) -> Option<Granted<T>> {
        let is_owed = self.share.is_due();
        let (at, priority) = self.order.iter().enumerate().find_map(|(at, name)| {
            let bucket = self.buckets.get(name)?;
            let priority = bucket.pick(is_rest, is_owed)?;
            let ready_at = self.ready_at(bucket, is_rest && priority == Priority::Listing)?;
            (ready_at <= now).then_some((at, priority))
        })?;
        let name = self.order.remove(at)?;
        let bucket = self.buckets.get_mut(&name)?;
        let call = bucket.turns(priority).serve()?;
        bucket.quota.take(now);
        bucket.slots.take();
        bucket.share.count(priority, !bucket.listing.is_empty());
        let is_waiting = bucket.waiting() > 0;
        self.app.iter_mut().for_each(|app| app.take(now));
        self.slots.take();
        self.note_left(priority);
        self.share.count(priority, self.listing_waiting > 0);
        if is_waiting {
            self.order.push_back(name.clone());
        }
        Some(Granted { bucket: name, call })
    }

    /// When a bucket's next call may go by its quotas; none while there is no room, which only the end of another
    /// request makes.
    fn ready_at(&self, bucket: &Bucket<T>, leaves_reserve: bool) -> Option<Instant> {
        if !self.slots.has_room(leaves_reserve) || !bucket.slots.has_room(leaves_reserve) {
            return None;
        }
        let reserve = |quota: &Quota| if leaves_reserve { quota.reserve() } else { 0 };
        let own = bucket.quota.ready_at(reserve(&bucket.quota));
        Some(self.app.as_ref().map_or(own, |app| own.max(app.ready_at(reserve(app)))))
    }

    /// When to look again, if nothing ends until then; none where that would not help.
    pub fn next_at(&self) -> Option<Instant> {
        let is_owed = self.share.is_due();
        let buckets = self.order.iter().filter_map(|name| self.buckets.get(name));
        let ready = buckets.filter_map(|bucket| self.ready_at(bucket, bucket.pick(false, is_owed).is_none()));
        ready.min()
    }

    /// How long a waiting call has to wait at least by its quotas, and whether there is room for it now.
    pub fn outlook(&self, bucket: &str, priority: Priority, place: Place, now: Instant) -> (Duration, bool) {
        let Some(known) = self.buckets.get(bucket) else { return (Duration::ZERO, true) };
        let ahead = match priority {
            Priority::Live => known.live.ahead_of(place),
            Priority::Listing => known.listing.ahead_of(place) + known.live.len(),
        };
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let own = known.quota.ready_at(0).max(now) + known.quota.interval().saturating_mul(ahead);
        let ready_at = self.app.as_ref().map_or(own, |app| own.max(app.ready_at(0)));
        (ready_at.saturating_duration_since(now), self.slots.has_room(false) && known.slots.has_room(false))
    }

    fn note_left(&mut self, priority: Priority) {
        self.waiting = self.waiting.saturating_sub(1);
        if priority == Priority::Listing {
            self.listing_waiting = self.listing_waiting.saturating_sub(1);
        }
    }
}
