//! `GET /unified/webhook/{id}/deliveries`, and one of them with its payload.

use super::told;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Args, Segments, choice, shorten};
use crate::api_model::delivery::DeliveryStateName;
use crate::deliver::Payload;
use crate::store::{ApiCall, Webhook};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use std::sync::Arc;

/// The names of the states.
pub(super) const STATES: [(&str, DeliveryStateName); 4] = [
    ("delivered", DeliveryStateName::Delivered),
    ("retrying", DeliveryStateName::Retrying),
    ("failed", DeliveryStateName::Failed),
    ("skipped", DeliveryStateName::Skipped),
];

/// A webhook's deliveries, one object a batch, the one attempted last first.
pub(crate) async fn deliveries(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    args: Args,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    deliveries_of(&api, &webhook, &args).await
}

/// Those of a webhook, or of what a destination is served as.
pub(crate) async fn deliveries_of(api: &Api, webhook: &Webhook, args: &Args) -> Result<Response, ApiError> {
    let page = args.page(&api.context.limits.api)?;
    let state = args.text("state").map(|text| choice("state", text, &STATES)).transpose()?;
    let since = args.date("updated_gte")?;
    let all = told::all(api, webhook).await?;
    let matching = all
        .iter()
        .filter(|told| state.is_none_or(|state| told.state() == state))
        .filter(|told| since.is_none_or(|since| told.at() >= since));
    let views: Vec<_> = matching.skip(page.offset).take(page.limit).filter_map(|told| told.view()).collect();
    Ok(Json(views).into_response())
}

/// One of them, with its payload while that is still there.
pub(crate) async fn delivery(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments((id, delivery)): Segments<(String, String)>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    delivery_of(&api, &webhook, &delivery).await
}

/// One of a webhook, or of what a destination is served as.
pub(crate) async fn delivery_of(api: &Api, webhook: &Webhook, delivery: &str) -> Result<Response, ApiError> {
    let all = told::all(api, webhook).await?;
    let missing = || ApiError::not_found("delivery", shorten(delivery));
    let told = all.iter().find(|told| told.id() == Some(delivery)).ok_or_else(missing)?;
    let newest = told.calls.iter().rev().find(|call| call.attempt.is_some());
    let payload = payload(api, webhook, newest).await?;
    let view = told.view().ok_or_else(missing)?.with_payload(payload);
    Ok(Json(view).into_response())
}

async fn payload(
    api: &Api,
    webhook: &Webhook,
    call: Option<&ApiCall>,
) -> Result<Result<Box<RawValue>, &'static str>, ApiError> {
    const GONE: &str = "the payload is no longer kept; a back-fill tells its records again";
    const CHANGED: &str =
        "the webhook was set otherwise since, so that these bytes can no longer be put together as they were sent";
    let Some(call) = call else { return Ok(Err(GONE)) };
    match api.desk().await?.payload(webhook, call).await? {
        Payload::Body(body) => serde_json::from_slice(&body).map(Ok).map_err(ApiError::internal),
        Payload::Gone => Ok(Err(GONE)),
        Payload::Changed => Ok(Err(CHANGED)),
    }
}
