//! The hub: hears of what became durable, and starts a pump for each webhook that may have something to deliver.

mod retries;
mod scans;
mod wakes;

use super::pump::{self, Turn};
use super::queue::{Place, Queue};
use super::readers::Readers;
use super::replays;
use super::shared::{self, Halt, Shared};
use super::signal::{CHANGED, Signal};
use super::trim;
use crate::context::Context;
use crate::ids::WebhookId;
use crate::limits::DeliverLimits;
use crate::store::{Fence, ShardId, Wake};
use futures_util::FutureExt;
use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pumps at the same time, as a multiple of the quick slots: most wait for a slot, or for outcomes to become durable.
/// Those in the slow pool come on top, so that they are in nobody's way.
const PUMPS_PER_SLOT: usize = 16;

/// The latest that retries are read again, so that a clock that jumps delays none for longer.
const RETRIES_IDLE: Duration = Duration::from_secs(60);

/// How often hosts that webhooks wait for are looked at, where nothing told that there is room.
const HOSTS_AGAIN: Duration = Duration::from_secs(1);
/// The same where nobody would tell of room.
const HOSTS_SOON: Duration = Duration::from_millis(20);

/// How long a webhook waits after something did not work.
const LATER: Duration = Duration::from_secs(1);

/// Delivers until told to stop. Then no attempt begins any more, those under way end within their deadline, and what
/// came of them is kept.
pub async fn run(context: Context, stop: CancellationToken) {
    let (wakes, replay_wakes) = (context.store.wakes(), context.store.wakes());
    let Some(key) = stop.run_until_cancelled(store_key(&context)).await else { return };
    let shared = Shared::new(context, stop, &key);
    let mut hub = Hub::new(shared.clone());
    tokio::join!(hub.run(wakes), trim::run(shared.clone()), replays::run(shared, replay_wakes));
}

/// The key of the store's keyed hashes; asked for until it answers.
async fn store_key(context: &Context) -> [u8; 32] {
    loop {
        match shared::store_key(context).await {
            Ok(key) => return key,
            Err(error) => tracing::error!(%error, "the store's key cannot be read; nothing is delivered until it can"),
        }
        context.clock.sleep(LATER).await;
    }
}

fn pumps_max(limits: &DeliverLimits) -> usize {
    limits.slots_max.max(1) * PUMPS_PER_SLOT + limits.slow_slots_max
}

struct Hub {
    shared: Arc<Shared>,
    pumps: JoinSet<(WebhookId, Halt)>,
    pumps_max: usize,
    running: BTreeMap<WebhookId, Running>,
    /// Pumps that were started for a retry; three quarters of all may be.
    retries: usize,
    queue: Queue,
    readers: Readers,
    /// Shards to be looked through, and up to where they have been.
    scans: VecDeque<(ShardId, Option<WebhookId>)>,
    /// What is worked on: the epoch of each shard, and the term.
    known: BTreeMap<ShardId, (Fence, u64)>,
    retries_at: Instant,
    /// Retries are not read again before.
    retries_from: Instant,
    hosts_at: Instant,
}

/// A pump.
struct Running {
    signal: Arc<Signal>,
    is_retry: bool,
}

impl Hub {
    fn new(shared: Arc<Shared>) -> Self {
        Hub {
            pumps: JoinSet::new(),
            pumps_max: pumps_max(&shared.context.limits.deliver),
            running: BTreeMap::new(),
            retries: 0,
            queue: Queue::default(),
            readers: Readers::default(),
            scans: VecDeque::new(),
            known: BTreeMap::new(),
            retries_at: Instant::now(),
            retries_from: Instant::now(),
            hosts_at: Instant::now(),
            shared,
        }
    }

