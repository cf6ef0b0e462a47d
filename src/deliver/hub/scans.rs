//! Looking through shards that were won, or of which something was not heard.

use super::{Hub, LATER};
use crate::deliver::signal::CHANGED;
use crate::ids::WebhookId;
use crate::store::{Destination, Duty, ShardId, StoreError};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Webhooks looked at at a time when a shard is looked through.
const WEBHOOKS_PER_READ: usize = 500;
/// Destinations read at a time.
const DESTINATIONS_PER_READ: usize = 100;

impl Hub {
    pub(super) fn rescan(&mut self) {
        self.known.clear();
        self.shards_changed();
    }

    /// Looks through shards that were won.
    pub(super) fn shards_changed(&mut self) {
        let leases = &self.shared.context.leases;
        let leases = leases.shards(Duty::Deliver).into_iter().filter_map(|shard| leases.lease(Duty::Deliver, shard));
        let held: BTreeMap<_, _> = leases.map(|lease| (lease.fence.shard, (lease.fence, lease.term))).collect();
        for (shard, held) in &held {
            if self.known.get(shard) != Some(held) {
                self.scans.retain(|(scanned, _)| scanned != shard);
                self.scans.push_back((*shard, None));
            }
        }
        self.scans.retain(|(shard, _)| held.contains_key(shard));
        self.known = held;
        self.retries_at = Instant::now();
    }

    /// Starts pumps for what waits in a part of a shard.
    pub(super) async fn scan(&mut self) {
        let Some((shard, after)) = self.scans.pop_front() else { return };
        match self.scan_part(shard, after).await {
            Ok(Some(last)) => self.scans.push_back((shard, Some(last))),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(shard = shard.0, %error, "a shard could not be looked through; it is tried again");
                self.scans.push_back((shard, after));
                self.shared.context.clock.sleep(LATER).await;
            }
        }
    }

    /// A shard's webhooks behind `after`, a part at a time, and at their end its destinations, which are few. Answers
    /// where to go on.
    async fn scan_part(&mut self, shard: ShardId, after: Option<WebhookId>) -> Result<Option<WebhookId>, StoreError> {
        let store = self.shared.context.store.clone();
        let (waiting, last) = store.waiting_webhooks(shard, after, WEBHOOKS_PER_READ).await?;
        waiting.into_iter().for_each(|webhook| self.dispatch(webhook, CHANGED));
        if last.is_some() {
            return Ok(last);
        }
        let mut after = None;
        loop {
            let destinations = store.destinations_of_shard(shard, after, DESTINATIONS_PER_READ).await?;
            destinations.iter().for_each(|row| self.dispatch(Destination::served_as(row.id), CHANGED));
            after = destinations.last().map(|row| row.id);
            if destinations.len() < DESTINATIONS_PER_READ {
                return Ok(None);
            }
        }
    }
}
