//! `PUT` and `PATCH /unified/webhook/{id}`

use super::secret::{self, Asked};
use super::{settings, view};
use crate::api::auth::Caller;
use crate::api::delivery_settings;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::output;
use crate::api::secrets::Rotation;
use crate::api::state::Api;
use crate::api::wire::{Fields, JsonBody, Segments};
use crate::limits::ApiLimits;
use crate::store::{StoreError, Webhook};
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// How often a change is tried again because another came first.
pub(super) const TRIES_MAX: u32 = 5;

/// Merges what is given into the webhook; both verbs do.
///
/// What cannot change (its connection, object type, kind, environment and whatever is read-only) is ignored, because
/// clients send back whole objects. Other `filters` would be another feed, and are refused.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let asked = Asked::read(&fields)?;
    let mut tries = 0;
    loop {
        let stored = find::webhook(&api, caller, &id).await?;
        let mut changed = merged(&api, &stored, &fields)?;
        let secret = asked.wanted(&api, &stored)?;
        if let Some(secret) = secret.clone() {
            let rotation = Rotation::usual(&api, secret);
            changed.delivery.signing = Some(secret::rotated(&api, caller, &stored, &rotation).await?);
        } else if matches!(asked, Asked::Without) {
            changed.delivery.signing = None;
        }
        if changed == stored {
            return view::answer(&api, &stored).await;
        }
        let changed = Webhook { updated_at: api.now(), ..changed };
        match api.context.store.replace_webhook(changed).await {
            Ok(webhook) => return view::answer_with(&api, &webhook, secret.as_ref()).await,
            Err(StoreError::Conflict(_)) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn merged(api: &Api, stored: &Webhook, fields: &Fields<'_>) -> Result<Webhook, ApiError> {
    let limits = &api.context.limits.api;
    let mut webhook = stored.clone();
    settings::refuse_databases(fields)?;
    refuse_other_filters(stored, fields)?;
    if let Some(event) = settings::event(fields)?
        && event != stored.event
    {
        let manifest = find::connector(&stored.integration)?.manifest();
        let spec = manifest.object(stored.object_type);
        let spec = spec.ok_or_else(|| ApiError::unsupported("the integration no longer has this object type"))?;
        settings::choose_kind(Some(stored.kind), event, manifest, spec, false)?;
        webhook.event = event;
    }
    // What is sent back unchanged passes, even where the rules have become stricter since.
    if fields.text("hook_url")?.is_some_and(|text| text != stored.hook_url)
        && let Some(hook_url) = settings::hook_url(fields, api)?
    {
        webhook.hook_url = hook_url;
    }
    merge_interval(&mut webhook, fields, limits)?;
    if let Some(names) = settings::object_fields(fields, stored.object_type)? {
        webhook.fields = names;
    }
    if let Some(page_max_limit) = settings::page_max_limit(fields)? {
        webhook.page_max_limit = Some(page_max_limit);
    }
    delivery_settings::merge(&mut webhook.delivery, fields, limits)?;
    if let Some(version) = settings::version(fields)? {
        webhook.delivery.version = version;
    }
    if let Some(is_paused) = fields.flag("is_paused")? {
        webhook.is_paused = is_paused;
    }
    output::merge(&mut webhook, Some(stored), fields, &api.context.vault, &api.context.limits.deliver)?;
    Ok(webhook)
}

/// What is sent back unchanged passes; null for `interval_max` makes the interval fixed.
fn merge_interval(webhook: &mut Webhook, fields: &Fields<'_>, limits: &ApiLimits) -> Result<(), ApiError> {
    let before = (webhook.interval_ms, webhook.interval_max_ms);
    if !settings::is_interval(fields, "interval", webhook.interval_ms)?
        && let Some(interval_ms) = settings::interval_ms(fields, "interval", limits)?
    {
        webhook.interval_ms = interval_ms;
    }
    let is_same = match webhook.interval_max_ms {
        Some(max) => settings::is_interval(fields, "interval_max", max)?,
        None => false,
    };
    if fields.is_null("interval_max") {
        webhook.interval_max_ms = None;
    } else if !is_same && let Some(max) = settings::interval_ms(fields, "interval_max", limits)? {
        webhook.interval_max_ms = Some(max);
    }
    if (webhook.interval_ms, webhook.interval_max_ms) == before {
        return Ok(());
    }
    settings::check_range(fields, webhook.interval_ms, webhook.interval_max_ms)
}

fn refuse_other_filters(stored: &Webhook, fields: &Fields<'_>) -> Result<(), ApiError> {
    let Some(mut filters) = fields.text_map("filters")? else { return Ok(()) };
    filters.retain(|_, value| !value.is_empty());
    if filters == stored.filters {
        return Ok(());
    }
    Err(fields.error("filters", "cannot be changed; make a new webhook with these filters and delete this one"))
}