    async fn run(&mut self, mut wakes: tokio::sync::broadcast::Receiver<Wake>) {
        let mut leases = self.shared.context.leases.changes();
        let shared = self.shared.clone();
        self.shards_changed();
        loop {
            self.start_pumps();
            let timer = self.queue.next_at().map_or(self.retries_at, |at| at.min(self.retries_at)).min(self.hosts_at);
            let may_scan = !self.scans.is_empty() && self.queue.len(&Place::Ready) < self.pumps_max;
            let wait = timer.saturating_duration_since(Instant::now());
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => break,
                () = leases.changed() => self.shards_changed(),
                wake = wakes.recv() => match wake {
                    Ok(wake) => self.woken(wake).await,
                    Err(RecvError::Lagged(missed)) => self.lagged(missed),
                    Err(RecvError::Closed) => shared.stop.cancelled().await,
                },
                Some(ended) = self.pumps.join_next(), if !self.pumps.is_empty() => self.joined(ended),
                () = shared.slots.freed.notified() => {}
                () = shared.context.clock.sleep(wait) => {}
                () = std::future::ready(()), if may_scan => {}
            }
            // Whatever came first, the others have their turn: none waits for another that does not end.
            while let Some(ended) = self.pumps.try_join_next() {
                self.joined(ended);
            }
            self.tick().await;
            if may_scan {
                self.scan().await;
            }
        }
        self.shared.drain(&mut self.pumps).await;
    }

    fn joined(&mut self, ended: Result<(WebhookId, Halt), JoinError>) {
        if let Ok((webhook, halt)) = ended {
            self.ended(webhook, halt);
        }
    }

    /// Starts pumps: in turn one for what is new, one for a retry, and one for each that the slow pool admits.
    fn start_pumps(&mut self) {
        const SLOW: [Place; 2] = [Place::Slow { is_retry: false }, Place::Slow { is_retry: true }];
        while self.pumps.len() < self.pumps_max {
            let fresh = self.queue.pop(&Place::Ready);
            let may_retry = self.retries < self.pumps_max * 3 / 4;
            let retry = may_retry.then(|| self.queue.pop(&Place::Retry)).flatten();
            if fresh.is_none() && retry.is_none() {
                break;
            }
            fresh.into_iter().for_each(|webhook| self.start(webhook, Turn::default()));
            retry.into_iter().for_each(|webhook| self.start(webhook, Turn { is_retry: true, admission: None }));
        }
        for place in &SLOW {
            let is_retry = *place == SLOW[1];
            while self.queue.len(place) > 0
                && let Some(admission) = self.shared.slots.slow.admit(is_retry)
                && let Some(webhook) = self.queue.pop(place)
            {
                self.start(webhook, Turn { is_retry, admission: Some(admission) });
            }
        }
        let waits = |place| self.queue.len(place) > 0;
        self.shared.slots.slow.set_waits(waits(&SLOW[0]), waits(&SLOW[1]));
        self.shared.is_queue_waiting.store(waits(&Place::Ready) || waits(&Place::Retry), Ordering::Relaxed);
    }

    fn start(&mut self, webhook: WebhookId, turn: Turn) {
        let running = Running { signal: Arc::default(), is_retry: turn.is_retry };
        self.retries += usize::from(turn.is_retry);
        let pump = pump::run(self.shared.clone(), webhook, running.signal.clone(), turn);
        self.running.insert(webhook, running);
        self.pumps.spawn(async move {
            let halt = AssertUnwindSafe(pump).catch_unwind().await;
            (webhook, halt.unwrap_or_else(|_| Halt::Later("a delivery loop broke: this is a bug".to_owned())))
        });
    }

    fn dispatch(&mut self, webhook: WebhookId, bit: u8) {
        match self.running.get(&webhook) {
            Some(running) => running.signal.raise(bit),
            None if bit == CHANGED => self.queue.push_changed(webhook),
            None => self.queue.push(webhook, Place::Ready),
        }
    }

    fn ended(&mut self, webhook: WebhookId, halt: Halt) {
        let mut more = 0;
        if let Some(running) = self.running.remove(&webhook) {
            self.retries -= usize::from(running.is_retry);
            more = running.signal.take();
        }
        match halt {
            Halt::Stopped | Halt::Gone | Halt::Idle | Halt::Elsewhere | Halt::Resting => {}
            Halt::Retry(at) => {
                let wait = (at - self.shared.context.clock.now()).to_std().unwrap_or_default();
                self.retries_at = self.retries_at.min((Instant::now() + wait).max(self.retries_from));
            }
            Halt::Yield => self.queue.push(webhook, Place::Ready),
            Halt::Crowded { host, is_retry } => {
                self.queue.push(webhook, Place::Host { host: host.clone(), is_retry });
                // Since it was turned away, all may have left, and nobody waited yet who would have been told.
                if !self.shared.slots.await_room(&host) {
                    self.unpark_from(&host);
                }
                self.hosts_at = self.hosts_at.min(Instant::now() + HOSTS_AGAIN);
            }
            Halt::Slow { is_retry } => self.queue.push(webhook, Place::Slow { is_retry }),
            Halt::Later(reason) => {
                tracing::warn!(webhook_id = %webhook, reason, "deliveries wait");
                self.queue.push_at(Instant::now() + LATER, webhook);
            }
        }
        match more {
            0 => {}
            bits if bits & CHANGED != 0 => self.queue.push_changed(webhook),
            _ => self.queue.push(webhook, Place::Ready),
        }
    }

    /// Makes webhooks ready whose hosts have room again. Now and then all hosts are looked at, since a webhook that was
    /// made ready may not have wanted the room.
    fn unpark(&mut self, now: Instant) {
        let mut freed = self.shared.slots.take_freed();
        if now >= self.hosts_at {
            freed = self.queue.hosts();
            self.hosts_at = now + if freed.is_empty() { RETRIES_IDLE } else { HOSTS_AGAIN };
        }
        freed.iter().for_each(|host| self.unpark_from(host));
    }

    /// Makes as many webhooks ready as their host has room for.
    fn unpark_from(&mut self, host: &Arc<str>) {
        if self.queue.unpark(host, |is_retry| self.shared.slots.room(host, is_retry)) {
            // Nobody uses it yet: those that are ready now will, in a moment.
            if !self.shared.slots.await_room(host) {
                self.hosts_at = self.hosts_at.min(Instant::now() + HOSTS_SOON);
            }
        } else {
            self.shared.slots.is_awaited_no_more(host);
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        self.queue.wake_due(now);
        self.unpark(now);
        if now >= self.retries_at
            && let Err(error) = self.read_retries(now).await
        {
            tracing::warn!(%error, "retries could not be read; they are read again");
            self.retries_at = now + LATER;
        }
    }
}
