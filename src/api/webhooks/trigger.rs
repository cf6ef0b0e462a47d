//! `PUT` and `PATCH /unified/webhook/{id}/trigger`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use axum::extract::State;
use http::StatusCode;
use std::sync::Arc;

/// Asks for a poll now. Answers once that is durable, before the vendor is asked. A body is ignored.
pub(crate) async fn trigger(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    if webhook.is_paused {
        return Err(ApiError::forbidden("the webhook is paused; set its is_paused to false first"));
    }
    let connection = find::connection(&api, caller, &webhook.connection_id.to_string()).await?;
    if connection.is_paused {
        return Err(ApiError::forbidden("the webhook's connection is paused; set its is_paused to false first"));
    }
    api.context.store.ping_feed(webhook.feed_id, api.context.clock.now()).await?;
    Ok(StatusCode::OK)
}
