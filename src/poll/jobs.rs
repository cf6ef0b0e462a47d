//! Listing jobs: started when they are made, while their spool has room and their feed has begun; taken up again after
//! a restart.
//!
//! A job has a task only while it fetches. It rests when its spool is full, and goes on when the webhook was served.

use super::error::PollError;
use super::listing::{JobWalk, Listing};
use super::transport::{CallCost, Vendors};
use crate::ids::{FeedId, JobId};
use crate::store::{Duty, JobMode, JobState, ListingJob, ShardId, StoreError, Wake};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Jobs read from the store in one go.
const SCAN_ROWS: usize = 256;
/// Walks of resting jobs that are kept; others are made anew from where they stood.
const WALKS_MAX: usize = 1_000;
/// How often all open jobs are looked at: the safety net under the wakes.
const SCAN_EVERY: Duration = Duration::from_secs(60);
/// The wait after the store could not be read or written.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What is known of jobs in memory.
#[derive(Default)]
struct Known {
    /// Fetching now; true if woken meanwhile.
    running: HashMap<JobId, bool>,
    /// Waiting for their feed's first poll.
    waiting: HashMap<FeedId, BTreeSet<JobId>>,
    /// Of jobs that rest.
    walks: HashMap<JobId, JobWalk>,
}

/// What came of a job's turn.
enum Stepped {
    /// A page is listed, and there is more.
    Listed,
    /// It waits: for its feed, for deliveries, or because it is another node's.
    Rests,
    /// There is nothing more to list.
    Ended,
}

/// Runs listing jobs.
#[derive(Clone)]
pub struct Jobs {
    pub(super) vendors: Arc<Vendors>,
    known: Arc<Mutex<Known>>,
    slots: Arc<Semaphore>,
    hurry: Arc<Notify>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Jobs {
    /// None running yet.
    pub fn new(vendors: Arc<Vendors>, stop: CancellationToken) -> Self {
        let slots = Arc::new(Semaphore::new(vendors.context.limits.poll.jobs_max));
        Jobs { vendors, known: Arc::default(), slots, hurry: Arc::default(), tasks: TaskTracker::new(), stop }
    }

    /// Runs jobs until told to stop. `started` tells of feeds that were polled for the first time.
    pub async fn run(self, mut started: mpsc::Receiver<FeedId>) {
        let mut wakes = self.vendors.context.store.wakes();
        let mut leases = self.vendors.context.leases.changes();
        let mut scan_at = self.scan_all().await;
        loop {
            let wait = scan_at.saturating_duration_since(Instant::now());
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(feed) = started.recv() => self.feed_started(feed),
                () = leases.changed() => scan_at = self.scan_all().await,
                () = self.vendors.context.clock.sleep(wait) => scan_at = self.scan_all().await,
                wake = wakes.recv() => match wake {
                    Ok(Wake::JobChanged(job, _)) => self.wake(job),
                    Ok(Wake::ConnectionChanged(_)) => self.hurry.notify_waiters(),
                    Ok(Wake::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => scan_at = self.scan_all().await,
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Closed) => break,
                },
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn feed_started(&self, feed: FeedId) {
        let waiting = self.known.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&feed);
        for job in waiting.into_iter().flatten() {
            self.wake(job);
        }
    }

    /// Looks at all open jobs, and answers when to do so again.
    async fn scan_all(&self) -> Instant {
        for shard in self.vendors.context.leases.shards(Duty::Poll) {
            if let Err(error) = self.scan(shard).await {
                tracing::error!(shard = shard.0, %error, "open listing jobs could not be looked up; they are soon again");
                return Instant::now() + STORE_RETRY;
            }
        }
        Instant::now() + SCAN_EVERY
    }

    async fn scan(&self, shard: ShardId) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let jobs = self.vendors.context.store.open_jobs(shard, after, SCAN_ROWS).await?;
            for job in jobs.iter().filter(|job| job.state == JobState::Running) {
                self.wake(job.id);
            }
            match jobs.last() {
                Some(last) if jobs.len() == SCAN_ROWS => after = Some(last.id),
                _ => return Ok(()),
            }
        }
    }

    /// Starts a task for a job, or tells the one it has to look again.
    fn wake(&self, job: JobId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(woken) = known.running.get_mut(&job) {
            *woken = true;
            return;
        }
        known.running.insert(job, false);
        drop(known);
        let jobs = self.clone();
        self.tasks.spawn(async move {
            loop {
                let Some(()) = jobs.stop.run_until_cancelled(Box::pin(jobs.work(job))).await else { return };
                let mut known = jobs.known.lock().unwrap_or_else(PoisonError::into_inner);
                match known.running.get_mut(&job) {
                    Some(woken @ true) => *woken = false,
                    _ => {
                        known.running.remove(&job);
                        return;
                    }
                }
            }
        });
    }

    /// Lists pages until the job ends or has to rest. A history that cannot be listed is tried again for as long as it
    /// takes: what mends the feed, new credentials or another address, mends it too.
    async fn work(&self, id: JobId) {
        let mut walk = self.known.lock().unwrap_or_else(PoisonError::into_inner).walks.remove(&id);
        self.list(id, &mut walk).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(walk) = walk {
            if known.walks.len() >= WALKS_MAX {
                known.walks.clear();
            }
            known.walks.insert(id, walk);
        }
    }

