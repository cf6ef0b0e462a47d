//! `GET /unified/webhook/{id}`

use super::view;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// One webhook.
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    view::answer(&api, &webhook).await
}
