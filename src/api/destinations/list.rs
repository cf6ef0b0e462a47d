//! `GET /unified/destination`

use super::view;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::Args;
use crate::api_model::destination::DestinationView;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The workspace's destinations.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, args: Args) -> Result<Response, ApiError> {
    let page = args.page(&api.context.limits.api)?;
    let destinations = api.context.store.destinations(caller.workspace, &page).await?;
    let mut states = Vec::with_capacity(destinations.len());
    for destination in &destinations {
        states.push(view::state(&api, destination).await?);
    }
    let views = destinations.iter().zip(&states);
    let now = api.now();
    let views: Vec<_> =
        views.map(|(row, state)| DestinationView::new(row).with_delivery(state).with_settings(row, now)).collect();
    Ok(Json(views).into_response())
}
