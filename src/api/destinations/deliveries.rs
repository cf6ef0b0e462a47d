//! `GET /unified/destination/{id}/deliveries`, and one of them with its payload: as webhooks have them.

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::recipient::Recipient;
use crate::api::state::Api;
use crate::api::webhooks::{deliveries_of, delivery_of};
use crate::api::wire::{Args, Segments};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// A destination's deliveries, one object a batch, the one attempted last first.
pub(crate) async fn deliveries(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    args: Args,
) -> Result<Response, ApiError> {
    deliveries_of(&api, &Recipient::destination(&api, caller, &id).await?, &args).await
}

/// One of them, with its payload while its notifications are kept.
pub(crate) async fn delivery(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments((id, delivery)): Segments<(String, String)>,
) -> Result<Response, ApiError> {
    delivery_of(&api, &Recipient::destination(&api, caller, &id).await?, &delivery).await
}
