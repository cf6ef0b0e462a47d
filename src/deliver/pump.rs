//! A pump: one webhook's loop while there is work for it. Reads the stream from its position, sends batch after batch in
//! order, and lets the outcomes become durable behind it.

use super::commits::Commits;
use super::cursor::{Cursor, Listing};
use super::keys::Keys;
use super::rendering::Filtered;
use super::shared::{Halt, Shared};
use super::signal::{CHANGED, JOB, Signal};
use super::slow::Admission;
use super::subscriber::{Served, Subscriber, Undeliverable};
use crate::ids::WebhookId;
use crate::leases::Lease;
use crate::store::{
    AttemptFinish, DeliveryState, Duty, Outcome, Position, Retry, Store, StoreError, Stream, WebhookHealth,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Attempts after which a pump lets others have their turn.
const ATTEMPTS_PER_TURN: u32 = 64;

/// What a pump was started for.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// To try a batch again. Any other pump leaves that to one, so that retries do not take the turns of what is new.
    pub(super) is_retry: bool,
    /// Lets its attempts begin in the slow pool.
    pub(super) admission: Option<Admission>,
}

/// One webhook's loop.
pub(super) struct Pump {
    pub(super) shared: Arc<Shared>,
    pub(super) subscriber: Subscriber,
    /// The lease under which all of this was read.
    pub(super) held: Lease,
    pub(super) retry: Option<Retry>,
    pub(super) turn: Turn,
    pub(super) commits: Commits,
    pub(super) is_stale: bool,
    pub(super) live: Cursor,
    pub(super) listing: Option<Listing>,
    /// Log pages from this one on wait for a back-fill's page.
    pub(super) held_from: Option<u64>,
    pub(super) signal: Arc<Signal>,
    pub(super) attempts: u32,
    pub(super) passed: u64,
    /// What was passed over since that was last kept, because its template made nothing of it.
    pub(super) filtered: Filtered,
    pub(super) pages_since_mark: u64,
}

/// Serves a webhook until nothing is left to do, or something stops it.
pub(super) async fn run(shared: Arc<Shared>, webhook: WebhookId, signal: Arc<Signal>, turn: Turn) -> Halt {
    signal.take();
    let mut pump = match Pump::load(&shared, webhook, &signal).await {
        Ok(pump) => Pump { turn, ..pump },
        Err(halt) => return halt,
    };
    let halt = match pump.serve().await {
        Ok(()) => Halt::Idle,
        Err(halt) => halt,
    };
    // Positions of what was delivered are kept whatever ended it.
    let kept = match halt {
        Halt::Gone => Ok(()),
        _ => pump.settle().await,
    };
    pump.mark(false);
    kept.err().unwrap_or(halt)
}

impl Pump {
    async fn load(shared: &Arc<Shared>, id: WebhookId, signal: &Arc<Signal>) -> Result<Self, Halt> {
        let store = &shared.context.store;
        let served = Served::read(&**store, id).await?.ok_or(Halt::Gone)?;
        let held = shared.context.leases.lease(Duty::Deliver, served.webhook.shard).ok_or(Halt::Elsewhere)?;
        let state = store.delivery(id).await?.ok_or(Halt::Gone)?;
        if state.health != WebhookHealth::Healthy {
            return Err(Halt::Resting);
        }
        rest(shared, &served).await?;
        let listing = listing(&**store, &state).await?;
        let subscriber = match Subscriber::new(served, &shared.outputs, &shared.context) {
            Ok(subscriber) => subscriber,
            Err(error @ Undeliverable::Vault(_)) => return Err(Halt::Later(error.to_string())),
            Err(error) => {
                let (message, at) = (error.to_string(), shared.context.clock.now());
                tracing::warn!(webhook_id = %id, %error, "a webhook cannot be delivered to; it is unhealthy now");
                let outcome = Outcome::Unhealthy { message };
                shared.clone().keep(AttemptFinish { fence: held.fence, webhook: id, outcome, at, call: None }).await?;
                return Err(Halt::Resting);
            }
        };
        Ok(Pump {
            shared: shared.clone(),
            live: Cursor::at(state.position),
            listing,
            held_from: state.beside.and_then(|beside| beside.held_from),
            held,
            retry: state.retry,
            turn: Turn::default(),
            subscriber,
            commits: Commits::default(),
            is_stale: false,
            signal: signal.clone(),
            attempts: 0,
            passed: 0,
            filtered: Filtered::default(),
            pages_since_mark: 0,
        })
    }

