//! A pump: one webhook's loop while there is work for it. Reads the stream from its position, sends batch after batch in
//! order, and lets the outcomes become durable behind it.

use super::attempt::{Batch, missed_row};
use super::batch::payload_type;
use super::commits::Commits;
use super::cursor::{Cursor, Listing};
use super::keys::Keys;
use super::pages::{SharedPage, Source};
use super::payload::PayloadType;
use super::shared::{Halt, Shared};
use super::signal::{CHANGED, Signal};
use super::subscriber::Subscriber;
use super::trim::PAGES_PER_TRIM;
use crate::ids::WebhookId;
use crate::store::{
    ApiCall, AttemptFinish, Lease, Outcome, Position, Retry, StoreError, Stream, Webhook, WebhookHealth,
};
use chrono::{TimeDelta, Utc};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Attempts after which a pump lets others have their turn.
const ATTEMPTS_PER_TURN: u32 = 64;

/// Pages passed without a match after which the position is kept though nothing was sent.
const PASSES_PER_KEEP: u64 = 64;

/// One webhook's loop.
pub(super) struct Pump {
    pub(super) shared: Arc<Shared>,
    pub(super) subscriber: Subscriber,
    pub(super) retry: Option<Retry>,
    pub(super) commits: Commits,
    pub(super) is_stale: bool,
    live: Cursor,
    listing: Option<Listing>,
    signal: Arc<Signal>,
    attempts: u32,
    passed: u64,
    pages_since_mark: u64,
}

/// Serves a webhook until nothing is left to do, or something stops it.
pub(super) async fn run(shared: Arc<Shared>, webhook: WebhookId, signal: Arc<Signal>) -> Halt {
    signal.take();
    let mut pump = match Pump::load(&shared, webhook, &signal).await {
        Ok(pump) => pump,
        Err(halt) => return halt,
    };
    let halt = match pump.serve().await {
        Ok(()) => Halt::Idle,
        Err(halt) => halt,
    };
    // Positions of what was delivered are kept whatever ended it.
    let kept = match halt {
        Halt::Gone | Halt::Elsewhere => Ok(()),
        _ => pump.settle().await,
    };
    pump.shared.marks.mark(pump.subscriber.webhook.feed_id, pump.subscriber.webhook.shard, false);
    kept.err().unwrap_or(halt)
}

impl Pump {
    async fn load(shared: &Arc<Shared>, id: WebhookId, signal: &Arc<Signal>) -> Result<Self, Halt> {
        let store = &shared.context.store;
        let webhook = store.webhook(id).await?.ok_or(Halt::Gone)?;
        let lease = shared.context.leases.lease(webhook.shard).ok_or(Halt::Elsewhere)?;
        let state = store.delivery(id).await?.ok_or(Halt::Gone)?;
        if state.health != WebhookHealth::Healthy {
            return Err(Halt::Resting);
        }
        rest(shared, &webhook).await?;
        let listing = match state.listing {
            Some(job) => store.job(job).await?.and_then(|job| Listing::of(&job)),
            None => None,
        };
        let subscriber = match Subscriber::new(webhook, &shared.context.limits.deliver) {
            Ok(subscriber) => subscriber,
            Err(error) => {
                let (message, at) = (error.to_string(), shared.context.clock.now());
                tracing::warn!(webhook_id = %id, %error, "a webhook cannot be delivered to; it is unhealthy now");
                let outcome = Outcome::Unhealthy { message };
                shared.clone().keep(AttemptFinish { fence: lease.fence, webhook: id, outcome, at, call: None }).await?;
                return Err(Halt::Resting);
            }
        };
        Ok(Pump {
            shared: shared.clone(),
            live: Cursor::at(state.position),
            listing,
            retry: state.retry,
            subscriber,
            commits: Commits::default(),
            is_stale: false,
            signal: signal.clone(),
            attempts: 0,
            passed: 0,
            pages_since_mark: 0,
        })
    }

    async fn serve(&mut self) -> Result<(), Halt> {
        loop {
            if self.shared.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            if self.signal.take() & CHANGED != 0 || self.is_stale {
                self.reload().await?;
            }
            if let Some(retry) = &self.retry
                && !self.is_due(retry)
            {
                return Err(Halt::Retry(retry.next_at));
            }
            match self.next_batch().await? {
                Some(batch) => self.attempt(batch).await?,
                None if self.rest_or_more().await? => {}
                None => return Ok(()),
            }
            let others_wait = || {
                self.shared.is_queue_waiting.load(Ordering::Relaxed)
                    || self.shared.slots.is_crowded(&self.subscriber.host)
            };
            if self.attempts >= ATTEMPTS_PER_TURN && others_wait() {
                return Err(Halt::Yield);
            }
        }
    }

    /// Reads everything anew, once what was delivered is durable.
    async fn reload(&mut self) -> Result<(), Halt> {
        self.settle().await?;
        let (attempts, pages_since_mark) = (self.attempts, self.pages_since_mark);
        *self = Pump::load(&self.shared, self.subscriber.webhook.id, &self.signal).await?;
        (self.attempts, self.pages_since_mark) = (attempts, pages_since_mark);
        Ok(())
    }

