//! Registers native webhooks at vendors in the background, and removes what is no longer wanted.
//!
//! Whoever made, paused or deleted a webhook has long been answered. What could not be done is tried again with
//! back-off for as long as it is wanted; a removal is given up after a while, since the ingress refuses what then comes.
//! A registration whose row is deleted while this process is down stays at the vendor, until a person removes it there.

use super::registration::{Known, Registrations};
use crate::context::Context;
use crate::ids::{FeedId, WebhookId};
use crate::poll::error::PollError;
use crate::poll::transport::Vendors;
use crate::store::{Duty, ShardId, StoreError, Wake, Webhook, WebhookKind};
use anyhook_connectors::contract::Registers;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Feeds settled at the same time.
const TASKS_MAX: usize = 8;
/// Rows read at once when all are looked through.
const ROWS_MAX: usize = 500;
/// The first wait before another try; it doubles, with full jitter.
const RETRY_BASE_MS: u64 = 2_000;
/// The wait after the store could not be read or written.
const STORE_RETRY: Duration = Duration::from_secs(2);
/// Tries to remove what nobody wants any more.
const REMOVAL_TRIES_MAX: u32 = 12;

type Settled = (FeedId, Option<Known>, Result<(), PollError>);

/// Works until told to stop.
pub async fn run(context: Context, vendors: Arc<Vendors>, stop: CancellationToken) {
    let mut registrar = Registrar {
        work: Registrations { context: context.clone(), vendors },
        known: HashMap::new(),
        feeds: HashMap::new(),
        queue: BTreeSet::new(),
        running: HashSet::new(),
        retries: HashMap::new(),
        look_at: None,
        tasks: JoinSet::new(),
    };
    let mut wakes = context.store.wakes();
    let mut shards = context.leases.changes();
    registrar.look_through().await;
    loop {
        registrar.start_tasks();
        let next = registrar.next_retry();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = shards.changed() => registrar.look_through().await,
            Some(done) = registrar.tasks.join_next() => match done {
                Ok(settled) => registrar.settled(settled),
                Err(error) => tracing::error!(%error, "a registration broke off"),
            },
            () = tokio::time::sleep_until(next), if !registrar.retries.is_empty() => registrar.retry_due(),
            () = until(registrar.look_at) => registrar.look_through().await,
            wake = wakes.recv() => match wake {
                Err(RecvError::Lagged(_)) => registrar.look_through().await,
                Ok(wake) => registrar.woken(wake).await,
                Err(RecvError::Closed) => break,
            },
        }
    }
    // A registration that was asked for is written down before this ends, or it would be asked for twice.
    while let Some(done) = registrar.tasks.join_next().await {
        if let Ok((feed, _, Err(error))) = done {
            tracing::warn!(%feed, %error, "a registration was not settled before the end");
        }
    }
}

/// Waits until then; for ever where that is never.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Registrar {
    work: Registrations,
    /// Feeds with native webhooks, or with a registration that is yet to be removed.
    known: HashMap<FeedId, Known>,
    /// Which feed a native webhook reads, for those that are gone from the store.
    feeds: HashMap<WebhookId, FeedId>,
    queue: BTreeSet<FeedId>,
    running: HashSet<FeedId>,
    retries: HashMap<FeedId, (u32, Instant)>,
    /// When all webhooks are looked through again, because that could not be done to the end.
    look_at: Option<Instant>,
    tasks: JoinSet<Settled>,
}

impl Registrar {
    fn holds(&self, shard: ShardId) -> bool {
        self.work.context.leases.lease(Duty::Poll, shard).is_some()
    }

    /// Looks through all webhooks of the shards this node holds.
    async fn look_through(&mut self) {
        let leases = self.work.context.leases.clone();
        self.known.retain(|_, known| leases.lease(Duty::Poll, known.webhook.shard).is_some());
        self.look_at = None;
        for shard in leases.shards(Duty::Poll) {
            if let Err(error) = self.look_through_shard(shard).await {
                tracing::warn!(shard = shard.0, %error, "webhooks could not be looked through; they are soon again");
                self.look_soon();
                break;
            }
        }
        self.queue.extend(self.known.keys());
    }

    fn look_soon(&mut self) {
        self.look_at = Some(Instant::now() + STORE_RETRY);
    }

    async fn look_through_shard(&mut self, shard: ShardId) -> Result<(), StoreError> {
        let store = self.work.context.store.clone();
        let mut after = None;
        loop {
            let webhooks = store.webhooks_of_shard(shard, after, ROWS_MAX).await?;
            webhooks.iter().for_each(|webhook| self.note(webhook));
            match webhooks.last() {
                Some(last) if webhooks.len() == ROWS_MAX => after = Some(last.id),
                _ => return Ok(()),
            }
        }
    }

