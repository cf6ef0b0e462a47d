//! A pump keeping what came of its attempts: positions become durable behind the batches that are sent.

use super::attempt::Batch;
use super::cursor::Listing;
use super::payload::PayloadType;
use super::pump::Pump;
use super::shared::Halt;
use super::trim::PAGES_PER_TRIM;
use crate::store::{ApiCall, AttemptFinish, Fence, Outcome, Position, Stream};

impl Pump {
    /// A batch is delivered: the position moves on while it becomes durable.
    pub(super) async fn delivered(&mut self, fence: Fence, batch: &Batch, call: ApiCall) -> Result<(), Halt> {
        self.retry = None;
        self.attempts += 1;
        self.move_to(batch.stream, batch.next);
        self.kept_at(batch.stream, batch.next);
        let is_last = batch.kind == PayloadType::InitialComplete;
        let outcome = Outcome::Delivered { stream: batch.stream, position: batch.next, is_last };
        let finish = self.finish(fence, outcome, Some(call));
        self.commits.push(Box::pin(self.shared.clone().keep(finish)));
        self.is_stale |= is_last;
        if batch.stream == Stream::Live && batch.next.sequence > batch.position.sequence {
            self.mark_moved();
        }
        self.commits.room(self.shared.context.limits.deliver.positions_in_flight_max).await
    }

    /// A position is kept, or on its way to be.
    pub(super) fn kept_at(&mut self, stream: Stream, position: Position) {
        match (&mut self.listing, stream) {
            (Some(listing), Stream::Listing(_)) => listing.cursor.kept = position,
            _ => self.live.kept = position,
        }
    }

    fn mark_moved(&mut self) {
        self.pages_since_mark += 1;
        if self.pages_since_mark >= PAGES_PER_TRIM {
            self.pages_since_mark = 0;
            self.mark(true);
        }
    }

    /// Its log may be trimmed now. Notifications have no log: they have bounds of their own.
    pub(super) fn mark(&self, is_much: bool) {
        let webhook = &self.subscriber.webhook;
        if self.subscriber.destination.is_none() {
            self.shared.marks.mark(webhook.feed_id, webhook.shard, is_much);
        }
    }

    /// An outcome of now.
    pub(super) fn finish(&self, fence: Fence, outcome: Outcome, call: Option<ApiCall>) -> AttemptFinish {
        let at = self.shared.context.clock.now();
        AttemptFinish { fence, webhook: self.subscriber.webhook.id, outcome, at, call }
    }

    /// With nothing to send: waits until all is durable, or until there is more. True if there may be more.
    pub(super) async fn rest_or_more(&mut self) -> Result<bool, Halt> {
        self.keep_passed()?;
        loop {
            if self.signal.is_raised() {
                return Ok(true);
            }
            tokio::select! {
                biased;
                kept = self.commits.next() => match kept {
                    None => return Ok(self.signal.is_raised()),
                    Some(kept) => kept?,
                },
                () = self.signal.raised() => {}
            }
        }
    }

    /// Waits until everything is durable.
    pub(super) async fn settle(&mut self) -> Result<(), Halt> {
        self.keep_passed()?;
        self.commits.settle().await
    }

    /// Keeps positions that moved without a delivery.
    pub(super) fn keep_passed(&mut self) -> Result<(), Halt> {
        self.keep_filtered()?;
        for stream in [self.listing.as_ref().map(Listing::stream), Some(Stream::Live)].into_iter().flatten() {
            let cursor = *self.cursor(stream);
            if cursor.position == cursor.kept {
                continue;
            }
            let finish = self.finish(self.held.fence, Outcome::Passed { stream, position: cursor.position }, None);
            self.commits.push(Box::pin(self.shared.clone().keep(finish)));
            self.kept_at(stream, cursor.position);
        }
        Ok(())
    }
}
