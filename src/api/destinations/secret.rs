//! `/unified/destination/{id}/secret`: the secrets that sign what a destination gets.

use super::update::TRIES_MAX;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::secrets::{self, Rotation};
use crate::api::state::Api;
use crate::api::wire::{OptionalBody, Segments};
use crate::api_model::workspace::NewSecretView;
use crate::store::{Destination, SigningSecrets, StoreError};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;

/// Sets a new secret, given or made, and answers it this once. The one before signs on for the overlap.
pub(crate) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    let rotation = Rotation::read(&api, &body.fields(&api.context.limits.api))?;
    let change = |stored: &Destination| rotation.of(&api, &Destination::seal(stored.id), &stored.signing, api.now());
    let signing = keep(&api, caller, &id, change).await?;
    Ok(Json(NewSecretView::new(rotation.secret.reveal(), &signing, api.now())).into_response())
}

/// Ends a secret that was replaced: it signs nothing more.
pub(crate) async fn end(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments((id, secret)): Segments<(String, String)>,
) -> Result<StatusCode, ApiError> {
    keep(&api, caller, &id, |stored| secrets::ended(&stored.signing, &secret, api.now())).await?;
    Ok(StatusCode::OK)
}

/// Keeps what a change makes of a destination's secrets as they are now.
async fn keep(
    api: &Api,
    caller: Caller,
    id: &str,
    change: impl Fn(&Destination) -> Result<SigningSecrets, ApiError>,
) -> Result<SigningSecrets, ApiError> {
    let mut tries = 0;
    loop {
        let stored = find::destination(api, caller, id).await?;
        let signing = change(&stored)?;
        let changed = Destination { signing: signing.clone(), updated_at: api.now(), ..stored };
        match api.context.store.replace_destination(changed).await {
            Ok(_) => return Ok(signing),
            Err(StoreError::Conflict(_)) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
