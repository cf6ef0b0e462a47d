//! Listing jobs: started when they are made, while their spool has room and their feed has begun; taken up again after
//! a restart.
//!
//! A job has a task only while it fetches. It rests when its spool is full, and goes on when the webhook was served.

use super::error::PollError;
use super::listing::Listing;
use super::transport::Vendors;
use crate::ids::{FeedId, JobId};
use crate::store::{JobState, ListingCommit, ListingJob, ShardId, StoreError, Wake};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Jobs read from the store in one go.
const SCAN_ROWS: usize = 256;
/// How often all open jobs are looked at: the safety net under the wakes.
const SCAN_EVERY: Duration = Duration::from_secs(60);

/// What is known of jobs in memory.
#[derive(Debug, Default)]
struct Known {
    /// Fetching now; true if woken meanwhile.
    running: HashMap<JobId, bool>,
    /// Waiting for their feed's first poll.
    waiting: HashMap<FeedId, HashSet<JobId>>,
}

/// Runs listing jobs.
#[derive(Clone)]
pub struct Jobs {
    vendors: Arc<Vendors>,
    known: Arc<Mutex<Known>>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Jobs {
    /// None running yet.
    pub fn new(vendors: Arc<Vendors>, stop: CancellationToken) -> Self {
        let slots = Arc::new(Semaphore::new(vendors.context.limits.poll.jobs_max));
        Jobs { vendors, known: Arc::default(), slots, tasks: TaskTracker::new(), stop }
    }

    /// Runs jobs until told to stop. `started` tells of feeds that were polled for the first time.
    pub async fn run(self, mut started: mpsc::Receiver<FeedId>) {
        let mut wakes = self.vendors.context.store.wakes();
        let mut leases = self.vendors.context.leases.changes();
        self.scan_all().await;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(feed) = started.recv() => self.feed_started(feed),
                _ = leases.changed() => self.scan_all().await,
                () = self.vendors.context.clock.sleep(SCAN_EVERY) => self.scan_all().await,
                wake = wakes.recv() => match wake {
                    Ok(Wake::JobChanged(job, _)) => self.wake(job),
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => self.scan_all().await,
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

    async fn scan_all(&self) {
        for shard in self.vendors.context.leases.shards() {
            if let Err(error) = self.scan(shard).await {
                tracing::error!(shard = shard.0, %error, "open listing jobs could not be looked up");
                return;
            }
        }
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

    /// Lists pages until the job ends or has to rest.
    async fn work(&self, id: JobId) {
        let limits = &self.vendors.context.limits.poll;
        let mut walk = None;
        let mut failures = None;
        loop {
            let stepped = self.step(id, &mut walk).await;
            match stepped {
                Ok(true) => failures = None,
                Ok(false) => return,
                Err(PollError::Gone | PollError::Conflict) => return,
                Err(PollError::Wait { wait, message }) => {
                    tracing::info!(job = %id, wait_ms = wait.as_millis(), "{message}");
                    self.vendors.context.clock.sleep(wait).await;
                }
                Err(PollError::CursorExpired) if failures.is_none() => {
                    failures = Some(1);
                    if self.restart(id).await.is_err() {
                        return;
                    }
                    walk = None;
                }
                Err(PollError::Transient(message)) => {
                    let count = failures.unwrap_or(0u32).saturating_add(1);
                    failures = Some(count);
                    let wait = limits.retry_base_ms.saturating_mul(2 << count.min(20)).min(limits.failure_wait_max_ms);
                    tracing::warn!(job = %id, failures = count, "a page of history could not be listed: {message}");
                    self.vendors
                        .context
                        .clock
                        .sleep(Duration::from_millis(self.vendors.context.random.up_to(wait)))
                        .await;
                }
                Err(error) => {
                    self.fail(id, &error).await;
                    return;
                }
            }
        }
    }

    /// One page. False where the job rests: ended, waiting for its feed or for deliveries, another node's.
    async fn step(&self, id: JobId, walk: &mut Option<super::listing::JobWalk>) -> Result<bool, PollError> {
        let store = &self.vendors.context.store;
        let Some(job) = store.job(id).await? else { return Ok(false) };
        let is_full = job.spooled() >= self.vendors.context.limits.poll.spool_pages_max;
        let Some(lease) = self.vendors.context.leases.lease(job.shard) else { return Ok(false) };
        if job.state != JobState::Running || is_full {
            return Ok(false);
        }
        let Some(feed) = store.feed(job.feed_id).await? else { return Ok(false) };
        if !self.has_started(&job).await? {
            return Ok(false);
        }
        let Some(connection) = store.connection(feed.connection_id).await? else { return Ok(false) };
        if connection.is_paused {
            return Ok(false);
        }
        // Held for one page alone: a job that waits for its receiver takes no slot from others.
        let Ok(_slot) = self.slots.acquire().await else { return Ok(false) };
        let listing = Listing::new(&self.vendors, &connection, &feed, lease.fence)?;
        let job = listing.step(&job, walk).await?;
        Ok(job.state == JobState::Running)
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

    /// The vendor's token is no longer accepted: the parent's listing begins anew. What was told may be told again.
    async fn restart(&self, id: JobId) -> Result<(), PollError> {
        self.write(id, |_| JobState::Running, true).await
    }

    async fn fail(&self, id: JobId, error: &PollError) {
        tracing::warn!(job = %id, %error, "a listing job has failed");
        let (code, message) = match error {
            PollError::Permanent { code, message } => ((*code).to_owned(), message.clone()),
            PollError::Credential { code, .. } => (code.clone(), error.to_string()),
            other => ("error".to_owned(), other.to_string()),
        };
        let state = JobState::Failed { code, message };
        if let Err(error) = self.write(id, |_| state.clone(), false).await {
            tracing::error!(job = %id, %error, "the failure of a listing job could not be kept");
        }
    }

    async fn write(
        &self,
        id: JobId,
        state: impl Fn(&ListingJob) -> JobState,
        from_start: bool,
    ) -> Result<(), PollError> {
        let context = &self.vendors.context;
        let job = context.store.job(id).await?.ok_or(PollError::Gone)?;
        let lease = context.leases.lease(job.shard).ok_or(PollError::Gone)?;
        let commit = ListingCommit {
            fence: lease.fence,
            job: id,
            parent: job.parent.clone(),
            checkpoint: job.checkpoint.clone().filter(|_| !from_start),
            state: state(&job),
            pages: Vec::new(),
            total: job.total,
            failures: job.failures,
            at: context.clock.now(),
        };
        context.store.commit_listing(commit).await?;
        Ok(())
    }
}
