//! A destination as it is answered: the row with how its deliveries stand.

use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api_model::destination::DestinationView;
use crate::settings::Secret;
use crate::store::{DeliveryState, Destination};
use axum::Json;
use axum::response::{IntoResponse, Response};

/// How a destination's deliveries stand.
pub(super) async fn state(api: &Api, destination: &Destination) -> Result<DeliveryState, ApiError> {
    let served_as = Destination::served_as(destination.id);
    Ok(api.context.store.delivery(served_as).await?.unwrap_or_default())
}

/// Answers a destination, with its secret where it was made or given just now.
pub(super) async fn answer(
    api: &Api,
    destination: &Destination,
    secret: Option<&Secret>,
) -> Result<Response, ApiError> {
    let state = state(api, destination).await?;
    let view = DestinationView::new(destination).with_delivery(&state).with_settings(destination, api.now());
    Ok(Json(view.with_secret(secret.map(Secret::reveal))).into_response())
}
