//! `POST /unified/destination`

use super::{subscriptions, view};
use crate::api::auth::Caller;
use crate::api::delivery_settings;
use crate::api::error::ApiError;
use crate::api::output;
use crate::api::secrets;
use crate::api::state::Api;
use crate::api::webhooks::hook_url;
use crate::api::wire::{Fields, JsonBody};
use crate::bootstrap::new_secret;
use crate::ids::DestinationId;
use crate::settings::Secret;
use crate::store::{DeliverySettings, Destination, ListPage, SigningSecrets};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Makes a destination: it is told of what happens from then on. Its secret is answered this once.
pub(crate) async fn create(State(api): State<Arc<Api>>, caller: Caller, body: JsonBody) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let secret = match secrets::given(&fields)? {
        Some(given) => Secret::new(given.to_owned()),
        None => new_secret(&api.context.random)?,
    };
    let destination = read(&api, caller, &fields, &secret)?;
    subscriptions::check(&api, caller, &destination.subscriptions, &[]).await?;
    check_count(&api, caller).await?;
    let destination = api.context.store.insert_destination(destination).await?;
    view::answer(&api, &destination, Some(&secret)).await
}

fn read(api: &Api, caller: Caller, fields: &Fields<'_>, secret: &Secret) -> Result<Destination, ApiError> {
    let limits = &api.context.limits.api;
    let id = DestinationId::new(&api.context.clock, &api.context.random)?;
    let sealed = api.context.vault.seal(&Destination::seal(id), secret.reveal().as_bytes())?;
    let now = api.now();
    let mut delivery = DeliverySettings::default();
    delivery_settings::merge(&mut delivery, fields, limits)?;
    let mut destination = Destination {
        id,
        workspace_id: caller.workspace,
        shard: Destination::shard_of(id),
        name: fields.required("name")?.to_owned(),
        hook_url: hook_url(fields, api)?.ok_or_else(|| fields.error("hook_url", "is missing"))?,
        signing: SigningSecrets::only(sealed, Some(now)),
        subscriptions: subscriptions::read(fields, limits)?.unwrap_or_default(),
        is_paused: fields.flag("is_paused")?.unwrap_or(false),
        created_at: now,
        updated_at: now,
        revision: 0,
        delivery,
    };
    output::merge_destination(&mut destination, fields, &api.context.vault, &api.context.limits.deliver)?;
    Ok(destination)
}

/// A bound on a workspace's destinations.
async fn check_count(api: &Api, caller: Caller) -> Result<(), ApiError> {
    let max = api.context.limits.api.destinations_max;
    let last_allowed = ListPage { offset: max.saturating_sub(1), limit: 1, ..ListPage::default() };
    if api.context.store.destinations(caller.workspace, &last_allowed).await?.is_empty() {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!(
        "the workspace has {max} destinations already; delete some, or raise the limit"
    )))
}
