//! `GET /unified/webhook/{id}/deliveries`, and one of them with its payload.

use super::told;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::recipient::Recipient;
use crate::api::state::Api;
use crate::api::wire::{Args, Segments, choice, shorten};
use crate::api_model::delivery::DeliveryStateName;
use crate::deliver::Payload;
use crate::store::ApiCall;
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
    deliveries_of(&api, &Recipient::webhook(&api, caller, &id).await?, &args).await
}

/// Those of a webhook or destination.
pub(crate) async fn deliveries_of(api: &Api, to: &Recipient, args: &Args) -> Result<Response, ApiError> {
    let page = args.page(&api.context.limits.api)?;
    let state = args.text("state").map(|text| choice("state", text, &STATES)).transpose()?;
    let since = args.date("updated_gte")?;
    let all = told::all(api, &to.webhook).await?;
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
    delivery_of(&api, &Recipient::webhook(&api, caller, &id).await?, &delivery).await
}

/// One of a webhook or destination.
pub(crate) async fn delivery_of(api: &Api, to: &Recipient, delivery: &str) -> Result<Response, ApiError> {
    let all = told::all(api, &to.webhook).await?;
    let missing = || ApiError::not_found("delivery", shorten(delivery));
    let told = all.iter().find(|told| told.id() == Some(delivery)).ok_or_else(missing)?;
    let newest = told.calls.iter().rev().find(|call| call.attempt.is_some());
    let payload = payload(api, to, newest).await?;
    let view = told.view().ok_or_else(missing)?.with_payload(payload);
    Ok(Json(view).into_response())
}

async fn payload(
    api: &Api,
    to: &Recipient,
    call: Option<&ApiCall>,
) -> Result<Result<Box<RawValue>, &'static str>, ApiError> {
    let (gone, changed) = match to.destination_id() {
        None => (
            "the payload is no longer kept; a back-fill tells its records again",
            "the webhook was set otherwise since, so that these bytes can no longer be put together as they were sent",
        ),
        Some(_) => (
            "the payload is no longer kept; GET /unified/notification has what is left",
            "the destination was set otherwise since, so that these bytes can no longer be made as they were sent",
        ),
    };
    let Some(call) = call else { return Ok(Err(gone)) };
    match api.desk().await?.payload(&to.webhook, call).await? {
        Payload::Body(body) => serde_json::from_slice(&body).map(Ok).map_err(ApiError::internal),
        Payload::Gone => Ok(Err(gone)),
        Payload::Changed => Ok(Err(changed)),
    }
}