    /// Queues a webhook's feed if there is something to register for it.
    fn note(&mut self, webhook: &Webhook) {
        let registers = anyhook_connectors::find(&webhook.integration)
            .and_then(|connector| connector.manifest().native)
            .is_some_and(|native| native.registers != Registers::No);
        if webhook.kind == WebhookKind::Native && registers && self.holds(webhook.shard) {
            self.feeds.insert(webhook.id, webhook.feed_id);
            self.queue.insert(webhook.feed_id);
        }
    }

    async fn woken(&mut self, wake: Wake) {
        match wake {
            Wake::WebhookChanged(id) => match self.work.context.store.webhook(id).await {
                Ok(Some(webhook)) => self.note(&webhook),
                Ok(None) => self.queue.extend(self.feeds.remove(&id)),
                Err(error) => {
                    tracing::warn!(webhook = %id, %error, "a changed webhook could not be read; all are looked through");
                    self.queue.extend(self.feeds.get(&id));
                    self.look_soon();
                }
            },
            Wake::ConnectionChanged(id) => {
                let of_it = self.known.iter().filter(|(_, known)| known.connection.id == id).map(|(feed, _)| *feed);
                let of_it: Vec<_> = of_it.collect();
                for feed in &of_it {
                    // New credentials or the end of a pause are worth another try at once.
                    self.retries.remove(feed);
                }
                self.queue.extend(of_it);
            }
            Wake::Missed => self.look_through().await,
            Wake::LogGrew(_)
            | Wake::FeedDue(_)
            | Wake::JobChanged(..)
            | Wake::WorkspaceChanged(_)
            | Wake::Notified(_) => {}
        }
    }

    /// Starts what is queued, one task a feed, as far as there is room.
    fn start_tasks(&mut self) {
        while self.tasks.len() < TASKS_MAX {
            let Some(feed) = self.queue.iter().copied().find(|feed| !self.running.contains(feed)) else { return };
            self.queue.remove(&feed);
            self.running.insert(feed);
            let (work, mut known) = (self.work.clone(), self.known.get(&feed).cloned());
            self.tasks.spawn(async move {
                let result = Box::pin(work.settle(feed, &mut known)).await;
                (feed, known, result)
            });
        }
    }

    fn settled(&mut self, (feed, known, result): Settled) {
        self.running.remove(&feed);
        let is_gone = known.as_ref().is_none_or(|known| known.is_gone);
        match known {
            Some(known) => drop(self.known.insert(feed, known)),
            None => drop(self.known.remove(&feed)),
        }
        match result {
            Ok(()) if is_gone => self.forget(feed),
            Ok(()) => drop(self.retries.remove(&feed)),
            Err(PollError::Gone) => self.forget(feed),
            Err(error) => self.retry_later(feed, is_gone, &error),
        }
    }

    fn forget(&mut self, feed: FeedId) {
        self.known.remove(&feed);
        self.retries.remove(&feed);
        self.feeds.retain(|_, known| *known != feed);
    }

    fn retry_later(&mut self, feed: FeedId, is_gone: bool, error: &PollError) {
        let known = self.retries.get(&feed).map_or(0, |(tries, _)| *tries);
        if let PollError::Store(error) = error {
            // The vendor has nothing to do with it: its tries stay as many.
            tracing::warn!(%feed, error, "a webhook's registration could not be kept yet");
            self.retries.insert(feed, (known, Instant::now() + STORE_RETRY));
            return;
        }
        let tries = known.saturating_add(1);
        if is_gone && tries >= REMOVAL_TRIES_MAX {
            tracing::warn!(%feed, %error, "a webhook was left at the vendor: remove it there by hand");
            self.forget(feed);
            return;
        }
        let context = &self.work.context;
        let longest = context.limits.poll.failure_wait_max_ms;
        let spread = match error {
            // Only a person can mend it, and that wakes us: no hurry.
            PollError::Permanent { .. } | PollError::Credential { .. } => longest,
            _ => RETRY_BASE_MS.saturating_mul(1 << tries.min(20)).min(longest),
        };
        let floor = if let PollError::Wait { wait, .. } = error { *wait } else { Duration::ZERO };
        let wait = floor + Duration::from_millis(spread / 2 + context.random.up_to(spread / 2));
        tracing::warn!(%feed, %error, tries, wait_ms = wait.as_millis(), "a webhook is not settled at the vendor yet");
        self.retries.insert(feed, (tries, Instant::now() + wait));
    }

    fn next_retry(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3_600);
        self.retries.values().map(|(_, at)| *at).min().unwrap_or(far)
    }

    fn retry_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.retries.iter().filter(|(_, (_, at))| *at <= now).map(|(feed, _)| *feed).collect();
        for feed in due {
            self.queue.insert(feed);
            // It keeps its count, and is not due again before it is settled.
            if let Some((_, at)) = self.retries.get_mut(&feed) {
                *at = now + Duration::from_secs(86_400);
            }
        }
    }
}
