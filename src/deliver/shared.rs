//! What all pumps share.

use super::derive::DeriveKey;
use super::keys::{KeyError, Keyring};
use super::outputs::Outputs;
use super::pages::{PageCache, PageError};
use super::slots::Slots;
use super::trim::Marks;
use crate::context::Context;
use crate::leases::Lease;
use crate::store::{AttemptFinish, Fence, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The first wait after the store did not take an outcome; it doubles.
const KEEP_WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest such wait.
const KEEP_WAIT_MAX: Duration = Duration::from_secs(10);

/// Tries to keep an outcome once the process is to stop.
const KEEP_TRIES_AT_STOP: u32 = 3;

/// How much longer than an attempt's deadline a drain may take: for the outcome to be kept.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

/// Why a pump ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Halt {
    /// Nothing is left to deliver.
    #[error("nothing to deliver")]
    Idle,
    /// The webhook rests: paused, unhealthy, or its connection is paused.
    #[error("the webhook rests")]
    Resting,
    /// The webhook is deleted.
    #[error("the webhook is deleted")]
    Gone,
    /// Its shard is another node's.
    #[error("its shard is another node's")]
    Elsewhere,
    /// Its batch waits for another attempt.
    #[error("the next attempt is at {0}")]
    Retry(DateTime<Utc>),
    /// Others wait for their turn.
    #[error("others wait for their turn")]
    Yield,
    /// Too many wait for its host.
    #[error("too many wait for {host}")]
    Crowded {
        /// The host.
        host: Arc<str>,
        /// True if its batch is tried again.
        is_retry: bool,
    },
    /// Its host is slow, and others wait for the slow pool.
    #[error("its host is slow, and others wait")]
    Slow {
        /// True if its batch is tried again.
        is_retry: bool,
    },
    /// Something does not work now.
    #[error("{0}")]
    Later(String),
    /// The process is to stop.
    #[error("the process is to stop")]
    Stopped,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing(_) => Halt::Gone,
            StoreError::Fenced(_) => Halt::Elsewhere,
            other => Halt::Later(other.to_string()),
        }
    }
}

impl From<PageError> for Halt {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Store(error) => error.into(),
            PageError::Page(error) => Halt::Later(error.to_string()),
        }
    }
}

impl From<KeyError> for Halt {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            other => Halt::Later(other.to_string()),
        }
    }
}

/// What all pumps share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) stop: CancellationToken,
    pub(super) derive: DeriveKey,
    pub(super) pages: PageCache,
    pub(super) keyring: Keyring,
    pub(super) outputs: Outputs,
    pub(super) slots: Arc<Slots>,
    pub(super) marks: Marks,
    /// True while webhooks wait for a pump.
    pub(super) is_queue_waiting: AtomicBool,
    /// Outcomes that the store has not taken though it was asked.
    failing: AtomicUsize,
}

/// The key of the store's keyed hashes.
pub(super) async fn store_key(context: &Context) -> Result<[u8; 32], StoreError> {
    let mut fresh = [0; 32];
    context.random.fill(&mut fresh).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    context.store.store_key(fresh).await
}

impl Shared {
    pub(super) fn new(context: Context, stop: CancellationToken, store_key: &[u8; 32]) -> Arc<Self> {
        let limits = &context.limits;
        // A page may hold one record as large as a vendor's answer, as an object and raw.
        let page_bytes_max = limits.poll.response_bytes_max.max(limits.poll.log_page_bytes_max).saturating_mul(2);
        Arc::new(Shared {
            derive: DeriveKey::new(store_key),
            pages: PageCache::new(limits.deliver.page_cache_bytes_max, page_bytes_max),
            keyring: Keyring::default(),
            outputs: Outputs::default(),
            slots: Slots::new(&limits.deliver),
            marks: Marks::default(),
            is_queue_waiting: AtomicBool::new(false),
            failing: AtomicUsize::new(0),
            context,
            stop,
        })
    }

    /// Lets attempts that are under way end, once no more begin.
    pub(super) async fn drain<T: 'static>(&self, tasks: &mut JoinSet<T>) {
        let limit = Duration::from_millis(self.context.limits.deliver.attempt_deadline_ms) + DRAIN_SLACK;
        if tokio::time::timeout(limit, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(
                left = tasks.len(),
                "attempts did not end in time; their batches are sent again at the next start"
            );
        }
    }

    /// True while the store does not take outcomes: then nothing is sent.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) > 0
    }

    /// Keeps an outcome. While the store is not available it is tried again, for as long as the lease is ours.
    pub(super) async fn keep(self: Arc<Self>, finish: AttemptFinish) -> Result<(), Halt> {
        let first = match self.context.store.finish_attempt(finish.clone()).await {
            Ok(()) => return Ok(()),
            Err(error @ StoreError::Unavailable(_)) => error,
            Err(error) => return Err(self.refused(error)),
        };
        tracing::error!(webhook_id = %finish.webhook, error = %first, "an outcome could not be kept; nothing is sent until it is");
        let _failing = Failing::begin(&self.failing);
        let mut wait = KEEP_WAIT_MIN;
        let mut tries_at_stop = 0;
        loop {
            self.context.clock.sleep(wait).await;
            wait = (wait * 2).min(KEEP_WAIT_MAX);
            match self.context.store.finish_attempt(finish.clone()).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Unavailable(_)) if tries_at_stop < KEEP_TRIES_AT_STOP => {}
                Err(error) => return Err(self.refused(error)),
            }
            tries_at_stop += u32::from(self.stop.is_cancelled());
        }
    }

    fn refused(&self, error: StoreError) -> Halt {
        if let StoreError::Fenced(fence) = &error {
            self.context.leases.lost(*fence);
        }
        error.into()
    }

    /// The lease, if it is the one that the work began with, and an attempt that begins now ends within it.
    pub(super) fn lease(&self, held: &Lease) -> Result<Lease, Halt> {
        let Fence { duty, shard, .. } = held.fence;
        let lease = self.context.leases.lease(duty, shard).ok_or(Halt::Elsewhere)?;
        if lease.fence != held.fence {
            // Another node may have gone on meanwhile: what was read is to be read anew.
            return Err(Halt::Yield);
        }
        let deadline = i64::try_from(self.context.limits.deliver.attempt_deadline_ms).unwrap_or(i64::MAX);
        let ends_at: DateTime<Utc> = self.context.clock.now() + TimeDelta::milliseconds(deadline);
        if ends_at > lease.expires_at {
            return Err(Halt::Later("the lease ends before an attempt would".to_owned()));
        }
        Ok(lease)
    }
}

/// Counts an outcome as not kept for as long as it lives.
struct Failing<'a>(&'a AtomicUsize);

impl<'a> Failing<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Failing(count)
    }
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
