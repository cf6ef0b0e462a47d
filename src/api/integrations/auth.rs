//! `GET /unified/integration/auth/{workspace_id}/{type}`

use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Segments, shorten};
use axum::extract::State;
use std::sync::Arc;

/// Where a person would consent by OAuth. That takes a registration of Anyhook as an app at the vendor, which no
/// setting holds: connections are made from credentials a person already has.
pub(crate) async fn auth_url(
    State(api): State<Arc<Api>>,
    Segments((workspace, integration)): Segments<(String, String)>,
) -> Result<String, ApiError> {
    check_workspace(&api, &workspace).await?;
    let manifest = find::connector(&shorten(&integration))?.manifest();
    Err(ApiError::unsupported(format!(
        "{} cannot be authorised in the browser; make a token there and give it to POST /unified/connection \
         (token_instructions of GET /unified/integration say how)",
        manifest.name
    )))
}

/// The workspace has to be there; nothing else is told of it.
pub(super) async fn check_workspace(api: &Api, workspace: &str) -> Result<(), ApiError> {
    let missing = || ApiError::new(http::StatusCode::NOT_FOUND, "there is no such workspace");
    let found = api.context.store.workspace(workspace.parse().map_err(|_| missing())?).await?;
    found.map(|_| ()).ok_or_else(missing)
}
