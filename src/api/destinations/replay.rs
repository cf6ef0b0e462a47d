//! `/unified/destination/{id}/replay` and `POST /unified/destination/{id}/skip`: as webhooks have them.

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::recipient::Recipient;
use crate::api::state::Api;
use crate::api::webhooks::{cancel_replay_of, last_replay_of, replay_of, skip_of};
use crate::api::wire::{OptionalBody, Segments};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Begins a replay: of one delivery, of those in a state, or of all that was told since a time.
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    replay_of(&api, caller, &Recipient::destination(&api, caller, &id).await?, &body).await
}

/// The destination's last replay.
pub(crate) async fn get_replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    last_replay_of(&api, &Recipient::destination(&api, caller, &id).await?).await
}

/// Ends the replay that is open.
pub(crate) async fn cancel_replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    cancel_replay_of(&api, &Recipient::destination(&api, caller, &id).await?).await
}

/// Passes over the batch that the destination fails at.
pub(crate) async fn skip(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    skip_of(&api, &Recipient::destination(&api, caller, &id).await?, &body).await
}
