//! One replay's loop: reads its parts, sends batch after batch as they were, and keeps how far it is.

use super::attempt::{Batch, Taken, request, row};
use super::commits::Commits;
use super::derive::DeliveryId;
use super::desk::{DeskError, cut_at};
use super::pages::SharedPage;
use super::pump;
use super::rendering::rendered;
use super::send::{retry_of, wait_after};
use super::shared::{Halt, Shared};
use super::slots::Ended;
use super::subscriber::{Served, Subscriber};
use super::verdict::{Verdict, judge};
use crate::leases::Lease;
use crate::outbound::OutboundError;
use crate::store::{ApiCall, Fence, Position, Replay, ReplayState, ReplayStep, StoreError, Stream, WebhookHealth};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const REPLAY: HeaderName = HeaderName::from_static("anyhook-replay");

impl From<DeskError> for Halt {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::Unfit(reason) => Halt::Later(reason),
        }
    }
}

pub(super) struct Replayer {
    pub(super) shared: Arc<Shared>,
    pub(super) subscriber: Subscriber,
    pub(super) replay: Replay,
    /// The lease under which it was read.
    held: Lease,
    pub(super) page: Option<(u64, Arc<SharedPage>)>,
    commits: Commits,
}

/// Sends a replay until it is over or something stops it.
pub(super) async fn run(shared: Arc<Shared>, replay: Replay, held: Lease) -> Halt {
    let mut replayer = match Replayer::load(shared, replay, held).await {
        Ok(replayer) => replayer,
        Err(halt) => return halt,
    };
    let halt = match replayer.serve().await {
        Ok(()) => Halt::Idle,
        Err(halt) => halt,
    };
    match replayer.commits.settle().await {
        Err(kept) if !matches!(halt, Halt::Gone | Halt::Elsewhere) => kept,
        _ => halt,
    }
}

impl Replayer {
    async fn load(shared: Arc<Shared>, replay: Replay, held: Lease) -> Result<Self, Halt> {
        let store = &shared.context.store;
        let served = Served::read(&**store, replay.webhook_id).await?.ok_or(Halt::Gone)?;
        let state = store.delivery(replay.webhook_id).await?.ok_or(Halt::Gone)?;
        if state.health != WebhookHealth::Healthy {
            return Err(Halt::Resting);
        }
        pump::rest(&shared, &served).await?;
        let subscriber = Subscriber::new(served, &shared.outputs, &shared.context).map_err(DeskError::from)?;
        Ok(Replayer { shared, subscriber, replay, held, page: None, commits: Commits::default() })
    }

    async fn serve(&mut self) -> Result<(), Halt> {
        loop {
            if self.shared.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let Some(part) = self.replay.parts.get(self.replay.part).copied() else {
                self.commits.settle().await?;
                return self.step(self.lease()?.fence, ReplayState::Done, 0, None, None).await;
            };
            if self.replay.position >= part.span.to {
                self.replay.part += 1;
                self.replay.position =
                    self.replay.parts.get(self.replay.part).map_or(part.span.to, |next| next.span.from);
                continue;
            }
            let Some(page) = self.page(part).await? else {
                let gone = "payloads that were still to be sent again are no longer kept";
                let advice = match (&self.subscriber.destination, self.subscriber.webhook.id) {
                    (Some(_), _) => "GET /unified/notification has what is left".to_owned(),
                    (None, id) => format!("POST /unified/webhook/{id}/backfill tells their records"),
                };
                return self.fail(format!("{gone}; {advice}")).await;
            };
            let position = self.replay.position;
            let batch = cut_at(&self.shared, &self.subscriber, &page, Stream::Live, position, part.records)?;
            if batch.prepared.cut.records == 0 {
                self.replay.position = batch.next;
                continue;
            }
            let id = batch.id(&self.shared.derive, &self.subscriber);
            match rendered(batch.clone(), &id, &self.subscriber) {
                Ok(Some(batch)) => self.attempt(batch, id).await?,
                // Nothing was sent of it then, nor is it now.
                Ok(None) => self.replay.position = batch.next,
                Err(error) => return self.fail(error.to_string()).await,
            }
        }
    }

    /// Ends it: it cannot go on.
    async fn fail(&mut self, message: String) -> Result<(), Halt> {
        self.commits.settle().await?;
        self.replay.retry = None;
        self.step(self.lease()?.fence, ReplayState::Failed { message }, 0, None, None).await
    }

