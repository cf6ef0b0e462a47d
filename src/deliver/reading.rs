//! A pump reading its streams: which batch comes next.

use super::attempt::{Batch, missed_row};
use super::batch::payload_type;
use super::cursor::{Cursor, Listing};
use super::pages::{SharedPage, Source};
use super::payload::PayloadType;
use super::pump::Pump;
use super::shared::{Halt, Shared};
use crate::ids::{FeedId, JobId};
use crate::log::LogPage;
use crate::store::{CatchUp, JobMode, ListingJob, LogHead, Missed, Position, Retry, Stream};
use anyhook_connectors::contract::Change;
use std::sync::Arc;

/// Pages passed without a match after which the position is kept though nothing was sent.
pub(super) const PASSES_PER_KEEP: u64 = 64;

impl Pump {
    /// The next batch; none if there is nothing for this webhook now. A batch that is being retried comes first, then
    /// history, then the log, unless that waits for a back-fill's page.
    pub(super) async fn next_batch(&mut self) -> Result<Option<Batch>, Halt> {
        let batch = self.first_batch().await?;
        Ok(batch.filter(|batch| !self.is_held(batch.stream, batch.position)))
    }

    async fn first_batch(&mut self) -> Result<Option<Batch>, Halt> {
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
            let next = page.behind(position, cut);
            if cut.records > 0 || kind == PayloadType::InitialComplete {
                let found_at = (stream == Stream::Live).then_some(meta.made_at);
                return Ok(Some(Batch { stream, position, next, kind, prepared, found_at, parts: None }));
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
        if let Some(destination) = self.subscriber.destination.clone() {
            return self.notices(&destination).await;
        }
        let feed = self.subscriber.webhook.feed_id;
        let source = match stream {
            Stream::Live => Source::Feed(feed),
            Stream::Listing(job) => Source::Job(job),
        };
        loop {
            let shared = self.shared.clone();
            let (store, sequence) = (&*shared.context.store, self.cursor(stream).position.sequence);
            if stream == Stream::Live && self.is_stale {
                return Ok(None);
            }
            let page = shared.pages.get(store, source, sequence).await?;
            if page.is_some() || stream != Stream::Live {
                return Ok(page);
            }
            let head = store.log_head(feed).await?;
            if sequence >= head.end {
                return Ok(None);
            }
            if sequence < head.start {
                // What comes before the log ends first.
                if self.listing.as_ref().is_some_and(|listing| listing.holds_log) {
                    return Ok(None);
                }
                self.catch_up(&head).await?;
            }
        }
    }

    /// Its pages were dropped while it rested: what it missed is listed, and the log comes next. A webhook that wants
    /// deletions reads what is left of the log, where they are; any other goes on from its end, since what is listed is
    /// newer than what stands there.
    async fn catch_up(&mut self, head: &LogHead) -> Result<(), Halt> {
        self.settle().await?;
        let (context, webhook) = (&self.shared.context, &self.subscriber.webhook);
        let (at, sequence) = (context.clock.now(), self.live.position.sequence);
        let state = context.store.delivery(webhook.id).await?.ok_or(Halt::Gone)?;
        let unknown = Missed { since: None, sequence, pages: head.start - sequence, lost_deletions: true };
        let missed = state.missed.unwrap_or(unknown);
        let spec = anyhook_connectors::find(&webhook.integration)
            .and_then(|connector| connector.manifest().object(webhook.object_type));
        let inexact = spec.and_then(|spec| missed.what_is_inexact(webhook.event, spec));
        tracing::warn!(webhook_id = %webhook.id, pages = missed.pages, since = ?missed.since, inexact, "a webhook fell behind its log and catches up");
        let id = JobId::new(&context.clock, &context.random).map_err(|error| Halt::Later(error.to_string()))?;
        let id = id.at_home_of(webhook.connection_id);
        let reads_on = webhook.event == Change::Deleted;
        let catch_up = CatchUp {
            fence: self.lease()?.fence,
            job: ListingJob::new(id, webhook, JobMode::CatchUp, at),
            resume_at: if reads_on { head.start } else { head.end },
            skipped: if reads_on { None } else { skipped(&self.shared, webhook.feed_id, head).await? },
            call: missed_row(&self.subscriber, &missed, inexact, at),
        };
        context.store.begin_catch_up(catch_up).await?;
        self.is_stale = true;
        Ok(())
    }

    pub(super) fn cursor(&self, stream: Stream) -> &Cursor {
        match (&self.listing, stream) {
            (Some(listing), Stream::Listing(_)) => &listing.cursor,
            _ => &self.live,
        }
    }

    pub(super) fn move_to(&mut self, stream: Stream, position: Position) {
        match (&mut self.listing, stream) {
            (Some(listing), Stream::Listing(_)) => listing.cursor.position = position,
            _ => self.live.position = position,
        }
    }
}

/// What is left of the log, as if it were missed: its pages may be of runs that began earlier than those of the pages
/// that went. None where nothing is left.
async fn skipped(shared: &Shared, feed: FeedId, head: &LogHead) -> Result<Option<Missed>, Halt> {
    let mut all: Option<Missed> = None;
    for sequence in head.start..head.end {
        if shared.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        let stored = shared.context.store.log_page(feed, sequence).await?;
        let since = stored.and_then(|stored| LogPage::meta_of(&stored).ok()?.from);
        let page = Missed { since, sequence, pages: 1, lost_deletions: false };
        all = Some(all.map_or(page, |all| all.and(page)));
    }
    Ok(all)
}