    async fn list(&self, id: JobId, walk: &mut Option<JobWalk>) {
        let limits = &self.vendors.context.limits.poll;
        let (mut failures, mut cost) = (0u32, CallCost::default());
        loop {
            let error = match self.step(id, walk, &mut cost).await {
                Ok(Stepped::Listed) => {
                    failures = 0;
                    continue;
                }
                Ok(Stepped::Rests) => return,
                Ok(Stepped::Ended) | Err(PollError::Gone | PollError::Conflict) => return *walk = None,
                Err(PollError::Wait { wait, message }) => {
                    tracing::info!(job = %id, wait_ms = wait.as_millis(), "{message}");
                    self.vendors.context.clock.sleep(wait).await;
                    continue;
                }
                Err(PollError::Store(error)) => {
                    tracing::warn!(job = %id, error, "a page of history could not be kept; it is listed again");
                    self.vendors.context.clock.sleep(STORE_RETRY).await;
                    continue;
                }
                Err(error) => error,
            };
            failures = failures.saturating_add(1);
            if let Err(error) = self.note_failure(id, &error, failures, &mut cost).await {
                tracing::debug!(job = %id, %error, "a failure was not noted");
            }
            if error == PollError::CursorExpired {
                *walk = None;
            }
            let wait = limits.retry_base_ms.saturating_mul(2 << failures.min(20)).min(limits.failure_wait_max_ms);
            let wait = Duration::from_millis(self.vendors.context.random.up_to(wait).max(limits.retry_base_ms));
            tokio::select! {
                biased;
                () = self.hurry.notified() => {}
                () = self.vendors.context.clock.sleep(wait) => {}
            }
        }
    }

    /// One page, if it is time for one.
    async fn step(&self, id: JobId, walk: &mut Option<JobWalk>, cost: &mut CallCost) -> Result<Stepped, PollError> {
        let store = &self.vendors.context.store;
        let Some(job) = store.job(id).await? else { return Ok(Stepped::Ended) };
        let Some(lease) = self.vendors.context.leases.lease(Duty::Poll, job.shard) else { return Ok(Stepped::Rests) };
        if job.state != JobState::Running {
            return Ok(Stepped::Ended);
        }
        if job.spooled() >= self.spool_max(&job) {
            return Ok(Stepped::Rests);
        }
        let Some(feed) = store.feed(job.feed_id).await? else { return Ok(Stepped::Ended) };
        if !self.has_started(&job).await? {
            return Ok(Stepped::Rests);
        }
        let Some(connection) = store.connection(feed.connection_id).await? else { return Ok(Stepped::Ended) };
        if connection.is_paused {
            self.let_log_go(&job).await?;
            return Ok(Stepped::Rests);
        }
        // Held for one page alone: a job that waits for its receiver takes no slot from others.
        let Ok(_slot) = self.slots.acquire().await else { return Ok(Stepped::Rests) };
        let mut listing = Listing::new(&self.vendors, &connection, &feed, lease.fence)?;
        if job.mode == JobMode::CatchUp {
            let Some(webhook) = store.webhook(job.webhook_id).await? else { return Ok(Stepped::Ended) };
            listing = listing.catching_up(webhook.event);
        }
        let parents = listing.parents(&job, cost).await?;
        let listed = match job.mode {
            JobMode::Initial | JobMode::CatchUp => listing.step(&job, parents.as_ref(), walk, cost).await,
            JobMode::Backfill if !store.claim_turn(lease.fence, id).await? => return Ok(Stepped::Rests),
            JobMode::Backfill => self.within_turn(listing.step(&job, parents.as_ref(), walk, cost)).await,
        };
        if matches!(listed, Err(PollError::Wait { .. })) {
            self.let_log_go(&job).await?;
        }
        Ok(if listed?.state == JobState::Running { Stepped::Listed } else { Stepped::Ended })
    }

    /// Pages that may wait for delivery: of a back-fill, those of one answer.
    fn spool_max(&self, job: &ListingJob) -> u64 {
        match job.mode {
            JobMode::Initial | JobMode::CatchUp => self.vendors.context.limits.poll.spool_pages_max,
            JobMode::Backfill => 1,
        }
    }

    /// Changes wait while a back-fill asks for a page, so that it may not take long.
    async fn within_turn<T>(&self, page: impl Future<Output = Result<T, PollError>>) -> Result<T, PollError> {
        let longest = Duration::from_millis(self.vendors.context.limits.poll.request_deadline_ms);
        let late = || format!("a page of history did not come within {} ms", longest.as_millis());
        tokio::time::timeout(longest, page).await.unwrap_or_else(|_| Err(PollError::Transient(late())))
    }

    /// History is listed once its feed has begun, so that what changes meanwhile is told by one or the other.
    async fn has_started(&self, job: &ListingJob) -> Result<bool, PollError> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
            .entry(job.feed_id)
            .or_default()
            .insert(job.id);
        let state = self.vendors.context.store.feed_state(job.feed_id).await?;
        if state.started_at.is_none() {
            return Ok(false);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = known.waiting.get_mut(&job.feed_id) {
            waiting.remove(&job.id);
            if waiting.is_empty() {
                known.waiting.remove(&job.feed_id);
            }
        }
        Ok(true)
    }
}
