//! Deliveries: what comes of attempts, and what is to be tried again.

use super::calls::{self, Fold, Scope};
use super::delivery_row::{self, Delivery};
use super::engine::Read;
use super::keys::DueKind;
use super::listings::Passed;
use super::lists::{self, Due};
use super::txn::Txn;
use super::{
    Domain, Pace, Units, behind, destinations, feeds, head, insights, leases, listings, notifications, webhooks,
};
use crate::ids::WebhookId;
use crate::store::{
    ApiCall, AttemptFinish, Beside, Deliveries, DeliveryState, DueRetry, ListingJob, Notification, NotificationEvent,
    Outcome, Position, ShardId, Skip, Standing, StoreError, Stream, Wake, WebhookHealth,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

const MISSING: StoreError = StoreError::Missing("webhook");

/// Keeps what came of an attempt.
fn finish(txn: &mut Txn<'_>, finish: AttemptFinish) -> Result<(), StoreError> {
    let AttemptFinish { fence, webhook, outcome, at, call } = finish;
    txn.expect(&|| {
        let mut places = vec![leases::place(fence), delivery_row::place(webhook)];
        places.extend(call.iter().flat_map(insights::places));
        places.extend(call.iter().map(|_| calls::place(Scope::webhook(webhook))));
        places
    })?;
    leases::check(txn, fence)?;
    let mut delivery = delivery_row::delivery(txn, webhook)?.ok_or(MISSING)?;
    let due_before = delivery.due();
    // Rows of what was passed over come in their thousands, one like the other.
    let fold = if matches!(outcome, Outcome::Passed { .. }) { Fold::EmptyRuns } else { Fold::Nothing };
    if matches!(outcome, Outcome::Retry(_) | Outcome::Unhealthy { .. })
        && let Some(call) = &call
        && was_skipped(txn, &delivery.state, call)?
    {
        return calls::record(txn, Scope::webhook(webhook), call.clone(), Fold::Nothing);
    }
    match outcome {
        Outcome::Delivered { stream, position, is_last } => {
            let state = &mut delivery.state;
            state.delivered += 1;
            state.delivered_at = Some(at);
            state.retry.take_if(|retry| retry.stream == stream);
            let records = call.as_ref().map_or(0, |call| call.records);
            pass(txn, webhook, state, stream, Passed { position, is_last, records, at })?;
        }
        Outcome::Passed { stream, position } => {
            let state = &mut delivery.state;
            if pass(txn, webhook, state, stream, Passed { position, is_last: false, records: 0, at })? {
                state.retry.take_if(|retry| retry.stream == stream);
            }
        }
        Outcome::Retry(retry) => delivery.state.retry = Some(retry),
        Outcome::Unhealthy { message } => {
            if delivery.state.health == WebhookHealth::Healthy {
                tell_unhealthy(txn, webhook, &message, call.as_ref(), at)?;
            }
            delivery.state.health = WebhookHealth::Unhealthy { since: at, message };
        }
    }
    if let Some(call) = &call
        && delivery.state.missed.is_some()
    {
        destinations::tell_missed(txn, webhook, &mut delivery.state, call)?;
    }
    delivery_row::keep(txn, webhook, due_before, &delivery);
    match call {
        Some(call) => {
            insights::count(txn, &call)?;
            calls::record(txn, Scope::webhook(webhook), call, fold)
        }
        None => Ok(()),
    }
}

/// True for an attempt of a batch that was passed over while it was under way.
fn was_skipped(read: &dyn Read, state: &DeliveryState, call: &ApiCall) -> Result<bool, StoreError> {
    let Some(note) = &call.attempt else { return Ok(false) };
    Ok(place(read, state, note.stream())?.is_some_and(|place| place > note.span.from))
}

/// Where a webhook stands in a stream; none where that is over.
fn place(read: &dyn Read, state: &DeliveryState, stream: Stream) -> Result<Option<Position>, StoreError> {
    match stream {
        Stream::Live => Ok(Some(state.position)),
        Stream::Listing(job) => Ok(listings::job(read, job)?.filter(ListingJob::is_open).map(|job| job.position)),
    }
}

fn standing(read: &dyn Read, webhook: WebhookId) -> Result<Option<Standing>, StoreError> {
    read.expect(&|| vec![delivery_row::place(webhook), webhooks::place(webhook)])?;
    let Some(Delivery { is_resting, state, .. }) = delivery_row::delivery(read, webhook)? else { return Ok(None) };
    let revision = match webhooks::revision(read, webhook)? {
        Some(revision) => Some(revision),
        None => destinations::served_as(read, webhook)?.map(|row| row.revision),
    };
    let held_from = state.beside.and_then(|beside| beside.held_from);
    Ok(revision.map(|revision| Standing { revision, is_resting, held_from }))
}

fn skip(txn: &mut Txn<'_>, skip: Skip) -> Result<(), StoreError> {
    let Skip { webhook, stream, span, is_last, at, call } = skip;
    let mut delivery = delivery_row::delivery(txn, webhook)?.ok_or(MISSING)?;
    let due_before = delivery.due();
    let state = &mut delivery.state;
    let fails =
        state.retry.as_ref().is_some_and(|retry| retry.stream == stream) || state.health != WebhookHealth::Healthy;
    if !fails || span.to <= span.from || place(txn, state, stream)? != Some(span.from) {
        return Err(StoreError::Conflict("batch"));
    }
    state.retry.take_if(|retry| retry.stream == stream);
    pass(txn, webhook, state, stream, Passed { position: span.to, is_last, records: 0, at })?;
    delivery_row::keep(txn, webhook, due_before, &delivery);
    txn.wake(Wake::WebhookChanged(webhook));
    calls::record(txn, Scope::webhook(webhook), call, Fold::Nothing)
}

fn tell_unhealthy(
    txn: &mut Txn<'_>,
    id: WebhookId,
    message: &str,
    call: Option<&ApiCall>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let new = match (webhooks::webhook(txn, id)?, destinations::served_as(txn, id)?) {
        (Some(webhook), _) => notifications::of_webhook(&webhook, NotificationEvent::WebhookUnhealthy, at, message),
        (None, Some(destination)) => {
            notifications::of_destination(&destination, NotificationEvent::DestinationUnhealthy, at, message)
        }
        (None, None) => return Ok(()),
    };
    let code = call.map(|call| call.status).filter(|status| *status > 0).map(|status| status.to_string());
    notifications::write(txn, Notification { code, ..new })
}

/// Moves a position on, never back; true if it moved.
fn pass(
    txn: &mut Txn<'_>,
    webhook: WebhookId,
    state: &mut DeliveryState,
    stream: Stream,
    passed: Passed,
) -> Result<bool, StoreError> {
    match stream {
        Stream::Live => {
            let before = state.position;
            state.position = before.max(passed.position);
            if state.missed.is_some() && !behind::is_behind(txn, webhook, state.position)? {
                state.missed = None;
            }
            if let Some(Beside { job, held_from: Some(from) }) = state.beside
                && before.sequence < from
                && state.position.sequence >= from
            {
                txn.wake(Wake::JobChanged(job, webhook));
            }
            Ok(state.position > before)
        }
        Stream::Listing(id) => {
            let Some((has_moved, job)) = listings::pass(txn, webhook, id, passed)? else { return Ok(false) };
            if !job.is_open() {
                give_way(txn, webhook, state, id);
                state.beside.take_if(|beside| beside.job == id);
            } else if job.spooled() == 0
                && let Some(beside) = state.beside.as_mut().filter(|beside| beside.job == id)
            {
                beside.held_from = None;
            }
            Ok(has_moved)
        }
    }
}

/// What the log waited for is over; a back-fill that waits too may go on.
fn give_way(txn: &mut Txn<'_>, webhook: WebhookId, state: &mut DeliveryState, id: crate::ids::JobId) {
    if state.listing.take_if(|listing| *listing == id).is_some()
        && let Some(beside) = state.beside
    {
        txn.wake(Wake::JobChanged(beside.job, webhook));
    }
}

/// A webhook rests while it, or its connection, is paused.
pub(super) fn rest(txn: &mut Txn<'_>, webhook: WebhookId, is_resting: bool) -> Result<(), StoreError> {
    let mut delivery = delivery_row::delivery(txn, webhook)?.ok_or(MISSING)?;
    if delivery.is_resting != is_resting {
        let due_before = delivery.due();
        delivery.is_resting = is_resting;
        delivery_row::keep(txn, webhook, due_before, &delivery);
    }
    Ok(())
}

/// A listing job is over before its end: the log comes next, and what of the job was being retried is not.
pub(super) fn leave_listing(txn: &mut Txn<'_>, webhook: WebhookId, job: crate::ids::JobId) -> Result<(), StoreError> {
    let Some(mut delivery) = delivery_row::delivery(txn, webhook)? else { return Ok(()) };
    let due_before = delivery.due();
    give_way(txn, webhook, &mut delivery.state, job);
    delivery.state.beside.take_if(|beside| beside.job == job);
    delivery.state.retry.take_if(|retry| retry.stream == Stream::Listing(job));
    delivery_row::keep(txn, webhook, due_before, &delivery);
    Ok(())
}

/// A back-fill has nothing to deliver now: log pages that waited for it need not any more.
pub(super) fn let_log_go(txn: &mut Txn<'_>, webhook: WebhookId, job: crate::ids::JobId) -> Result<(), StoreError> {
    let Some(mut delivery) = delivery_row::delivery(txn, webhook)? else { return Ok(()) };
    let due_before = delivery.due();
    let Some(beside) = delivery.state.beside.as_mut().filter(|beside| beside.job == job) else { return Ok(()) };
    if beside.held_from.take().is_some() {
        delivery_row::keep(txn, webhook, due_before, &delivery);
    }
    Ok(())
}

fn resume(txn: &mut Txn<'_>, webhook: WebhookId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut delivery = delivery_row::delivery(txn, webhook)?.ok_or(MISSING)?;
    let due_before = delivery.due();
    delivery.state.health = WebhookHealth::Healthy;
    if let Some(retry) = &mut delivery.state.retry {
        (retry.attempts, retry.quick, retry.is_quick) = (0, 0, false);
        retry.first_at = now;
        retry.next_at = now;
    }
    delivery_row::keep(txn, webhook, due_before, &delivery);
    txn.wake(Wake::WebhookChanged(webhook));
    match webhooks::webhook(txn, webhook)? {
        Some(row) => feeds::retry(txn, row.feed_id),
        None => Ok(()),
    }
}

fn waiting(
    read: &dyn Read,
    shard: ShardId,
    after: Option<WebhookId>,
    limit: usize,
) -> Result<(Vec<WebhookId>, Option<WebhookId>), StoreError> {
    let ids = webhooks::ids_of_shard(read, shard, after, limit)?;
    let both = |id: &WebhookId| [delivery_row::place(*id), webhooks::place(*id)];
    read.expect(&|| ids.iter().flat_map(both).collect())?;
    let mut feeds = Vec::new();
    for id in &ids {
        feeds.extend(webhooks::feed_of(read, *id)?.map(|feed| (*id, feed)));
    }
    read.expect(&|| feeds.iter().map(|(_, feed)| head::place(*feed)).collect())?;
    let mut waiting = Vec::new();
    for (id, feed) in feeds {
        let Some(Delivery { is_resting: false, state, .. }) = delivery_row::delivery(read, id)? else { continue };
        if state.health != WebhookHealth::Healthy {
            continue;
        }
        let end = head::head(read, feed)?.map_or(0, |head| head.log.end);
        let has_more = state.position.sequence < end;
        if has_more || state.retry.is_some() || state.listing.is_some() || state.beside.is_some() {
            waiting.push(id);
        }
    }
    Ok((waiting, ids.last().copied()))
}

fn due(read: &dyn Read, shards: &[ShardId], limit: usize) -> Result<Vec<DueRetry>, StoreError> {
    let due = lists::due(read, DueKind::Retry, shards, DateTime::<Utc>::MAX_UTC, limit)?.into_iter();
    Ok(due.map(|Due { at, shard, id }| DueRetry { webhook: WebhookId::from_bytes(id), shard, next_at: at }).collect())
}

#[async_trait]
impl<U: Units> Deliveries for U {
    async fn delivery(&self, webhook: WebhookId) -> Result<Option<DeliveryState>, StoreError> {
        let delivery = self.read(|read| delivery_row::delivery(read, webhook)).await?;
        Ok(delivery.map(|Delivery { state, .. }| state))
    }

    async fn standing(&self, webhook: WebhookId) -> Result<Option<Standing>, StoreError> {
        self.read(|read| standing(read, webhook)).await
    }

    async fn finish_attempt(&self, attempt: AttemptFinish) -> Result<(), StoreError> {
        self.write(Domain::Shard(attempt.fence.shard), Pace::Lazy, move |txn| finish(txn, attempt.clone())).await
    }

    async fn skip_batch(&self, skipped: Skip) -> Result<(), StoreError> {
        self.write(Domain::Webhook(skipped.webhook), Pace::Now, move |txn| skip(txn, skipped.clone())).await
    }

    async fn waiting_webhooks(
        &self,
        shard: ShardId,
        after: Option<WebhookId>,
        limit: usize,
    ) -> Result<(Vec<WebhookId>, Option<WebhookId>), StoreError> {
        self.read(|read| waiting(read, shard, after, limit)).await
    }

    async fn due_retries(&self, shards: &[ShardId], limit: usize) -> Result<Vec<DueRetry>, StoreError> {
        self.read(|read| due(read, shards, limit)).await
    }

    async fn resume_webhook(&self, webhook: WebhookId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write(Domain::Webhook(webhook), Pace::Now, move |txn| resume(txn, webhook, now)).await
    }
}
