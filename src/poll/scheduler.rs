//! When feeds are polled: one run a feed at a time, a bounded number at once, in the order they are due.

use super::cycle::{self, Polled};
use super::error::PollError;
use super::transport::Vendors;
use crate::ids::FeedId;
use crate::store::{DueFeed, Duty, Fence, ShardId, StoreError, Wake};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Due feeds looked at in one go.
const LOOK_AHEAD: usize = 512;
/// The soonest that due feeds are looked at again: a look costs the same for one feed that woke it as for a thousand.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// The longest sleep without looking: the safety net under the wakes.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// How far our clock may go back against the time that passed before the feeds' due times are looked through.
const CLOCK_SLACK: TimeDelta = TimeDelta::seconds(1);
/// Feeds looked through then.
const FEEDS_REVIEWED_MAX: usize = 100_000;
/// Feeds whose states are read at a time.
const FEEDS_PER_READ: usize = 500;
/// The wait after the store could not be read.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Shards whose due times have been looked through: the epoch of each, and the term.
type Reviewed = BTreeMap<ShardId, (Fence, u64)>;

/// Starts polls when they are due.
pub struct Scheduler {
    vendors: Arc<Vendors>,
    running: Arc<Mutex<HashSet<FeedId>>>,
    slots: Arc<Semaphore>,
    ended: Arc<Notify>,
    started: mpsc::Sender<FeedId>,
    tasks: TaskTracker,
}

impl Scheduler {
    /// A scheduler; feeds that were polled for the first time are told to `started`.
    pub fn new(vendors: Arc<Vendors>, started: mpsc::Sender<FeedId>) -> Self {
        let slots = Arc::new(Semaphore::new(vendors.context.limits.poll.runs_max));
        Scheduler {
            vendors,
            running: Arc::default(),
            slots,
            ended: Arc::new(Notify::new()),
            started,
            tasks: TaskTracker::new(),
        }
    }

