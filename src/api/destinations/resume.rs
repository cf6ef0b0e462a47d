//! `PUT` and `PATCH /unified/destination/{id}/resume`

use super::view;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use crate::store::Destination;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Makes a destination healthy again: what waits is delivered now, from where it stopped. A pause stays a pause. A body
/// is ignored.
pub(crate) async fn resume(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let destination = find::destination(&api, caller, &id).await?;
    let served_as = Destination::served_as(destination.id);
    api.context.store.resume_webhook(served_as, api.context.clock.now()).await?;
    view::answer(&api, &destination, None).await
}