    async fn serve(&mut self) -> Result<(), Halt> {
        loop {
            if self.shared.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let heard = self.signal.take();
            if heard & CHANGED != 0 || self.is_stale {
                self.reload().await?;
            } else if heard & JOB != 0 {
                self.job_changed().await?;
            }
            if let Some(retry) = &self.retry
                && !(self.turn.is_retry && self.is_due(retry))
            {
                return Err(Halt::Retry(retry.next_at));
            }
            match self.next_batch().await? {
                Some(batch) => self.render_and_attempt(batch).await?,
                None if self.is_stale || self.rest_or_more().await? => {}
                None => return Ok(()),
            }
            let others_wait = || {
                self.shared.is_queue_waiting.load(Ordering::Relaxed)
                    || self.shared.slots.room(&self.subscriber.host, false) == 0
            };
            if self.attempts >= ATTEMPTS_PER_TURN && others_wait() {
                return Err(Halt::Yield);
            }
        }
    }

    /// Reads everything anew, once what was delivered is durable.
    async fn reload(&mut self) -> Result<(), Halt> {
        self.settle().await?;
        let (attempts, pages_since_mark, turn) = (self.attempts, self.pages_since_mark, std::mem::take(&mut self.turn));
        let loaded = Pump::load(&self.shared, self.subscriber.webhook.id, &self.signal).await?;
        *self = Pump { attempts, pages_since_mark, turn, ..loaded };
        Ok(())
    }

    /// A job that is over is not delivered any more; a new one is, and what waited for it may go.
    async fn job_changed(&mut self) -> Result<(), Halt> {
        let is_known = self.held_from.is_none() && self.is_listing_open().await?;
        if is_known { Ok(()) } else { self.reload().await }
    }

    async fn is_listing_open(&mut self) -> Result<bool, Halt> {
        let Some(listing) = &self.listing else { return Ok(false) };
        let job = listing.job;
        Ok(self.shared.context.store.job(job).await?.is_some_and(|job| job.is_open()))
    }

    /// A time further away than any wait can be was written by a clock that was wrong.
    fn is_due(&self, retry: &Retry) -> bool {
        let away = (retry.next_at - self.shared.context.clock.now()).num_milliseconds();
        let longest = super::backoff::wait_max_ms(&self.shared.context.limits);
        away <= 0 || u64::try_from(away).unwrap_or(u64::MAX) > longest
    }

    /// The lease, if an attempt that begins now ends within it.
    pub(super) fn lease(&self) -> Result<Lease, Halt> {
        self.shared.lease(&self.held)
    }

    /// What has to be so for an attempt to begin, read at the last moment. False if the webhook is another than the
    /// batch was cut for, or the batch has to wait for a back-fill's page.
    pub(super) async fn may_attempt(&mut self, stream: Stream, position: Position) -> Result<bool, Halt> {
        if self.shared.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        if self.shared.is_failing() {
            self.commits.settle().await?;
            return Err(Halt::Later("the store does not take outcomes".to_owned()));
        }
        let (store, id) = (&self.shared.context.store, self.subscriber.webhook.id);
        let standing = store.standing(id).await?.ok_or(Halt::Gone)?;
        if standing.is_resting {
            return Err(Halt::Resting);
        }
        if stream == Stream::Live {
            self.held_from = standing.held_from;
        }
        self.is_stale |= standing.revision != self.subscriber.webhook.revision;
        self.is_stale |= stream != Stream::Live && !self.is_listing_open().await?;
        Ok(!self.is_stale && !self.is_held(stream, position))
    }

    /// True for a log page that waits for a back-fill's page.
    pub(super) fn is_held(&self, stream: Stream, position: Position) -> bool {
        stream == Stream::Live && self.held_from.is_some_and(|from| position.sequence >= from)
    }

    pub(super) async fn keys(&mut self) -> Result<Arc<Keys>, Halt> {
        Ok(self.shared.keyring.keys(&self.shared.context, &self.subscriber).await?)
    }
}

/// The listing to deliver: the one that the log waits for, or the one beside the log.
async fn listing(store: &dyn Store, state: &DeliveryState) -> Result<Option<Listing>, Halt> {
    let Some(job) = state.listing.or(state.beside.map(|beside| beside.job)) else { return Ok(None) };
    Ok(store.job(job).await?.and_then(|job| Listing::of(&job)))
}

/// Paused webhooks, and those of paused connections, rest. A destination has no connection.
pub(super) async fn rest(shared: &Shared, Served { webhook, destination }: &Served) -> Result<(), Halt> {
    let has_connection = destination.is_none();
    let is_paused = webhook.is_paused
        || has_connection
            && match shared.keyring.is_paused(&*shared.context.store, webhook.connection_id).await {
                Err(StoreError::Missing(_)) => return Err(Halt::Gone),
                paused => paused?,
            };
    if is_paused { Err(Halt::Resting) } else { Ok(()) }
}
