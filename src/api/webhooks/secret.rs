//! `/unified/webhook/{id}/secret`, and `secret` of a webhook: a secret of its own, which signs its deliveries alone.

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::secrets::{self, Rotation};
use crate::api::state::Api;
use crate::api::wire::{Fields, OptionalBody, Segments};
use crate::api_model::workspace::NewSecretView;
use crate::bootstrap::new_secret;
use crate::settings::Secret;
use crate::store::{SigningSecrets, StoreError, Webhook, Workspace};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;

/// What `secret` says.
pub(super) enum Asked {
    /// Nothing.
    Silent,
    /// `null` or `false`: none of its own.
    Without,
    /// `true`: one of its own, made here unless it has one.
    Make,
    /// A text: this one.
    Given(Secret),
}

impl Asked {
    /// Reads `secret`.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ApiError> {
        if fields.is_null("secret") {
            return Ok(Asked::Without);
        }
        match fields.flag("secret") {
            Ok(None) => Ok(Asked::Silent),
            Ok(Some(true)) => Ok(Asked::Make),
            Ok(Some(false)) => Ok(Asked::Without),
            Err(_) => match secrets::given(fields)? {
                Some(text) => Ok(Asked::Given(Secret::new(text.to_owned()))),
                None => Ok(Asked::Silent),
            },
        }
    }

    /// The secret that a webhook has to get, if it has not got it.
    pub(super) fn wanted(&self, api: &Api, webhook: &Webhook) -> Result<Option<Secret>, ApiError> {
        match (self, &webhook.delivery.signing) {
            (Asked::Silent | Asked::Without, _) | (Asked::Make, Some(_)) => Ok(None),
            (Asked::Make, None) => Ok(Some(new_secret(&api.context.random)?)),
            (Asked::Given(secret), None) => Ok(Some(secret.clone())),
            (Asked::Given(secret), Some(stored)) => {
                let is_same = secrets::is_same(api, &Webhook::seal(webhook.id), &stored.secret, secret)?;
                Ok(Some(secret.clone()).filter(|_| !is_same))
            }
        }
    }
}

/// The first secret of a webhook that is being made: nobody knows another one yet.
pub(super) fn first(api: &Api, webhook: &Webhook, secret: &Secret) -> Result<SigningSecrets, ApiError> {
    let sealed = api.context.vault.seal(&Webhook::seal(webhook.id), secret.reveal().as_bytes())?;
    Ok(SigningSecrets::only(sealed, Some(webhook.created_at)))
}

/// A webhook's secrets after a rotation. Where it had none of its own its workspace's sign on for the overlap.
pub(super) async fn rotated(
    api: &Api,
    caller: Caller,
    webhook: &Webhook,
    rotation: &Rotation,
) -> Result<SigningSecrets, ApiError> {
    let (owner, now) = (Webhook::seal(webhook.id), api.now());
    let stored = match &webhook.delivery.signing {
        Some(own) => own.clone(),
        None => {
            let workspace = api.context.store.workspace(caller.workspace).await?;
            let workspace = workspace.ok_or(StoreError::Missing("workspace"))?;
            let owners = (&*Workspace::seal(workspace.id), &*owner);
            secrets::handed_on(api, owners, &workspace.signing, now, now + rotation.overlap)?
        }
    };
    rotation.of(api, &owner, &stored, now)
}

/// Sets a new secret of its own, given or made, and answers it this once. The one before, or where it had none its
/// workspace's, signs on for the overlap.
pub(crate) async fn rotate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    let rotation = Rotation::read(&api, &body.fields(&api.context.limits.api))?;
    let mut tries = 0;
    loop {
        let stored = find::webhook(&api, caller, &id).await?;
        let signing = rotated(&api, caller, &stored, &rotation).await?;
        if let Some(kept) = keep(&api, &stored, signing, &mut tries).await? {
            return Ok(Json(NewSecretView::new(rotation.secret.reveal(), &kept, api.now())).into_response());
        }
    }
}

/// Ends a secret of its own that was replaced: it signs nothing more.
pub(crate) async fn end(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments((id, secret)): Segments<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let mut tries = 0;
    loop {
        let stored = find::webhook(&api, caller, &id).await?;
        let own = stored.delivery.signing.as_ref().ok_or_else(|| {
            let message = "the webhook has no secret of its own; its workspace's sign: see GET /unified/workspace";
            ApiError::new(StatusCode::NOT_FOUND, message)
        })?;
        let signing = secrets::ended(own, &secret, api.now())?;
        if keep(&api, &stored, signing, &mut tries).await?.is_some() {
            return Ok(StatusCode::OK);
        }
    }
}

/// Keeps a webhook's secrets; none where another change came first and it is to be tried again.
async fn keep(
    api: &Api,
    stored: &Webhook,
    signing: SigningSecrets,
    tries: &mut u32,
) -> Result<Option<SigningSecrets>, ApiError> {
    let mut webhook = Webhook { updated_at: api.now(), ..stored.clone() };
    webhook.delivery.signing = Some(signing.clone());
    match api.context.store.replace_webhook(webhook).await {
        Ok(_) => Ok(Some(signing)),
        Err(StoreError::Conflict(_)) if *tries < super::update::TRIES_MAX => {
            *tries += 1;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
