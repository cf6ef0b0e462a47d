//! Trimming: pages that everyone has passed are dropped from the log, so that it stays bounded.
//!
//! Active webhooks hold the pages they have yet to read. Paused and unhealthy ones hold theirs only while there is room;
//! what they miss then is remembered, and they catch up with it by listing.

use super::behind::{Memory, Resting};
use super::shared::Shared;
use crate::context::Context;
use crate::ids::FeedId;
use crate::log::LogPage;
use crate::store::{Duty, Keep, LogHead, ShardId, StoreError, TRIM_PAGES_MAX, Trim, WebhookHealth};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A log that moved is trimmed at the latest after this long.
const LINGER: Duration = Duration::from_secs(30);

/// Webhooks read at a time.
const WEBHOOKS_PER_READ: usize = 100;

/// Pages that a pump moves over before the log is trimmed without lingering.
pub(super) const PAGES_PER_TRIM: u64 = 64;

/// Feeds whose logs moved, and when each is to be trimmed.
#[derive(Debug, Default)]
pub(super) struct Marks {
    due: Mutex<BTreeMap<FeedId, (ShardId, Instant)>>,
    notify: Notify,
}

impl Marks {
    /// Marks a feed: to be trimmed soon, or at once where much has been passed.
    pub(super) fn mark(&self, feed: FeedId, shard: ShardId, is_much: bool) {
        let at = if is_much { Instant::now() } else { Instant::now() + LINGER };
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let known = due.entry(feed).or_insert((shard, at));
        *known = (shard, known.1.min(at));
        drop(due);
        if is_much {
            self.notify.notify_one();
        }
    }

    fn take_due(&self) -> Vec<(FeedId, ShardId)> {
        let now = Instant::now();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.extract_if(.., |_, (_, at)| *at <= now).map(|(feed, (shard, _))| (feed, shard)).collect()
    }
}

/// Trims marked feeds until told to stop.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = shared.marks.notify.notified() => {}
            () = shared.context.clock.sleep(Duration::from_secs(1)) => {}
        }
        for (feed, shard) in shared.marks.take_due() {
            if let Err(error) = trim(&shared, feed, shard).await {
                tracing::warn!(feed_id = %feed, %error, "a log could not be trimmed; it is tried again");
                shared.marks.mark(feed, shard, false);
            }
        }
    }
}

async fn trim(shared: &Shared, feed: FeedId, shard: ShardId) -> Result<(), StoreError> {
    let Some(lease) = shared.context.leases.lease(Duty::Deliver, shard) else { return Ok(()) };
    let store = &shared.context.store;
    let head = store.log_head(feed).await?;
    let mut readers = Readers::default();
    let mut resting = Vec::new();
    let mut after = None;
    loop {
        let webhooks = store.webhooks_of_feed(feed, after, WEBHOOKS_PER_READ).await?;
        for webhook in &webhooks {
            if let Some(state) = store.delivery(webhook.id).await? {
                let (sequence, is_resting) =
                    (state.position.sequence, webhook.is_paused || state.health != WebhookHealth::Healthy);
                readers.add(sequence, is_resting);
                if is_resting {
                    resting.push(Resting { webhook: webhook.id, sequence, event: webhook.event });
                }
            }
        }
        after = webhooks.last().map(|webhook| webhook.id);
        if webhooks.len() < WEBHOOKS_PER_READ {
            break;
        }
    }
    let Some(before) = readers.trim_before(head, shared.context.limits.poll.log_bytes_max) else { return Ok(()) };
    let mut start = head.start;
    while start < before {
        let until = before.min(start.saturating_add(TRIM_PAGES_MAX));
        let trim = remember(shared, Trim::new(lease.fence, feed, until), start, &resting).await?;
        let now_at = store.trim_log(trim).await?;
        if now_at <= start {
            break;
        }
        start = now_at;
    }
    Ok(())
}

