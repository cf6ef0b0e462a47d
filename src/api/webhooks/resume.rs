//! `PUT` and `PATCH /unified/webhook/{id}/resume`

use super::view::Details;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Makes a webhook healthy again: what waits is delivered now, from where it stopped, and its feed is polled again and
/// shown as being retried until that poll tells. A pause stays a pause. A body is ignored.
pub(crate) async fn resume(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let now = api.context.clock.now();
    api.context.store.resume_webhook(webhook.id, now).await?;
    api.context.store.ping_feed(webhook.feed_id, now).await?;
    let details = Details::of(&api, &webhook).await?;
    Ok(Json(details.view(&webhook)).into_response())
}
