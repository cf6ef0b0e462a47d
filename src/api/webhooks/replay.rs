//! `/unified/webhook/{id}/replay`: what was delivered, or skipped, is sent again.

use super::deliveries::STATES;
use super::told::{self, Told};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Fields, OptionalBody, Segments, choice, shorten};
use crate::api_model::delivery::DeliveryStateName;
use crate::api_model::replay::ReplayView;
use crate::deliver::{Payload, Plan};
use crate::ids::JobId;
use crate::store::{ApiCall, Attempt, Position, Replay, ReplayPart, StoreError, Stream, Webhook, WebhookHealth};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use http::StatusCode;
use std::sync::Arc;

/// Begins a replay: of one delivery, of those in a state, or of all since a time. Answers once it is durable.
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let (parts, deliveries) = parts(&api, &webhook, &body.fields(&api.context.limits.api)).await?;
    if deliveries == 0 {
        return Err(ApiError::conflict("nothing was delivered that is asked for; there is nothing to repeat"));
    }
    let replay_id = JobId::new(&api.context.clock, &api.context.random)?;
    let replay = Replay::new(replay_id, &webhook, parts, deliveries, api.now());
    match api.context.store.begin_replay(replay.clone()).await {
        Err(StoreError::Exists(_)) => return Err(is_open(&webhook)),
        begun => begun?,
    }
    let notice = waits_for(&api, caller, &webhook).await?;
    let kept_since = api.desk().await?.kept_since(&webhook).await?;
    Ok(Json(ReplayView::new(&replay).with_notice(notice).with_kept_since(kept_since)).into_response())
}

/// The webhook's last replay.
pub(crate) async fn get_replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let replay = api.context.store.replay(webhook.id).await?.ok_or_else(|| {
        missing(format!("the webhook has had no replay; begin one by POST /unified/webhook/{}/replay", webhook.id))
    })?;
    let kept_since = api.desk().await?.kept_since(&webhook).await?;
    Ok(Json(ReplayView::new(&replay).with_kept_since(kept_since)).into_response())
}

/// Ends the replay that is open.
pub(crate) async fn cancel_replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    match api.context.store.cancel_replay(webhook.id, api.now()).await {
        Err(StoreError::Missing(_)) => {
            Err(missing("no replay of this webhook is open; there is nothing to end".into()))
        }
        cancelled => Ok(Json(ReplayView::new(&cancelled?)).into_response()),
    }
}

async fn parts(api: &Api, webhook: &Webhook, fields: &Fields<'_>) -> Result<(Vec<ReplayPart>, u64), ApiError> {
    let all = told::all(api, webhook).await?;
    let state = fields.text("state")?.map(|text| choice("state", text, &STATES)).transpose()?;
    let (from, until) = (fields.date("updated_gte")?, fields.date("updated_lt")?);
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        return Err(fields.error("updated_lt", "expected a time after updated_gte"));
    }
    match (fields.text("delivery")?, state, from) {
        (Some(delivery), None, None) => {
            let missing = || ApiError::not_found("delivery", shorten(delivery));
            let told = all.iter().find(|told| told.id() == Some(delivery)).ok_or_else(missing)?;
            several(api, webhook, vec![told]).await
        }
        (None, Some(state @ (DeliveryStateName::Failed | DeliveryStateName::Skipped)), _) => {
            let is_asked = |told: &&Told| {
                told.state() == state
                    && from.is_none_or(|from| told.at() >= from)
                    && until.is_none_or(|until| told.at() < until)
            };
            several(api, webhook, all.iter().filter(is_asked).collect()).await
        }
        (None, Some(_), _) => {
            Err(fields
                .error("state", "expected failed or skipped; what was delivered is repeated by updated_gte alone"))
        }
        (None, None, Some(from)) if until.is_none() => since(api, webhook, &all, from).await,
        _ => Err(ApiError::bad_request(
            "name one delivery by delivery, or a range by state (failed or skipped) with updated_gte and updated_lt, or all since a time by updated_gte alone",
        )),
    }
}