/// How long pages that everyone has read are kept, to be sent again.
pub(crate) fn keep(context: &Context) -> Keep {
    let limits = &context.limits.deliver;
    let life = i64::try_from(limits.replay_kept_ms).ok().and_then(TimeDelta::try_milliseconds);
    let bytes_max = if limits.replay_kept_ms == 0 { 0 } else { limits.replay_bytes_max };
    Keep { at: context.clock.now(), life: life.unwrap_or(TimeDelta::MAX), bytes_max }
}

/// What is to be remembered of pages that webhooks which rest have yet to read.
async fn remember(shared: &Shared, mut trim: Trim, start: u64, resting: &[Resting]) -> Result<Trim, StoreError> {
    let (context, limits) = (&shared.context, &shared.context.limits.deliver);
    let kept_for = i64::try_from(limits.deletions_kept_ms).ok().and_then(TimeDelta::try_milliseconds);
    let keep_since = kept_for.and_then(|age| context.clock.now().checked_sub_signed(age));
    trim.keep_since = keep_since.unwrap_or(DateTime::<Utc>::MIN_UTC);
    trim.keep_max = limits.deletions_kept_max;
    trim.keep = keep(context);
    let hindmost = resting.iter().map(|reader| reader.sequence).min().unwrap_or(u64::MAX);
    let mut memory = Memory::default();
    for sequence in start.max(hindmost)..trim.before {
        let stored = context.store.log_page(trim.feed, sequence).await?;
        let page = stored.and_then(|stored| LogPage::decode(&stored, shared.pages.page_bytes_max()).ok());
        memory.page(sequence, page.as_ref(), resting);
    }
    (trim.missed, trim.deletions, trim.returned) = memory.finish();
    Ok(trim)
}

/// Where the hindmost readers of a log stand.
#[derive(Debug, Default)]
struct Readers {
    active: Option<u64>,
    resting: Option<u64>,
}

impl Readers {
    fn add(&mut self, sequence: u64, is_resting: bool) {
        let hindmost = if is_resting { &mut self.resting } else { &mut self.active };
        *hindmost = Some(hindmost.map_or(sequence, |known| known.min(sequence)));
    }

    /// Pages before this one may go; none if there are no such pages.
    ///
    /// - Never a page that an active webhook has yet to read.
    /// - Pages that resting ones have yet to read go once the log fills half its bound, a quarter of it at a time.
    fn trim_before(&self, head: LogHead, bytes_max: u64) -> Option<u64> {
        let active = self.active.unwrap_or(head.end);
        let resting = self.resting.unwrap_or(head.end);
        let held = if head.bytes < bytes_max / 2 {
            resting
        } else {
            resting.max(head.start + head.end.saturating_sub(head.start).div_ceil(4))
        };
        let before = active.min(held).min(head.end);
        (before > head.start).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(active: &[u64], resting: &[u64], bytes: u64) -> Option<u64> {
        let mut readers = Readers::default();
        active.iter().for_each(|&at| readers.add(at, false));
        resting.iter().for_each(|&at| readers.add(at, true));
        readers.trim_before(LogHead { start: 10, end: 50, bytes }, 1000)
    }

    #[test]
    fn pages_that_everyone_has_passed_go() {
        assert_eq!(before(&[30, 40], &[], 100), Some(30));
        assert_eq!(before(&[10, 40], &[], 100), None);
        assert_eq!(before(&[], &[], 100), Some(50));
        assert_eq!(before(&[60], &[], 100), Some(50), "a position past the end trims no future page");
    }

    #[test]
    fn resting_webhooks_hold_pages_only_while_there_is_room() {
        assert_eq!(before(&[40], &[12], 100), Some(12));
        assert_eq!(before(&[40], &[12], 500), Some(20), "a quarter of the log goes");
        assert_eq!(before(&[15], &[12], 500), Some(15), "an active webhook still holds its pages");
        assert_eq!(before(&[], &[12], 999), Some(20));
        assert_eq!(before(&[40], &[35], 999), Some(35));
    }
}
