//! A pump's attempt: wait for a slot, look again, sign, send, judge, keep.

use super::attempt::{Batch, Taken, request, row};
use super::backoff::{Hint, Tried, Wait, next_wait};
use super::pump::Pump;
use super::shared::Halt;
use super::slots::{Ended, Refused};
use super::verdict::{Verdict, judge};
use crate::context::Context;
use crate::outbound::OutboundError;
use crate::store::{ApiCall, Fence, Outcome, Retry, Webhook};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio::time::Instant;

impl Pump {
    /// Attempts a batch once. An error ends the pump.
    pub(super) async fn attempt(&mut self, batch: Batch) -> Result<(), Halt> {
        let (slots, host, is_retry) = (self.shared.slots.clone(), self.subscriber.host.clone(), self.retry.is_some());
        let (slot, kept) = self.commits.beside(slots.acquire(&host, is_retry, &mut self.turn.admission)).await;
        kept?;
        let mut slot = slot.map_err(|refused| match refused {
            Refused::Crowded => Halt::Crowded { host, is_retry },
            Refused::Slow => Halt::Slow { is_retry },
        })?;
        if !self.may_attempt(batch.stream, batch.position).await? {
            return Ok(());
        }
        let (keys, fence) = (self.keys().await?, self.lease()?.fence);
        let (at, began) = (self.shared.context.clock.now(), Instant::now());
        let limits = &self.shared.context.limits.deliver;
        let id = batch.id(&self.shared.derive, &self.subscriber);
        let mut sent = request(&self.subscriber, &batch, &id, &keys, at)
            .map_err(|error| Halt::Later(format!("a header cannot be written: {error}")))?;
        sent.deadline = Duration::from_millis(limits.attempt_deadline_ms);
        sent.body_bytes_max = limits.response_bytes_max;
        let size_bytes = sent.body.iter().map(|part| part.len() as u64).sum();
        let destinations = self.shared.context.destinations.clone();
        let (answer, kept) = self.commits.beside(slot.run(destinations.send(sent))).await;
        drop(slot);
        kept?;
        let answer = answer.unwrap_or_else(|Ended(after)| Err(OutboundError::Deadline(after)));

        let duration = began.elapsed();
        let verdict = judge(&answer, self.shared.context.clock.now());
        count(&verdict, duration);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let attempt = self.retry.as_ref().map_or(0, |retry| retry.attempts) + 1;
        let taken = Taken { at, duration_ms, size_bytes, attempt };
        self.conclude(fence, batch, verdict, taken, |pump, batch, error| {
            row(&pump.subscriber, batch, id, &answer, error, taken)
        })
        .await
    }

    async fn conclude(
        &mut self,
        fence: Fence,
        batch: Batch,
        verdict: Verdict,
        taken: Taken,
        row: impl FnOnce(&Pump, &Batch, Option<String>) -> ApiCall,
    ) -> Result<(), Halt> {
        let (error, outcome, halt) = match verdict {
            Verdict::Delivered => {
                let call = row(self, &batch, None);
                return self.delivered(fence, &batch, call).await;
            }
            Verdict::Gone { error } => (error.clone(), Outcome::Unhealthy { message: error }, Halt::Resting),
            Verdict::Failed { error, hint } => {
                match wait_after(&self.shared.context, &self.subscriber.webhook, self.retry.as_ref(), taken, hint).await
                {
                    Some(wait) => {
                        let now = self.shared.context.clock.now();
                        let retry = retry_of(self.retry.as_ref(), &batch, taken, wait, now);
                        let next_at = retry.next_at;
                        (error, Outcome::Retry(retry), Halt::Retry(next_at))
                    }
                    None => {
                        let message = exhausted(taken.attempt, &error);
                        (error, Outcome::Unhealthy { message }, Halt::Resting)
                    }
                }
            }
        };
        self.warn(&outcome, taken, &error);
        // The outcome stands at the position that is reached so far, so that is kept first: kept later, it would count
        // as having left the batch behind, and the retry would be forgotten.
        self.settle().await?;
        let call = row(self, &batch, Some(error));
        let finish = self.finish(fence, outcome, Some(call));
        self.shared.clone().keep(finish).await?;
        Err(halt)
    }

    fn warn(&self, outcome: &Outcome, taken: Taken, error: &str) {
        let (webhook_id, attempt, duration_ms) = (self.subscriber.webhook.id, taken.attempt, taken.duration_ms);
        match outcome {
            Outcome::Retry(retry) => {
                tracing::info!(%webhook_id, attempt, duration_ms, next_at = %retry.next_at, error, "a delivery failed");
            }
            _ => {
                tracing::warn!(%webhook_id, attempt, duration_ms, error, "a delivery failed; the webhook is unhealthy now")
            }
        }
    }
}

/// How long to wait after an attempt that failed; none once the schedule is exhausted.
pub(super) async fn wait_after(
    context: &Context,
    webhook: &Webhook,
    retry: Option<&Retry>,
    taken: Taken,
    hint: Hint,
) -> Option<Wait> {
    let own = own_schedule(context, webhook).await;
    let (quick, was_quick) = retry.map_or((0, false), |retry| (retry.quick, retry.is_quick));
    let tried = Tried { attempts: taken.attempt, quick, was_quick };
    let schedule = own.as_deref().unwrap_or(&context.limits.deliver.retry_schedule_ms);
    next_wait(&context.limits, schedule, tried, hint, |max| context.random.up_to(max))
}

/// The waits that the webhook, else its workspace, sets apart from the server's. Asked for only when an attempt has
/// failed, so that no delivery that works reads a row for it.
async fn own_schedule(context: &Context, webhook: &Webhook) -> Option<Vec<u64>> {
    if webhook.delivery.retry_schedule_ms.is_some() {
        return webhook.delivery.retry_schedule_ms.clone();
    }
    match context.store.workspace(webhook.workspace_id).await {
        Ok(workspace) => workspace.and_then(|workspace| workspace.delivery.retry_schedule_ms),
        Err(error) => {
            tracing::warn!(webhook_id = %webhook.id, %error, "the workspace cannot be read; the server's schedule is used");
            None
        }
    }
}

/// A batch that was attempted in vain, `before` being how it stood.
pub(super) fn retry_of(before: Option<&Retry>, batch: &Batch, taken: Taken, wait: Wait, now: DateTime<Utc>) -> Retry {
    let is_quick = matches!(wait, Wait::Quick(_));
    let wait = TimeDelta::milliseconds(i64::try_from(wait.ms()).unwrap_or(i64::MAX));
    Retry {
        stream: batch.stream,
        attempts: taken.attempt,
        first_at: before.map_or(taken.at, |retry| retry.first_at),
        next_at: now + wait,
        records: batch.prepared.cut.records,
        quick: before.map_or(0, |retry| retry.quick) + u32::from(is_quick),
        is_quick,
    }
}

fn exhausted(attempts: u32, error: &str) -> String {
    match attempts {
        1 => format!("the only attempt failed: {error}; then resume the webhook"),
        _ => format!("{attempts} attempts failed, the last one so: {error}; then resume the webhook"),
    }
}

fn count(verdict: &Verdict, duration: Duration) {
    let outcome = match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Failed { .. } => "failed",
        Verdict::Gone { .. } => "gone",
    };
    metrics::counter!("anyhook_deliveries_total", "outcome" => outcome).increment(1);
    metrics::histogram!("anyhook_delivery_duration_ms").record(duration.as_secs_f64() * 1000.0);
}
