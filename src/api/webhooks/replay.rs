//! `/unified/webhook/{id}/replay`: what was delivered, or skipped, is sent again. A destination has the same.

use super::replay_parts::parts;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::recipient::Recipient;
use crate::api::state::Api;
use crate::api::wire::{OptionalBody, Segments};
use crate::api_model::replay::ReplayView;
use crate::ids::JobId;
use crate::store::{Replay, StoreError};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;

/// Begins a replay: of one delivery, of those in a state, or of all since a time. Answers once it is durable.
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    replay_of(&api, caller, &Recipient::webhook(&api, caller, &id).await?, &body).await
}

/// The webhook's last replay.
pub(crate) async fn get_replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    last_replay_of(&api, &Recipient::webhook(&api, caller, &id).await?).await
}

/// Ends the replay that is open.
pub(crate) async fn cancel_replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    cancel_replay_of(&api, &Recipient::webhook(&api, caller, &id).await?).await
}

/// Begins a replay of a webhook or destination.
pub(crate) async fn replay_of(
    api: &Api,
    caller: Caller,
    to: &Recipient,
    body: &OptionalBody,
) -> Result<Response, ApiError> {
    let (parts, deliveries) = parts(api, to, &body.fields(&api.context.limits.api)).await?;
    if deliveries == 0 {
        return Err(ApiError::conflict("nothing was delivered that is asked for; there is nothing to repeat"));
    }
    let replay_id = JobId::new(&api.context.clock, &api.context.random)?;
    let replay = Replay::new(replay_id, &to.webhook, parts, deliveries, api.now());
    match api.context.store.begin_replay(replay.clone()).await {
        Err(StoreError::Exists(_)) => return Err(is_open(to)),
        begun => begun?,
    }
    let notice = to.waits_for(api, caller).await?;
    let kept_since = api.desk().await?.kept_since(&to.webhook).await?;
    let view = ReplayView::new(&replay, to.destination_id());
    Ok(Json(view.with_notice(notice).with_kept_since(kept_since)).into_response())
}

/// The last replay of a webhook or destination.
pub(crate) async fn last_replay_of(api: &Api, to: &Recipient) -> Result<Response, ApiError> {
    let replay = api.context.store.replay(to.webhook.id).await?.ok_or_else(|| {
        missing(format!("the {} has had no replay; begin one by POST {}/replay", to.noun(), to.path()))
    })?;
    let kept_since = api.desk().await?.kept_since(&to.webhook).await?;
    Ok(Json(ReplayView::new(&replay, to.destination_id()).with_kept_since(kept_since)).into_response())
}

/// Ends the replay of a webhook or destination that is open.
pub(crate) async fn cancel_replay_of(api: &Api, to: &Recipient) -> Result<Response, ApiError> {
    match api.context.store.cancel_replay(to.webhook.id, api.now()).await {
        Err(StoreError::Missing(_)) => {
            Err(missing(format!("no replay of this {} is open; there is nothing to end", to.noun())))
        }
        cancelled => Ok(Json(ReplayView::new(&cancelled?, to.destination_id())).into_response()),
    }
}

fn missing(message: String) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, message)
}

fn is_open(to: &Recipient) -> ApiError {
    let path = format!("{}/replay", to.path());
    ApiError::conflict(format!(
        "another replay is not finished; see how far it is by GET {path}, or end it by DELETE {path}"
    ))
}
