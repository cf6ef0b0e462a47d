//! `DELETE /unified/webhook/{id}`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use axum::extract::State;
use http::StatusCode;
use std::sync::Arc;

/// Ends a webhook: no attempt starts once this has answered. Its registration at the vendor is removed in the
/// background.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    api.context.store.delete_webhook(webhook.id, api.now()).await?;
    Ok(StatusCode::OK)
}
