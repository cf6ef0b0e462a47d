//! `POST /unified/destination/{id}/test`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use crate::api_model::delivery::TrialView;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Sends a sample notification and answers what came of it. A failure of the endpoint is an answer like any.
pub(crate) async fn test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let destination = find::destination(&api, caller, &id).await?;
    api.tests.check(&caller.workspace).map_err(ApiError::too_many)?;
    let call = api.desk().await?.test_destination(&destination).await?;
    Ok(Json(TrialView::new(&call)).into_response())
}
