//! `PUT` and `PATCH /unified/destination/{id}`

use super::{subscriptions, view};
use crate::api::auth::Caller;
use crate::api::delivery_settings;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::output;
use crate::api::secrets::{self, Rotation};
use crate::api::state::Api;
use crate::api::webhooks::hook_url;
use crate::api::wire::{Fields, JsonBody, Segments};
use crate::settings::Secret;
use crate::store::{Destination, StoreError};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// How often a change is tried again because another came first.
pub(super) const TRIES_MAX: u32 = 5;

/// Merges what is given into the destination; both verbs do. `subscriptions`, where given, take the place of all there
/// were. What is read-only is ignored.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let mut tries = 0;
    loop {
        let stored = find::destination(&api, caller, &id).await?;
        let changed = merged(&api, &stored, &fields)?;
        if changed == stored {
            return view::answer(&api, &stored, None).await;
        }
        subscriptions::check(&api, caller, &changed.subscriptions, &stored.subscriptions).await?;
        let changed = Destination { updated_at: api.now(), ..changed };
        match api.context.store.replace_destination(changed).await {
            Ok(destination) => return view::answer(&api, &destination, None).await,
            Err(StoreError::Conflict(_)) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn merged(api: &Api, stored: &Destination, fields: &Fields<'_>) -> Result<Destination, ApiError> {
    let limits = &api.context.limits.api;
    let mut destination = stored.clone();
    if fields.text("name")?.is_some() {
        fields.required("name")?.clone_into(&mut destination.name);
    }
    // What is sent back unchanged passes, even where the rules have become stricter since.
    if fields.text("hook_url")?.is_some_and(|text| text != stored.hook_url)
        && let Some(hook_url) = hook_url(fields, api)?
    {
        destination.hook_url = hook_url;
    }
    if let Some(subscriptions) = subscriptions::read(fields, limits)? {
        destination.subscriptions = subscriptions;
    }
    if let Some(is_paused) = fields.flag("is_paused")? {
        destination.is_paused = is_paused;
    }
    merge_secret(api, &mut destination, fields)?;
    delivery_settings::merge(&mut destination.delivery, fields, limits)?;
    output::merge_destination(&mut destination, fields, &api.context.vault, &api.context.limits.deliver)?;
    Ok(destination)
}

/// Another secret signs from the next attempt on, and the one before for the usual overlap; the same one changes nothing.
fn merge_secret(api: &Api, destination: &mut Destination, fields: &Fields<'_>) -> Result<(), ApiError> {
    let Some(secret) = secrets::given(fields)? else { return Ok(()) };
    let rotation = Rotation::usual(api, Secret::new(secret.to_owned()));
    destination.signing = rotation.of(api, &Destination::seal(destination.id), &destination.signing, api.now())?;
    Ok(())
}
