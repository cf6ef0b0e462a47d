//! Webhooks whose batches are to be tried again.

use super::{Hub, RETRIES_IDLE};
use crate::deliver::backoff::wait_max_ms;
use crate::deliver::queue::Place;
use crate::store::{Duty, StoreError};
use std::time::Duration;
use tokio::time::Instant;

/// Retries read at a time.
const RETRIES_PER_READ: usize = 1_024;

/// The soonest that retries are read again while some are due.
const RETRIES_AGAIN: Duration = Duration::from_millis(100);

/// How much later retries are read again for each one that was due: so that reading them takes a small part of the time.
const RETRIES_PAUSE: Duration = Duration::from_micros(50);

impl Hub {
    /// Starts pumps for webhooks whose retries are due.
    pub(super) async fn read_retries(&mut self, now: Instant) -> Result<(), StoreError> {
        let shards = self.shared.context.leases.shards(Duty::Deliver);
        // Those that wait already come first again: as many more are read, and as much later the next time.
        let limit = RETRIES_PER_READ + self.queue.waiting() + self.retries;
        let due = self.shared.context.store.due_retries(&shards, limit).await?;
        let (at, longest) = (self.shared.context.clock.now(), self.longest_wait());
        let mut next = None;
        for retry in &due {
            let away = (retry.next_at - at).to_std().unwrap_or_default();
            if !away.is_zero() && away <= longest {
                next = Some(away);
                break;
            }
            if !self.running.contains_key(&retry.webhook) {
                self.queue.push(retry.webhook, Place::Retry);
            }
        }
        self.retries_from = now + RETRIES_PAUSE * u32::try_from(due.len()).unwrap_or(u32::MAX);
        let again = RETRIES_AGAIN * u32::try_from(limit / RETRIES_PER_READ).unwrap_or(u32::MAX);
        let wait = next.unwrap_or(if due.len() == limit { again } else { RETRIES_IDLE });
        self.retries_at = now + wait.clamp(Duration::from_millis(1), RETRIES_IDLE);
        Ok(())
    }

    fn longest_wait(&self) -> Duration {
        Duration::from_millis(wait_max_ms(&self.shared.context.limits))
    }
}
