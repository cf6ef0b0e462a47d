//! A pump rendering what its webhook sends in place of payloads. What its template makes nothing of is passed over, and
//! a template that does not work ends deliveries at once: trying it again would come to the same.

use super::attempt::{Batch, blank_row};
use super::derive::DeliveryId;
use super::payload::PayloadType;
use super::pump::Pump;
use super::reading::PASSES_PER_KEEP;
use super::shared::Halt;
use super::subscriber::Subscriber;
use crate::store::{ApiCall, Outcome, Stream};
use crate::template::{Payload, Rendered, TemplateError};

/// Batches that were passed over because a template made nothing of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filtered {
    batches: u64,
    /// The stream of the last one.
    stream: Option<Stream>,
}

/// A batch with what its webhook sends of it; none where that is nothing.
pub(super) fn rendered(batch: Batch, id: &DeliveryId, subscriber: &Subscriber) -> Result<Option<Batch>, TemplateError> {
    let Some(output) = &subscriber.output else { return Ok(Some(batch)) };
    let objects = &batch.prepared.cut.objects[..];
    match output.render(Payload { objects, kind: batch.kind.as_str(), nonce: &id.nonce })? {
        Rendered::Parts(parts) => Ok(Some(Batch { parts: Some(parts), ..batch })),
        Rendered::Nothing => Ok(None),
    }
}

impl Pump {
    /// Attempts a batch once, as its webhook wants it. An error ends the pump.
    pub(super) async fn render_and_attempt(&mut self, batch: Batch) -> Result<(), Halt> {
        if self.subscriber.output.is_none() {
            return self.attempt(batch).await;
        }
        let id = batch.id(&self.shared.derive, &self.subscriber);
        match rendered(batch.clone(), &id, &self.subscriber) {
            Ok(Some(batch)) => self.attempt(batch).await,
            // What is not sent goes by what the webhook is now, as what is sent does.
            _ if !self.may_attempt(batch.stream, batch.position).await? => Ok(()),
            Ok(None) => self.pass_over(&batch).await,
            Err(error) => self.cannot_render(&batch, id.webhook_id, error).await,
        }
    }

    /// There is nothing to send of a batch: the position moves on, and is kept with the next batch or after some.
    async fn pass_over(&mut self, batch: &Batch) -> Result<(), Halt> {
        metrics::counter!("anyhook_deliveries_total", "outcome" => "filtered").increment(1);
        self.retry = None;
        self.move_to(batch.stream, batch.next);
        self.filtered = Filtered { batches: self.filtered.batches + 1, stream: Some(batch.stream) };
        if batch.kind == PayloadType::InitialComplete {
            // The listing is over with it, and the log comes next.
            self.is_stale = true;
            return self.settle().await;
        }
        if self.filtered.batches >= PASSES_PER_KEEP {
            self.keep_passed()?;
            self.commits.room(1).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Tells of what was passed over in one row, with the position behind it.
    pub(super) fn keep_filtered(&mut self) -> Result<(), Halt> {
        let Filtered { batches, stream: Some(stream) } = self.filtered else { return Ok(()) };
        let call = ApiCall {
            name: self.subscriber.named("filtered"),
            at: self.shared.context.clock.now(),
            count: batches,
            ..blank_row(&self.subscriber)
        };
        let position = self.cursor(stream).position;
        let finish = self.finish(self.held.fence, Outcome::Passed { stream, position }, Some(call));
        self.commits.push(Box::pin(self.shared.clone().keep(finish)));
        self.kept_at(stream, position);
        self.filtered = Filtered::default();
        Ok(())
    }

    async fn cannot_render(&mut self, batch: &Batch, delivery: String, error: TemplateError) -> Result<(), Halt> {
        metrics::counter!("anyhook_deliveries_total", "outcome" => "not_rendered").increment(1);
        let webhook = &self.subscriber.webhook;
        tracing::warn!(webhook_id = %webhook.id, %error, "a template does not work; the webhook is unhealthy now");
        let call = ApiCall {
            name: self.subscriber.named(batch.kind.as_str()),
            error: Some(error.to_string()),
            at: self.shared.context.clock.now(),
            records: u64::from(batch.prepared.cut.records),
            delivery: Some(delivery),
            attempt: Some(Box::new(batch.note())),
            ..blank_row(&self.subscriber)
        };
        self.settle().await?;
        let message = format!("{error}; correct it, then resume the webhook");
        let finish = self.finish(self.lease()?.fence, Outcome::Unhealthy { message }, Some(call));
        self.shared.clone().keep(finish).await?;
        Err(Halt::Resting)
    }
}