/// Single deliveries, oldest first. Each is put together once, to see that it is still what it was.
async fn several(api: &Api, webhook: &Webhook, mut told: Vec<&Told>) -> Result<(Vec<ReplayPart>, u64), ApiError> {
    told.sort_by_key(|told| own(told).map(|(_, note)| note.span.from));
    let (mut parts, mut gone, mut changed) = (Vec::with_capacity(told.len()), 0, 0);
    for told in &told {
        let found = own(told).filter(|(_, note)| note.stream() == Stream::Live);
        let Some((call, note)) = found else {
            gone += 1;
            continue;
        };
        match api.desk().await?.payload(webhook, call).await? {
            Payload::Body(_) => {
                let records = Some(u32::try_from(call.records).unwrap_or(u32::MAX));
                parts.push(ReplayPart { span: note.span, records });
            }
            Payload::Gone => gone += 1,
            Payload::Changed => changed += 1,
        }
    }
    let path = format!("POST /unified/webhook/{}/backfill", webhook.id);
    if gone > 0 {
        let kept = kept_text(api.desk().await?.kept_since(webhook).await?);
        let all = told.len();
        return Err(ApiError::conflict(format!(
            "the payloads of {gone} of {all} deliveries are no longer kept{kept}; narrow it by updated_gte, or tell their records again by {path}"
        )));
    }
    if changed > 0 {
        return Err(ApiError::conflict(format!(
            "the webhook was set otherwise since, so that {changed} deliveries would be other bytes; tell their records again by {path}"
        )));
    }
    let deliveries = parts.len() as u64;
    Ok((parts, deliveries))
}

async fn since(
    api: &Api,
    webhook: &Webhook,
    all: &[Told],
    from: DateTime<Utc>,
) -> Result<(Vec<ReplayPart>, u64), ApiError> {
    let max = api.context.limits.deliver.replay_deliveries_max;
    match api.desk().await?.plan(webhook, from, passed(all, from)).await? {
        Plan::Parts(parts, deliveries) => Ok((parts, deliveries)),
        Plan::Gone(kept_since) => Err(ApiError::conflict(format!(
            "not all that was delivered since is kept{}; ask for a later time, or tell records again by POST /unified/webhook/{}/backfill",
            kept_text(Some(kept_since)),
            webhook.id
        ))),
        Plan::TooMany => Err(ApiError::unprocessable(format!(
            "more than {max} deliveries were made since; ask for a later time, or raise deliver.replay_deliveries_max"
        ))),
    }
}

/// Up to where the log was delivered before a time, as far as rows are kept that tell it.
fn passed(all: &[Told], from: DateTime<Utc>) -> Option<Position> {
    let calls = all.iter().flat_map(|told| &told.calls);
    let before = calls.filter(|call| !call.is_failure() && call.at < from);
    let notes = before.filter_map(|call| call.attempt.as_deref());
    notes.filter(|note| note.stream() == Stream::Live && note.replay.is_none()).map(|note| note.span.to).max()
}

/// The newest row of a delivery itself that says where it stands.
fn own(told: &Told) -> Option<(&ApiCall, &Attempt)> {
    let calls = told.calls.iter().rev();
    let mut noted = calls.filter_map(|call| call.attempt.as_deref().map(|note| (call, note)));
    noted.find(|(_, note)| note.replay.is_none())
}

fn kept_text(kept_since: Option<DateTime<Utc>>) -> String {
    let since = kept_since.map(|since| since.to_rfc3339_opts(SecondsFormat::Millis, true));
    since.map(|since| format!("; payloads of what was delivered after {since} are")).unwrap_or_default()
}

/// Why nothing is sent for now.
async fn waits_for(api: &Api, caller: Caller, webhook: &Webhook) -> Result<Option<&'static str>, ApiError> {
    if webhook.is_paused || find::connection(api, caller, &webhook.connection_id.to_string()).await?.is_paused {
        return Ok(Some("the webhook or its connection is paused: the replay begins once is_paused is false"));
    }
    let state = api.context.store.delivery(webhook.id).await?.unwrap_or_default();
    let is_healthy = state.health == WebhookHealth::Healthy;
    Ok((!is_healthy).then_some("the webhook is not healthy: the replay begins once it is resumed"))
}

fn missing(message: String) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, message)
}

fn is_open(webhook: &Webhook) -> ApiError {
    let path = format!("/unified/webhook/{}/replay", webhook.id);
    ApiError::conflict(format!(
        "another replay is not finished; see how far it is by GET {path}, or end it by DELETE {path}"
    ))
}