    /// A time further away than any wait can be was written by a clock that was wrong.
    fn is_due(&self, retry: &Retry) -> bool {
        let away = (retry.next_at - self.shared.context.clock.now()).num_milliseconds();
        let longest = super::backoff::wait_max_ms(&self.shared.context.limits.deliver);
        away <= 0 || u64::try_from(away).unwrap_or(u64::MAX) > longest
    }

    /// The next batch; none if there is nothing for this webhook now. A batch that is being retried comes first, then
    /// history, then the log.
    async fn next_batch(&mut self) -> Result<Option<Batch>, Halt> {
        if let Some(retry) = self.retry.take() {
            let is_there =
                retry.stream == Stream::Live || self.listing.as_ref().map(Listing::stream) == Some(retry.stream);
            let batch = if is_there { self.batch_of(retry.stream, Some(&retry)).await? } else { None };
            if batch.is_some() {
                self.retry = Some(retry);
                return Ok(batch);
            }
        }
        if let Some(listing) = &self.listing {
            let (stream, holds_log) = (listing.stream(), listing.holds_log);
            if let Some(batch) = self.batch_of(stream, None).await? {
                return Ok(Some(batch));
            }
            if holds_log && !self.is_log_full().await? {
                return Ok(None);
            }
        }
        self.batch_of(Stream::Live, None).await
    }

    async fn is_log_full(&mut self) -> Result<bool, Halt> {
        let head = self.shared.context.store.log_head(self.subscriber.webhook.feed_id).await?;
        Ok(head.bytes >= self.shared.context.limits.poll.log_bytes_max)
    }

    /// The next batch of one stream. Pages that hold nothing for this webhook are passed over.
    async fn batch_of(&mut self, stream: Stream, retry: Option<&Retry>) -> Result<Option<Batch>, Halt> {
        let again = retry.map(|retry| self.subscriber.want_again(retry.records));
        loop {
            let Some(page) = self.page(stream).await? else { return Ok(None) };
            let position = self.cursor(stream).position;
            let want = again.as_ref().unwrap_or(&self.subscriber.want);
            let prepared = page
                .prepare(position.offset, want, &self.shared.derive)
                .map_err(|error| Halt::Later(format!("log page {} cannot be cut: {error}", position.sequence)))?;
            let (meta, cut) = (&page.page.meta, &prepared.cut);
            let kind = payload_type(meta.found, meta.is_last, cut.is_page_end);
            let next = match cut.is_page_end {
                true => Position { sequence: position.sequence + 1, offset: 0 },
                false => Position { sequence: position.sequence, offset: cut.next },
            };
            if cut.records > 0 || kind == PayloadType::InitialComplete {
                return Ok(Some(Batch { stream, position, next, kind, prepared }));
            }
            self.move_to(stream, next);
            self.passed += 1;
            if self.passed.is_multiple_of(PASSES_PER_KEEP) {
                self.keep_passed()?;
                self.commits.room(1).await?;
                tokio::task::yield_now().await;
            }
            if self.shared.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
        }
    }

    /// The page that a stream stands at; none if it is not there yet.
    async fn page(&mut self, stream: Stream) -> Result<Option<Arc<SharedPage>>, Halt> {
        let feed = self.subscriber.webhook.feed_id;
        let source = match stream {
            Stream::Live => Source::Feed(feed),
            Stream::Listing(job) => Source::Job(job),
        };
        loop {
            let shared = self.shared.clone();
            let (store, sequence) = (&*shared.context.store, self.cursor(stream).position.sequence);
            let page = shared.pages.get(store, source, sequence).await?;
            if page.is_some() || stream != Stream::Live {
                return Ok(page);
            }
            let head = store.log_head(feed).await?;
            if sequence >= head.end {
                return Ok(None);
            }
            if sequence < head.start {
                self.overtaken(head.start).await?;
            }
        }
    }

    /// Its pages were dropped while it rested: it says so, and goes on from what is left.
    async fn overtaken(&mut self, start: u64) -> Result<(), Halt> {
        let (missed, at) = (start - self.live.position.sequence, self.shared.context.clock.now());
        tracing::warn!(webhook_id = %self.subscriber.webhook.id, missed, "a webhook fell behind its feed's log; back-fill it");
        let call = missed_row(&self.subscriber, missed, at);
        self.live = Cursor::at(Position { sequence: start, offset: 0 });
        let outcome = Outcome::Passed { stream: Stream::Live, position: self.live.position };
        let finish = self.finish(self.lease()?, outcome, Some(call));
        self.shared.clone().keep(finish).await
    }

    fn cursor(&self, stream: Stream) -> &Cursor {
        match (&self.listing, stream) {
            (Some(listing), Stream::Listing(_)) => &listing.cursor,
            _ => &self.live,
        }
    }

    fn move_to(&mut self, stream: Stream, position: Position) {
        match (&mut self.listing, stream) {
            (Some(listing), Stream::Listing(_)) => listing.cursor.position = position,
            _ => self.live.position = position,
        }
    }

