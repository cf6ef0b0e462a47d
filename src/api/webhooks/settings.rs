//! What a webhook may be set to, field by field: each is read, checked and told apart from what is not given.

use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Fields, choice, shorten};
use crate::api_model::integration::kinds;
use crate::api_model::webhook::MINUTE_MS;
use crate::limits::ApiLimits;
use crate::store::{Connection, PayloadVersion, WebhookKind};
use anyhook_connectors::contract::{Change, Manifest, ObjectSpec};
use anyhook_connectors::model::ObjectType;
use std::collections::BTreeMap;
use url::Url;

/// The greatest `page_max_limit`.
const PAGE_MAX_LIMIT_MAX: u32 = 10_000;

/// `object_type`, which the integration has to have.
pub(super) fn object_spec(fields: &Fields<'_>, manifest: &Manifest) -> Result<&'static ObjectSpec, ApiError> {
    let text = fields.required("object_type")?;
    let known: Vec<_> = manifest.objects.iter().map(|spec| spec.object_type.as_str()).collect();
    let known = format!("{} has {}", manifest.integration, known.join(", "));
    let object_type: ObjectType = text
        .parse()
        .map_err(|_| fields.error("object_type", format_args!("`{}` is not known; {known}", shorten(text))))?;
    let spec = manifest.object(object_type);
    spec.ok_or_else(|| ApiError::unsupported(format!("object_type: {object_type} is not supported; {known}")))
}

/// `event`.
pub(super) fn event(fields: &Fields<'_>) -> Result<Option<Change>, ApiError> {
    let allowed = [Change::Created, Change::Updated, Change::Deleted].map(|change| (change.as_str(), change));
    fields.text("event")?.map(|text| choice("event", text, &allowed)).transpose()
}

/// `webhook_type`.
pub(super) fn kind(fields: &Fields<'_>) -> Result<Option<WebhookKind>, ApiError> {
    let allowed = [("virtual", WebhookKind::Virtual), ("native", WebhookKind::Native)];
    fields.text("webhook_type")?.map(|text| choice("webhook_type", text, &allowed)).transpose()
}

/// The kind that is asked for, if it is supported; else the best one that works without further ado: the vendor's own
/// webhooks where the connection has a secret for them, or where they can be registered and reach us; else polling.
pub(super) fn choose_kind(
    asked: Option<WebhookKind>,
    event: Change,
    manifest: &Manifest,
    spec: &ObjectSpec,
    native_is_ready: bool,
) -> Result<WebhookKind, ApiError> {
    let supported = kinds(manifest, spec, event);
    let what = format!("`{}` events of {} at {}", event.as_str(), spec.object_type, manifest.integration);
    if supported.is_empty() {
        return Err(ApiError::unsupported(format!("event: {what} are not supported; see GET /unified/integration")));
    }
    let chosen = match asked {
        Some(asked) => supported.contains(&asked).then_some(asked),
        None if native_is_ready => supported.first().copied(),
        None => supported.last().copied(),
    };
    chosen
        .ok_or_else(|| ApiError::field("webhook_type", format!("{what} cannot be had in this way; use the other one")))
}

/// `hook_url`: http or https, and no address that is out of bounds.
pub(crate) fn hook_url(fields: &Fields<'_>, api: &Api) -> Result<Option<String>, ApiError> {
    let Some(text) = fields.text("hook_url")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let url = Url::parse(text)
        .map_err(|_| fields.error("hook_url", "expected a whole URL as in https://example.com/hook"))?;
    api.guards.destinations.check_url(&url).map_err(|refused| {
        let setting = refused.setting().map(|setting| format!(" (ANYHOOK_DESTINATIONS_{setting})"));
        fields.error("hook_url", format_args!("{refused}{}", setting.unwrap_or_default()))
    })?;
    Ok(Some(text.to_owned()))
}

/// `interval` or `interval_max`: minutes, as milliseconds.
pub(super) fn interval_ms(fields: &Fields<'_>, name: &str, limits: &ApiLimits) -> Result<Option<u64>, ApiError> {
    let Some(minutes) = fields.number(name)? else { return Ok(None) };
    // MINUTE_MS and the limits are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let (milliseconds, minute) = (minutes * MINUTE_MS as f64, MINUTE_MS as f64);
    #[allow(clippy::cast_precision_loss)]
    let (min, max) = (limits.interval_floor_ms as f64, limits.interval_max_ms as f64);
    if !(min..=max).contains(&milliseconds.round()) {
        let expected = format!("expected minutes from {} to {}", min / minute, max / minute);
        return Err(fields.error(name, expected));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(Some(milliseconds.round() as u64))
}

/// A range of intervals must not end before it begins.
pub(super) fn check_range(fields: &Fields<'_>, interval_ms: u64, interval_max_ms: Option<u64>) -> Result<(), ApiError> {
    if interval_max_ms.is_none_or(|max| max >= interval_ms) {
        return Ok(());
    }
    Err(fields.error("interval_max", "is less than interval; set it to that or more, or to null for a fixed interval"))
}

/// Whether `interval` or `interval_max` says what is set already.
pub(super) fn is_interval(fields: &Fields<'_>, name: &str, interval_ms: u64) -> Result<bool, ApiError> {
    #[allow(clippy::cast_precision_loss)]
    let stored = interval_ms as f64;
    #[allow(clippy::cast_precision_loss)]
    Ok(fields.number(name)?.is_some_and(|minutes| (minutes * MINUTE_MS as f64 - stored).abs() < 0.5))
}

/// `fields`: names of the object's fields, divided by commas.
pub(super) fn object_fields(fields: &Fields<'_>, object_type: ObjectType) -> Result<Option<Vec<String>>, ApiError> {
    let Some(names) = fields.texts("fields")? else { return Ok(None) };
    let known = object_type.fields();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let expected = format!("{object_type} has no field `{}`; it has {}", shorten(unknown), known.join(", "));
        return Err(fields.error("fields", expected));
    }
    Ok(Some(names))
}

/// `filters`: only those the vendor's listing takes.
pub(super) fn filters(fields: &Fields<'_>, spec: &ObjectSpec) -> Result<BTreeMap<String, String>, ApiError> {
    let mut filters = fields.text_map("filters")?.unwrap_or_default();
    filters.retain(|_, value| !value.is_empty());
    if let Some(unknown) = filters.keys().find(|name| !spec.filters.contains(&name.as_str())) {
        let known = if spec.filters.is_empty() { "no filters".to_owned() } else { spec.filters.join(", ") };
        let expected = format!("{} takes {known}", spec.object_type);
        return Err(ApiError::field(format_args!("filters.{}", shorten(unknown)), expected));
    }
    Ok(filters)
}

/// `page_max_limit`.
pub(super) fn page_max_limit(fields: &Fields<'_>) -> Result<Option<u32>, ApiError> {
    fields.count("page_max_limit", 1, PAGE_MAX_LIMIT_MAX)
}

/// `version`: of the payload's shape.
pub(super) fn version(fields: &Fields<'_>) -> Result<Option<PayloadVersion>, ApiError> {
    let known: Vec<_> = PayloadVersion::ALL.iter().map(|version| (version.as_str(), *version)).collect();
    fields.text("version")?.map(|text| choice("version", text, &known)).transpose()
}

/// Database destinations are not there yet: better told than ignored.
pub(super) fn refuse_databases(fields: &Fields<'_>) -> Result<(), ApiError> {
    for name in ["db_type", "db_url", "db_schema", "db_name_prefix"] {
        if fields.text(name)?.is_some_and(|text| !text.is_empty()) {
            return Err(ApiError::unsupported(format!(
                "{name}: database destinations are not supported; use hook_url"
            )));
        }
    }
    Ok(())
}

/// The connection has to be made for this: `<object_type>_read`, or `webhook` for everything it has.
pub(super) fn check_permission(connection: &Connection, object_type: ObjectType) -> Result<(), ApiError> {
    let needed = format!("{object_type}_read");
    if connection.permissions.iter().any(|permission| *permission == needed || permission == "webhook") {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "the connection has neither the permission `{needed}` nor `webhook`; add it by PATCH /unified/connection/{}",
        connection.id
    )))
}
