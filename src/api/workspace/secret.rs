//! `/unified/workspace/secret`: the secrets that sign what webhooks without a secret of their own get.

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::secrets::{self, Rotation};
use crate::api::state::Api;
use crate::api::wire::{OptionalBody, Segments};
use crate::api_model::workspace::NewSecretView;
use crate::store::{SigningSecrets, Workspace};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;

/// Sets a new secret, given or made, and answers it this once. The one before signs on for the overlap.
pub(crate) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    let rotation = Rotation::read(&api, &body.fields(&api.context.limits.api))?;
    let owner = Workspace::seal(caller.workspace);
    let workspace = signing(&api, caller, |stored| rotation.of(&api, &owner, stored, api.now())).await?;
    Ok(Json(NewSecretView::new(rotation.secret.reveal(), &workspace.signing, api.now())).into_response())
}

/// Ends a secret that was replaced: it signs nothing more.
pub(crate) async fn end(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<StatusCode, ApiError> {
    signing(&api, caller, |stored| secrets::ended(stored, &id, api.now())).await?;
    Ok(StatusCode::OK)
}

async fn signing(
    api: &Api,
    caller: Caller,
    change: impl Fn(&SigningSecrets) -> Result<SigningSecrets, ApiError>,
) -> Result<Workspace, ApiError> {
    super::update::replaced(api, caller, |stored| Ok(Workspace { signing: change(&stored.signing)?, ..stored.clone() }))
        .await
}
