//! Replays: what was delivered is sent again beside the live stream. Each has a task of its own with one attempt at a
//! time, so that a live batch waits for no more than its turn for a slot, and its own retries, so that it waits for none
//! of these.

use super::replayer;
use super::shared::{Halt, Shared};
use crate::ids::WebhookId;
use crate::leases::Lease;
use crate::store::{Duty, Replay, StoreError, Wake};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The latest that open replays are looked for again.
const IDLE: Duration = Duration::from_secs(60);

/// How long one waits after something did not work.
const LATER: Duration = Duration::from_secs(1);

/// Open replays of a shard that are looked at.
const PER_SHARD: usize = 1_000;

/// The replays of this node.
struct Runner {
    shared: Arc<Shared>,
    tasks: JoinSet<(WebhookId, Halt)>,
    running: HashSet<WebhookId>,
    /// Those that are not looked at again before then, unless something changes.
    held: HashMap<WebhookId, Instant>,
}

/// Sends open replays until told to stop.
pub(super) async fn run(shared: Arc<Shared>, mut wakes: Receiver<Wake>) {
    let (tasks, running, held) = (JoinSet::new(), HashSet::new(), HashMap::new());
    let mut runner = Runner { shared, tasks, running, held };
    loop {
        let wait = runner.start_due().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "replays could not be read; they are read again");
            LATER
        });
        if !runner.until_more(&mut wakes, wait).await {
            break;
        }
    }
    runner.shared.clone().drain(&mut runner.tasks).await;
}

impl Runner {
    /// Waits until open replays have to be looked at; false once told to stop.
    async fn until_more(&mut self, wakes: &mut Receiver<Wake>, wait: Duration) -> bool {
        let shared = self.shared.clone();
        let mut leases = shared.context.leases.changes();
        let timer = shared.context.clock.sleep(wait);
        tokio::pin!(timer);
        loop {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return false,
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Ok((webhook, halt)) = ended {
                        self.ended(webhook, halt);
                    }
                    return true;
                }
                () = leases.changed() => self.held.clear(),
                wake = wakes.recv() => match wake {
                    Ok(Wake::WebhookChanged(webhook)) => {
                        self.held.remove(&webhook);
                        // Where it cannot be read, all are looked at.
                        let replay = shared.context.store.replay(webhook).await;
                        if replay.is_ok_and(|replay| replay.is_none_or(|replay| !replay.is_open())) {
                            continue;
                        }
                    }
                    // Only what waits can go on because of it, and connections change often: with each new token.
                    Ok(Wake::ConnectionChanged(_)) if self.held.is_empty() => continue,
                    Ok(Wake::ConnectionChanged(_) | Wake::Missed) | Err(RecvError::Lagged(_)) => self.held.clear(),
                    Ok(_) => continue,
                    Err(RecvError::Closed) => {
                        shared.stop.cancelled().await;
                        return false;
                    }
                },
                () = &mut timer => {}
            }
            return true;
        }
    }

    fn ended(&mut self, webhook: WebhookId, halt: Halt) {
        self.running.remove(&webhook);
        match halt {
            Halt::Yield | Halt::Retry(_) | Halt::Idle | Halt::Stopped => {}
            Halt::Later(reason) => {
                tracing::warn!(webhook_id = %webhook, reason, "a replay waits");
                self.held.insert(webhook, Instant::now() + LATER);
            }
            Halt::Crowded { .. } | Halt::Slow { .. } => drop(self.held.insert(webhook, Instant::now() + LATER)),
            Halt::Resting | Halt::Gone | Halt::Elsewhere => {
                self.held.insert(webhook, Instant::now() + IDLE);
            }
        }
    }

    /// Starts replays whose time has come, and tells when the next one's does.
    async fn start_due(&mut self) -> Result<Duration, StoreError> {
        let context = self.shared.context.clone();
        let (now, at) = (Instant::now(), context.clock.now());
        self.held.retain(|_, until| *until > now);
        let mut wait = IDLE;
        for replay in context.store.open_replays(&context.leases.shards(Duty::Deliver), PER_SHARD).await? {
            let Some(lease) = context.leases.lease(Duty::Deliver, replay.shard) else { continue };
            let held = self.held.get(&replay.webhook_id).map(|until| *until - now);
            let away = held.unwrap_or_default().max(wait_of(&replay, at, &self.shared));
            if self.running.contains(&replay.webhook_id) {
                continue;
            }
            if !away.is_zero() {
                wait = wait.min(away);
            } else if self.running.len() < context.limits.deliver.replays_max {
                self.start(replay, lease);
            }
        }
        Ok(wait)
    }

    fn start(&mut self, replay: Replay, lease: Lease) {
        self.running.insert(replay.webhook_id);
        let (shared, webhook) = (self.shared.clone(), replay.webhook_id);
        self.tasks.spawn(async move {
            let halt = AssertUnwindSafe(replayer::run(shared, replay, lease)).catch_unwind().await;
            (webhook, halt.unwrap_or_else(|_| Halt::Later("a replay broke: this is a bug".to_owned())))
        });
    }
}

/// A time further away than any wait can be was written by a clock that was wrong.
fn wait_of(replay: &Replay, now: DateTime<Utc>, shared: &Shared) -> Duration {
    let away = replay.retry.as_ref().and_then(|retry| (retry.next_at - now).to_std().ok()).unwrap_or_default();
    let longest = Duration::from_millis(super::backoff::wait_max_ms(&shared.context.limits));
    if away > longest { Duration::ZERO } else { away }
}
