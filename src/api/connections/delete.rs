//! `DELETE /unified/connection/{id}`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use axum::extract::State;
use http::StatusCode;
use std::sync::Arc;

/// Ends a connection and its webhooks.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let connection = find::connection(&api, caller, &id).await?;
    let webhooks = api.context.store.delete_connection(connection.id, api.now()).await?;
    tracing::info!(connection = %connection.id, webhooks = webhooks.len(), "a connection was deleted");
    Ok(StatusCode::OK)
}
