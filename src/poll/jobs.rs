//! Listing jobs: started when they are made, while their spool has room and their feed has begun; taken up again after
//! a restart.
//!
//! A job has a task only while it fetches. It rests when its spool is full, and goes on when the webhook was served.

use super::error::PollError;
use super::listing::Listing;
use super::transport::Vendors;
use crate::ids::{FeedId, JobId};
use crate::store::{
    ApiCall, CallKind, Connection, Feed, JobState, ListingCommit, ListingJob, ShardId, StoreError, Wake,
};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Jobs read from the store in one go.
const SCAN_ROWS: usize = 256;
/// How often a listing begins anew because the vendor no longer accepts its token, before it is given up.
const RESTARTS_MAX: u32 = 10;
/// Jobs whose restarts are remembered.
const RESTARTED_JOBS_MAX: usize = 10_000;
/// How often all open jobs are looked at: the safety net under the wakes.
const SCAN_EVERY: Duration = Duration::from_secs(60);

/// What is known of jobs in memory.
#[derive(Debug, Default)]
struct Known {
    /// Fetching now; true if woken meanwhile.
    running: HashMap<JobId, bool>,
    /// Waiting for their feed's first poll.
    waiting: HashMap<FeedId, HashSet<JobId>>,
    /// How often their listings began anew.
    restarts: HashMap<JobId, u32>,
}

/// Runs listing jobs.
#[derive(Clone)]
pub struct Jobs {
    vendors: Arc<Vendors>,
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
        self.scan_all().await;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(feed) = started.recv() => self.feed_started(feed),
                _ = leases.changed() => self.scan_all().await,
                () = self.vendors.context.clock.sleep(SCAN_EVERY) => self.scan_all().await,
                wake = wakes.recv() => match wake {
                    Ok(Wake::JobChanged(job, _)) => self.wake(job),
                    Ok(Wake::ConnectionChanged(_)) => self.hurry.notify_waiters(),
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

    /// Lists pages until the job ends or has to rest. A history that cannot be listed is tried again for as long as it
    /// takes: what mends the feed, new credentials or another address, mends it too.
    async fn work(&self, id: JobId) {
        let limits = &self.vendors.context.limits.poll;
        let (mut walk, mut failures) = (None, 0u32);
        loop {
            let error = match self.step(id, &mut walk).await {
                Ok(true) => {
                    failures = 0;
                    continue;
                }
                Ok(false) | Err(PollError::Gone | PollError::Conflict) => return,
                Err(PollError::Wait { wait, message }) => {
                    tracing::info!(job = %id, wait_ms = wait.as_millis(), "{message}");
                    self.vendors.context.clock.sleep(wait).await;
                    continue;
                }
                Err(error) => error,
            };
            failures = failures.saturating_add(1);
            if let Err(error) = self.note_failure(id, &error, failures).await {
                tracing::debug!(job = %id, %error, "a failure was not noted");
            }
            if error == PollError::CursorExpired {
                walk = None;
                if self.count_restart(id) > RESTARTS_MAX {
                    return self.give_up(id).await;
                }
            }
            let wait = limits.retry_base_ms.saturating_mul(2 << failures.min(20)).min(limits.failure_wait_max_ms);
            let wait = Duration::from_millis(self.vendors.context.random.up_to(wait).max(limits.retry_base_ms));
            tokio::select! {
                () = self.vendors.context.clock.sleep(wait) => {}
                () = self.hurry.notified() => {}
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

    fn count_restart(&self, id: JobId) -> u32 {
        let restarts = &mut self.known.lock().unwrap_or_else(PoisonError::into_inner).restarts;
        if restarts.len() >= RESTARTED_JOBS_MAX {
            restarts.clear();
        }
        let count = restarts.entry(id).or_default();
        *count += 1;
        *count
    }

    /// A listing whose tokens end before it does would be told from its beginning without end.
    async fn give_up(&self, id: JobId) {
        let message = format!("the vendor refused the token of a next page {RESTARTS_MAX} times; list less at a time");
        tracing::warn!(job = %id, "{message}");
        let failed = JobState::Failed { code: "cursor_expired".to_owned(), message };
        if let Err(error) = self.write_state(id, failed).await {
            tracing::error!(job = %id, %error, "the failure of a listing job could not be kept");
        }
    }

    async fn write_state(&self, id: JobId, state: JobState) -> Result<(), PollError> {
        let context = &self.vendors.context;
        let job = context.store.job(id).await?.ok_or(PollError::Gone)?;
        let lease = context.leases.lease(job.shard).ok_or(PollError::Gone)?;
        let commit = ListingCommit {
            fence: lease.fence,
            job: id,
            parent: job.parent,
            checkpoint: job.checkpoint,
            state,
            pages: Vec::new(),
            total: job.total,
            failures: job.failures,
            at: context.clock.now(),
        };
        context.store.commit_listing(commit).await?;
        Ok(())
    }

    /// Says what went wrong where a person looks for it, once in a row of failures; a token that the vendor no longer
    /// accepts is dropped, so that the parent's listing begins anew. What was told may be told again then.
    async fn note_failure(&self, id: JobId, error: &PollError, failures: u32) -> Result<(), PollError> {
        let context = &self.vendors.context;
        let job = context.store.job(id).await?.ok_or(PollError::Gone)?;
        let lease = context.leases.lease(job.shard).ok_or(PollError::Gone)?;
        if failures == 1 {
            tracing::warn!(job = %id, webhook = %job.webhook_id, %error, "history cannot be listed; it is tried again");
            let feed = context.store.feed(job.feed_id).await?.ok_or(PollError::Gone)?;
            let connection = context.store.connection(feed.connection_id).await?.ok_or(PollError::Gone)?;
            context.store.record_call(failed_call(&feed, &connection, &job, error, context.clock.now())).await?;
        }
        let commit = ListingCommit {
            fence: lease.fence,
            job: id,
            parent: job.parent,
            checkpoint: job.checkpoint.filter(|_| *error != PollError::CursorExpired),
            state: JobState::Running,
            pages: Vec::new(),
            total: job.total,
            failures,
            at: context.clock.now(),
        };
        context.store.commit_listing(commit).await?;
        Ok(())
    }
}

fn failed_call(
    feed: &Feed,
    connection: &Connection,
    job: &ListingJob,
    error: &PollError,
    now: DateTime<Utc>,
) -> ApiCall {
    ApiCall {
        id: String::new(),
        workspace_id: feed.workspace_id,
        connection_id: feed.connection_id,
        feed_id: feed.id,
        webhook_id: Some(job.webhook_id),
        integration: feed.integration.clone(),
        environment: connection.environment.clone(),
        external_xref: connection.external_xref.clone(),
        kind: CallKind::Inbound,
        method: "GET".to_owned(),
        name: format!("{} history", feed.object_type),
        path: connection.profile.api_url.clone().unwrap_or_default(),
        status: 0,
        error: Some(error.to_string()),
        at: now,
        duration_ms: 0,
        size_bytes: 0,
        records: 0,
        requests: 1,
        count: 1,
        delivery: None,
        next: None,
    }
}
