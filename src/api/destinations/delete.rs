//! `DELETE /unified/destination/{id}`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use axum::extract::State;
use http::StatusCode;
use std::sync::Arc;

/// Ends a destination: no attempt starts once this has answered.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let destination = find::destination(&api, caller, &id).await?;
    api.context.store.delete_destination(destination.id).await?;
    Ok(StatusCode::OK)
}