    /// Polls until told to stop, then waits for the runs under way: they end at the next page.
    pub async fn run(self, stop: CancellationToken) {
        let mut wakes = self.vendors.context.store.wakes();
        let mut leases = self.vendors.context.leases.changes();
        let (mut last_look, mut reviewed) = (None, Reviewed::new());
        loop {
            last_look = Some(self.notice_jump(last_look, &mut reviewed).await);
            let next = match self.start_due(&stop).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "due feeds could not be looked up");
                    self.vendors.context.clock.now() + TimeDelta::from_std(STORE_RETRY).unwrap_or_default()
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = leases.changed() => {}
                () = self.ended.notified() => {}
                () = feed_due(&mut wakes) => {}
                () = self.vendors.context.clock.sleep_until(next) => {}
            }
            let since = last_look.map_or(LOOK_AGAIN, |(looked, _)| looked.elapsed());
            let rest = self.vendors.context.clock.sleep(LOOK_AGAIN.saturating_sub(since));
            if since < LOOK_AGAIN && stop.run_until_cancelled(rest).await.is_none() {
                break;
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Where our clock has gone back, due times from before it would keep feeds waiting for as long: those that were
    /// polled in what is now the future are due at once. For shards just won it may have gone back while nobody looked.
    /// Answers when it looked.
    async fn notice_jump(
        &self,
        last_look: Option<(Instant, DateTime<Utc>)>,
        reviewed: &mut Reviewed,
    ) -> (Instant, DateTime<Utc>) {
        let context = &self.vendors.context;
        let (instant, now) = (Instant::now(), context.clock.now());
        let has_gone_back = last_look.is_some_and(|(then, shown)| {
            let passed = TimeDelta::from_std(instant - then).unwrap_or(TimeDelta::MAX);
            now - shown < passed - CLOCK_SLACK
        });
        if has_gone_back {
            reviewed.clear();
        }
        let shards = context.leases.shards(Duty::Poll).into_iter();
        let leases = shards.filter_map(|shard| context.leases.lease(Duty::Poll, shard));
        let held: Reviewed = leases.map(|lease| (lease.fence.shard, (lease.fence, lease.term))).collect();
        let new = held.iter().filter(|(shard, lease)| reviewed.get(shard) != Some(lease));
        let new: Vec<ShardId> = new.map(|(shard, _)| *shard).collect();
        *reviewed = held;
        if !new.is_empty()
            && let Err(error) = self.review(&new, now).await
        {
            tracing::error!(%error, "feeds that may be due could not be looked through; it is tried again");
            reviewed.retain(|shard, _| !new.contains(shard));
        }
        (instant, now)
    }

    async fn review(&self, shards: &[ShardId], now: DateTime<Utc>) -> Result<(), StoreError> {
        let context = &self.vendors.context;
        let due = context.store.due_feeds(shards, DateTime::<Utc>::MAX_UTC, FEEDS_REVIEWED_MAX).await?;
        let later: Vec<FeedId> = due.into_iter().filter(|due| due.due_at > now).map(|due| due.feed).collect();
        for feeds in later.chunks(FEEDS_PER_READ) {
            for (feed, state) in feeds.iter().zip(context.store.feed_states(feeds).await?) {
                if state.checked_at.is_some_and(|checked_at| checked_at > now) {
                    context.store.ping_feed(*feed, now).await?;
                }
            }
        }
        Ok(())
    }

    /// Starts what is due and has a slot; answers when to look again.
    async fn start_due(&self, stop: &CancellationToken) -> Result<DateTime<Utc>, StoreError> {
        let context = &self.vendors.context;
        let now = context.clock.now();
        let at_latest = now + TimeDelta::from_std(LOOK_AT_LEAST_EVERY).unwrap_or_default();
        for due in context.store.due_feeds(&context.leases.shards(Duty::Poll), now, LOOK_AHEAD).await? {
            if due.due_at > now {
                return Ok(due.due_at.min(at_latest));
            }
            if self.is_running(due.feed) {
                continue;
            }
            let Ok(slot) = self.slots.clone().try_acquire_owned() else {
                // A run that ends wakes us.
                return Ok(at_latest);
            };
            self.start(due, slot, stop.clone());
        }
        Ok(at_latest)
    }

    fn is_running(&self, feed: FeedId) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).contains(&feed)
    }

    fn start(&self, due: DueFeed, slot: tokio::sync::OwnedSemaphorePermit, stop: CancellationToken) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(due.feed);
        let (vendors, running, ended) = (self.vendors.clone(), self.running.clone(), self.ended.clone());
        let started = self.started.clone();
        self.tasks.spawn(async move {
            let polled = stop.run_until_cancelled(Box::pin(poll(&vendors, due))).await;
            if let Some(Ok(Polled::Started)) = polled {
                // Where nobody listens any more the node is stopping.
                let _ = started.send(due.feed).await;
            }
            match polled {
                // What was due may still be listed as due: another node's, or on its way out of the store.
                Some(Ok(Polled::Gone)) => vendors.context.clock.sleep(STORE_RETRY).await,
                Some(Err(error)) => {
                    tracing::error!(feed = %due.feed, %error, "a poll could not be kept; it is made again");
                    vendors.context.clock.sleep(STORE_RETRY).await;
                }
                Some(Ok(Polled::Started | Polled::Done)) | None => {}
            }
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&due.feed);
            drop(slot);
            ended.notify_one();
        });
    }
}

async fn poll(vendors: &Vendors, due: DueFeed) -> Result<Polled, PollError> {
    let Some(lease) = vendors.context.leases.lease(Duty::Poll, due.shard) else { return Ok(Polled::Gone) };
    let Some(start) = vendors.context.store.poll_start(due.feed).await? else { return Ok(Polled::Gone) };
    match cycle::poll(vendors, start, lease.fence).await {
        Err(PollError::Gone) => Ok(Polled::Gone),
        other => other,
    }
}

/// Waits until some feed may be due sooner than was known.
async fn feed_due(wakes: &mut broadcast::Receiver<Wake>) {
    loop {
        match wakes.recv().await {
            Ok(Wake::FeedDue(_) | Wake::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
