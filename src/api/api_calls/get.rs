//! `GET /unified/apicall/{id}`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Segments, shorten};
use crate::api_model::api_call::ApiCallView;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// One row.
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let found = api.context.store.api_call(&id).await?;
    let call = found.filter(|call| call.workspace_id == caller.workspace);
    let call = call.ok_or_else(|| ApiError::not_found("apicall", shorten(&id)))?;
    Ok(Json(ApiCallView::new(&call)).into_response())
}
