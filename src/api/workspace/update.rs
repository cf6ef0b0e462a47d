//! `PUT` and `PATCH /unified/workspace`

use crate::api::auth::Caller;
use crate::api::delivery_settings;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Fields, JsonBody, choice};
use crate::api_model::workspace::WorkspaceView;
use crate::store::{SignatureEncoding, StoreError, Workspace};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// How often a change is tried again because another came first.
const TRIES_MAX: u32 = 5;

/// Merges what is given into the caller's workspace; both verbs do. What is read-only is ignored. It holds for every
/// attempt that begins once this is answered, but for one that was being signed just then.
pub(crate) async fn update(State(api): State<Arc<Api>>, caller: Caller, body: JsonBody) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let workspace = replaced(&api, caller, |stored| merged(&api, stored, &fields)).await?;
    Ok(Json(WorkspaceView::new(&workspace, api.now())).into_response())
}

/// Changes the caller's workspace, again where another change came first.
pub(super) async fn replaced(
    api: &Api,
    caller: Caller,
    change: impl Fn(&Workspace) -> Result<Workspace, ApiError>,
) -> Result<Workspace, ApiError> {
    let mut tries = 0;
    loop {
        let stored = super::own(api, caller).await?;
        let changed = change(&stored)?;
        if changed == stored {
            return Ok(stored);
        }
        match api.context.store.replace_workspace(changed).await {
            Ok(workspace) => return Ok(workspace),
            Err(StoreError::Conflict(_)) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn merged(api: &Api, stored: &Workspace, fields: &Fields<'_>) -> Result<Workspace, ApiError> {
    let mut workspace = stored.clone();
    if let Some(name) = fields.text("name")? {
        workspace.name = fields.required("name").map(|_| name.to_owned())?;
    }
    if let Some(text) = fields.text("signature_encoding")? {
        let allowed = [("base64", SignatureEncoding::Base64), ("hex", SignatureEncoding::Hex)];
        workspace.signature_encoding = choice("signature_encoding", text, &allowed)?;
    }
    delivery_settings::merge(&mut workspace.delivery, fields, &api.context.limits.api)?;
    Ok(workspace)
}
