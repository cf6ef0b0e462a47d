//! `GET /unified/destination/{id}`

use super::view;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// One destination.
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let destination = find::destination(&api, caller, &id).await?;
    view::answer(&api, &destination, None).await
}
