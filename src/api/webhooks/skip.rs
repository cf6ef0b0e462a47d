//! `POST /unified/webhook/{id}/skip`: a batch that no endpoint takes is passed over. A destination has the same.

use super::told::{self, Told};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::recipient::Recipient;
use crate::api::state::Api;
use crate::api::wire::{OptionalBody, Segments, shorten};
use crate::api_model::delivery::DeliveryStateName;
use crate::store::{ApiCall, Attempt, Skip, StoreError, WebhookHealth};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Passes over the batch that the webhook fails at. It is not delivered, and can be replayed while its payload is kept.
/// A webhook that is not healthy stays so until it is resumed.
pub(crate) async fn skip(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    skip_of(&api, &Recipient::webhook(&api, caller, &id).await?, &body).await
}

/// Passes over the batch that a webhook or destination fails at.
pub(crate) async fn skip_of(api: &Api, to: &Recipient, body: &OptionalBody) -> Result<Response, ApiError> {
    let webhook = &to.webhook;
    let fields = body.fields(&api.context.limits.api);
    let all = told::all(api, webhook).await?;
    let failing = failing(&all, fields.text("delivery")?)?;
    let delivery = failing.id().unwrap_or_default().to_owned();
    let (call, note) = last(failing)?;
    let now = api.now();
    let skip = Skip {
        webhook: webhook.id,
        stream: note.stream(),
        span: note.span,
        is_last: call.payload_type() == "INITIAL-COMPLETE",
        at: now,
        call: row(call, note, now),
    };
    match api.context.store.skip_batch(skip).await {
        Err(StoreError::Conflict(_)) => return Err(moved_on(to)),
        skipped => skipped?,
    }
    tracing::info!(webhook_id = %webhook.id, delivery, "a delivery was skipped on request");
    let is_resting = to.health(api).await? != WebhookHealth::Healthy;
    let notice = match to.destination_id() {
        Some(_) => "the destination is not healthy: what comes next is delivered once it is resumed",
        None => "the webhook is not healthy: what comes next is delivered once it is resumed",
    };
    let all = told::all(api, webhook).await?;
    let told = all.iter().find(|told| told.id() == Some(&delivery)).ok_or_else(|| moved_on(to))?;
    let view = told.view().ok_or_else(|| moved_on(to))?;
    Ok(Json(if is_resting { view.with_payload(Err(notice)) } else { view }).into_response())
}

/// The delivery that fails; where one is named, it has to be that.
fn failing<'a>(all: &'a [Told], named: Option<&str>) -> Result<&'a Told, ApiError> {
    let is_failing = |told: &&Told| matches!(told.state(), DeliveryStateName::Retrying | DeliveryStateName::Failed);
    let mut candidates = all.iter().filter(is_failing);
    match named {
        None => candidates.next().ok_or_else(|| ApiError::conflict("no delivery fails; there is nothing to skip")),
        Some(id) => candidates.find(|told| told.id() == Some(id)).ok_or_else(|| {
            ApiError::conflict(format!("delivery `{}` does not fail now; see GET …/deliveries", shorten(id)))
        }),
    }
}

/// The row of its last attempt, with where the batch stands.
fn last(told: &Told) -> Result<(&ApiCall, &Attempt), ApiError> {
    let calls = told.calls.iter().rev();
    let mut own = calls.filter_map(|call| call.attempt.as_deref().map(|note| (call, note)));
    own.find(|(_, note)| note.replay.is_none()).ok_or_else(|| {
        ApiError::conflict("its attempts were made by an older build; let it be attempted once more, then skip it")
    })
}

fn row(call: &ApiCall, note: &Attempt, now: DateTime<Utc>) -> ApiCall {
    let records = call.records;
    let error = format!("skipped on request with the workspace's key: {records} records were not delivered");
    let attempt = Attempt { is_skip: true, ..Attempt::of(note.stream(), note.span) };
    ApiCall {
        id: String::new(),
        status: 0,
        error: Some(error),
        at: now,
        duration_ms: 0,
        attempt: Some(Box::new(attempt)),
        ..call.clone()
    }
}

fn moved_on(to: &Recipient) -> ApiError {
    ApiError::conflict(format!("the {} has moved on meanwhile; see GET {}/deliveries", to.noun(), to.path()))
}
