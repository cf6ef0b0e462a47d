//! `GET /unified/connection/{id}`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use crate::api_model::connection::ConnectionView;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// One connection.
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let connection = find::connection(&api, caller, &id).await?;
    Ok(Json(ConnectionView::new(&connection)).into_response())
}
