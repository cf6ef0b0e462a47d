//! A pump reading its streams: which batch comes next.

use super::attempt::{Batch, missed_row};
use super::batch::payload_type;
use super::cursor::{Cursor, Listing};
use super::pages::{SharedPage, Source};
use super::payload::PayloadType;
use super::pump::Pump;
use super::shared::Halt;
use crate::store::{Outcome, Position, Retry, Stream};
use std::sync::Arc;

/// Pages passed without a match after which the position is kept though nothing was sent.
const PASSES_PER_KEEP: u64 = 64;

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
