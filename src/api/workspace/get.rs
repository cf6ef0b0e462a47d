//! `GET /unified/workspace`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api_model::workspace::WorkspaceView;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The caller's workspace.
pub(crate) async fn get(State(api): State<Arc<Api>>, caller: Caller) -> Result<Response, ApiError> {
    let workspace = super::own(&api, caller).await?;
    Ok(Json(WorkspaceView::new(&workspace, api.now())).into_response())
}