    /// Attempts a batch once, in the slots that retries use.
    async fn attempt(&mut self, batch: Batch, id: DeliveryId) -> Result<(), Halt> {
        let (slots, host) = (self.shared.slots.clone(), self.subscriber.host.clone());
        // A replay that finds no room comes again later: it keeps no admission to the slow pool for its next attempt.
        let mut admission = None;
        let (slot, kept) = self.commits.beside(slots.acquire(&host, true, &mut admission)).await;
        kept?;
        let mut slot = slot.map_err(|_| Halt::Crowded { host, is_retry: true })?;
        self.look_again().await?;
        let (shared, context) = (self.shared.clone(), self.shared.context.clone());
        let keys = shared.keyring.keys(&context, &self.subscriber).await?;
        let (fence, limits) = (self.lease()?.fence, &context.limits.deliver);
        let (at, began) = (context.clock.now(), Instant::now());
        let mut sent = request(&self.subscriber, &batch, &id, &keys, at).map_err(DeskError::from)?;
        sent.headers.insert(REPLAY, HeaderValue::try_from(self.replay.id.to_string()).map_err(DeskError::from)?);
        sent.deadline = Duration::from_millis(limits.attempt_deadline_ms);
        sent.body_bytes_max = limits.response_bytes_max;
        let size_bytes = sent.body.iter().map(|part| part.len() as u64).sum();
        let (answer, kept) = self.commits.beside(slot.run(context.destinations.send(sent))).await;
        drop((slot, admission));
        kept?;
        let answer = answer.unwrap_or_else(|Ended(after)| Err(OutboundError::Deadline(after)));

        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let attempt = self.replay.retry.as_ref().map_or(0, |retry| retry.attempts) + 1;
        let taken = Taken { at, duration_ms, size_bytes, attempt };
        let verdict = judge(&answer, context.clock.now());
        let error = match &verdict {
            Verdict::Delivered => None,
            Verdict::Failed { error, .. } | Verdict::Gone { error } => Some(error.clone()),
        };
        let mut call = row(&self.subscriber, &batch, id, &answer, error, taken);
        if let Some(note) = &mut call.attempt {
            note.replay = Some(self.replay.id);
        }
        self.conclude(fence, &batch, verdict, taken, call).await
    }

    async fn conclude(
        &mut self,
        fence: Fence,
        batch: &Batch,
        verdict: Verdict,
        taken: Taken,
        call: ApiCall,
    ) -> Result<(), Halt> {
        let (error, wait) = match verdict {
            Verdict::Delivered => {
                self.replay.retry = None;
                self.replay.position = batch.next;
                let step = self.step_of(fence, ReplayState::Running, 1, None, Some(call));
                let shared = self.shared.clone();
                self.commits.push(Box::pin(async move { keep(&shared, step).await }));
                return self.commits.room(self.shared.context.limits.deliver.positions_in_flight_max).await;
            }
            Verdict::Gone { error } => (error, None),
            Verdict::Failed { error, hint } => {
                let (context, webhook) = (&self.shared.context, &self.subscriber.webhook);
                (error, wait_after(context, webhook, self.replay.retry.as_ref(), taken, hint).await)
            }
        };
        self.commits.settle().await?;
        let Some(wait) = wait else {
            let message = format!("a delivery was not taken after {} attempts: {error}", taken.attempt);
            return self.step(fence, ReplayState::Failed { message }, 0, Some(error), Some(call)).await;
        };
        let now = self.shared.context.clock.now();
        let retry = retry_of(self.replay.retry.as_ref(), batch, taken, wait, now);
        let next_at = retry.next_at;
        self.replay.retry = Some(retry);
        self.step(fence, ReplayState::Running, 0, Some(error), Some(call)).await?;
        Err(Halt::Retry(next_at))
    }

    /// What has to be so for an attempt to begin, read at the last moment.
    async fn look_again(&mut self) -> Result<(), Halt> {
        if self.shared.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        if self.shared.is_failing() {
            return Err(Halt::Later("the store does not take outcomes".to_owned()));
        }
        let store = &self.shared.context.store;
        let id = self.subscriber.webhook.id;
        let served = Served::read(&**store, id).await?.ok_or(Halt::Gone)?;
        pump::rest(&self.shared, &served).await?;
        let state = store.delivery(id).await?.ok_or(Halt::Gone)?;
        if state.health != WebhookHealth::Healthy {
            return Err(Halt::Resting);
        }
        let open = store.replay(id).await?.filter(|replay| replay.is_open() && replay.id == self.replay.id);
        if open.is_none() {
            return Err(Halt::Gone);
        }
        // Set otherwise meanwhile: begun again with that.
        if served.webhook.revision == self.subscriber.webhook.revision { Ok(()) } else { Err(Halt::Yield) }
    }

    /// The lease, if an attempt that begins now ends within it.
    fn lease(&self) -> Result<Lease, Halt> {
        self.shared.lease(&self.held)
    }

    async fn step(
        &mut self,
        fence: Fence,
        state: ReplayState,
        repeated: u64,
        error: Option<String>,
        call: Option<ApiCall>,
    ) -> Result<(), Halt> {
        let is_over = state != ReplayState::Running;
        keep(&self.shared, self.step_of(fence, state, repeated, error, call)).await?;
        if is_over { Err(Halt::Idle) } else { Ok(()) }
    }

    fn step_of(
        &self,
        fence: Fence,
        state: ReplayState,
        repeated: u64,
        error: Option<String>,
        call: Option<ApiCall>,
    ) -> ReplayStep {
        let position: Position = self.replay.position;
        ReplayStep {
            fence,
            webhook: self.replay.webhook_id,
            id: self.replay.id,
            part: self.replay.part,
            position,
            repeated,
            retry: self.replay.retry.clone(),
            error,
            state,
            at: self.shared.context.clock.now(),
            call,
        }
    }
}

/// Keeps a step. What is not kept is sent once more, under the same id.
async fn keep(shared: &Shared, step: ReplayStep) -> Result<(), Halt> {
    shared.context.store.step_replay(step).await.map_err(|error| {
        if let StoreError::Fenced(fence) = &error {
            shared.context.leases.lost(*fence);
        }
        error.into()
    })
}