    /// A batch is delivered: the position moves on while it becomes durable.
    pub(super) async fn delivered(&mut self, lease: Lease, batch: &Batch, call: ApiCall) -> Result<(), Halt> {
        self.retry = None;
        self.attempts += 1;
        self.move_to(batch.stream, batch.next);
        match (&mut self.listing, batch.stream) {
            (Some(listing), Stream::Listing(_)) => listing.cursor.kept = batch.next,
            _ => self.live.kept = batch.next,
        }
        let is_last = batch.kind == PayloadType::InitialComplete;
        let outcome = Outcome::Delivered { stream: batch.stream, position: batch.next, is_last };
        let finish = self.finish(lease, outcome, Some(call));
        self.commits.push(Box::pin(self.shared.clone().keep(finish)));
        self.is_stale |= is_last;
        if batch.stream == Stream::Live && batch.next.sequence > batch.position.sequence {
            self.mark_moved();
        }
        self.commits.room(self.shared.context.limits.deliver.positions_in_flight_max).await
    }

    fn mark_moved(&mut self) {
        self.pages_since_mark += 1;
        if self.pages_since_mark >= PAGES_PER_TRIM {
            self.pages_since_mark = 0;
            self.shared.marks.mark(self.subscriber.webhook.feed_id, self.subscriber.webhook.shard, true);
        }
    }

    /// An outcome of now.
    pub(super) fn finish(&self, lease: Lease, outcome: Outcome, call: Option<ApiCall>) -> AttemptFinish {
        let at = self.shared.context.clock.now();
        AttemptFinish { fence: lease.fence, webhook: self.subscriber.webhook.id, outcome, at, call }
    }

    /// The lease, if an attempt that begins now ends within it.
    pub(super) fn lease(&self) -> Result<Lease, Halt> {
        let context = &self.shared.context;
        let lease = context.leases.lease(self.subscriber.webhook.shard).ok_or(Halt::Elsewhere)?;
        let deadline = i64::try_from(context.limits.deliver.attempt_deadline_ms).unwrap_or(i64::MAX);
        let ends_at: chrono::DateTime<Utc> = context.clock.now() + TimeDelta::milliseconds(deadline);
        if ends_at > lease.expires_at {
            return Err(Halt::Later("the lease ends before an attempt would".to_owned()));
        }
        Ok(lease)
    }

    /// What has to be so for an attempt to begin, read at the last moment. False if the webhook is another than the
    /// batch was cut for.
    pub(super) async fn may_attempt(&mut self) -> Result<bool, Halt> {
        if self.shared.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        if self.shared.is_failing() {
            self.commits.settle().await?;
            return Err(Halt::Later("the store does not take outcomes".to_owned()));
        }
        let webhook = self.shared.context.store.webhook(self.subscriber.webhook.id).await?.ok_or(Halt::Gone)?;
        rest(&self.shared, &webhook).await?;
        self.is_stale |= webhook.revision != self.subscriber.webhook.revision;
        Ok(!self.is_stale)
    }

    pub(super) async fn keys(&mut self) -> Result<Arc<Keys>, Halt> {
        let context = &self.shared.context;
        let workspace = self.subscriber.webhook.workspace_id;
        Ok(self.shared.keyring.keys(&*context.store, &context.vault, workspace).await?)
    }

    /// With nothing to send: waits until all is durable, or until there is more. True if there may be more.
    async fn rest_or_more(&mut self) -> Result<bool, Halt> {
        self.keep_passed()?;
        loop {
            if self.signal.is_raised() {
                return Ok(true);
            }
            tokio::select! {
                kept = self.commits.next() => match kept {
                    None => return Ok(self.signal.is_raised()),
                    Some(kept) => kept?,
                },
                () = self.signal.raised() => {}
            }
        }
    }

    /// Waits until everything is durable.
    async fn settle(&mut self) -> Result<(), Halt> {
        self.keep_passed()?;
        self.commits.settle().await
    }

    /// Keeps positions that moved without a delivery.
    fn keep_passed(&mut self) -> Result<(), Halt> {
        for stream in [self.listing.as_ref().map(Listing::stream), Some(Stream::Live)].into_iter().flatten() {
            let cursor = *self.cursor(stream);
            if cursor.position == cursor.kept {
                continue;
            }
            let lease = self.shared.context.leases.lease(self.subscriber.webhook.shard).ok_or(Halt::Elsewhere)?;
            let finish = self.finish(lease, Outcome::Passed { stream, position: cursor.position }, None);
            self.commits.push(Box::pin(self.shared.clone().keep(finish)));
            match (&mut self.listing, stream) {
                (Some(listing), Stream::Listing(_)) => listing.cursor.kept = cursor.position,
                _ => self.live.kept = cursor.position,
            }
        }
        Ok(())
    }
}

/// Paused webhooks, and those of paused connections, rest.
async fn rest(shared: &Shared, webhook: &Webhook) -> Result<(), Halt> {
    let is_paused = webhook.is_paused
        || match shared.keyring.is_paused(&*shared.context.store, webhook.connection_id).await {
            Err(StoreError::Missing(_)) => return Err(Halt::Gone),
            paused => paused?,
        };
    if is_paused { Err(Halt::Resting) } else { Ok(()) }
}
