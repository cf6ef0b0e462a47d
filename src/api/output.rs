//! Templates and headers of a person's own, as they are given, kept and checked.

use super::error::ApiError;
use super::wire::{Fields, choice};
use crate::api_model::destination::DestinationView;
use crate::api_model::webhook::WebhookView;
use crate::deliver::project::Projection;
use crate::deliver::sample_object;
use crate::limits::DeliverLimits;
use crate::secrets::Vault;
use crate::store::{DeliverySettings, DeliveryState, Destination, TemplatePer, Webhook};
use crate::template::{MASK, Plan, Sample, Seen, TemplateError, check, header_name};
use anyhook_connectors::model::ObjectType;
use std::collections::BTreeMap;

/// What a template sees as the customer's own name of the connection where the sample has to have one.
const SAMPLE_XREF: &str = "external_xref";

impl From<TemplateError> for ApiError {
    fn from(error: TemplateError) -> Self {
        ApiError::field(error.field, error.message)
    }
}

/// Puts what is given into a plan: what is left out stays as it is, null and an empty text take it out. Headers that are
/// given are all there are; one whose value is the mask keeps the value that it has.
pub(crate) fn read(plan: &mut Plan, fields: &Fields<'_>, limits: &DeliverLimits) -> Result<(), ApiError> {
    let kept = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let bytes_max = limits.template_bytes_max;
    if let Some(text) = given(fields, "template", fields.long_text("template", bytes_max)?) {
        plan.template = kept(text);
    }
    if let Some(text) = given(fields, "content_type", fields.text("content_type")?) {
        plan.content_type = kept(text);
    }
    match given(fields, "template_per", fields.text("template_per")?) {
        None => {}
        Some("") => plan.per = TemplatePer::default(),
        Some(text) => {
            let allowed = [("batch", TemplatePer::Batch), ("object", TemplatePer::Object)];
            plan.per = choice("template_per", text, &allowed)?;
        }
    }
    if fields.is_null("headers") {
        plan.headers.clear();
    } else if let Some(headers) = fields.text_map("headers")? {
        plan.headers = merged(&plan.headers, headers)?;
    }
    Ok(())
}

/// A text that is given; null counts as an empty one.
fn given<'a>(fields: &Fields<'_>, name: &str, text: Option<&'a str>) -> Option<&'a str> {
    text.or_else(|| fields.is_null(name).then_some(""))
}

fn merged(
    known: &BTreeMap<String, String>,
    given: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let value = |(name, text): (String, String)| {
        let name = header_name(&name)?.as_str().to_owned();
        let text = match known.get(&name) {
            Some(known) if text == MASK => known.clone(),
            None if text == MASK => {
                return Err(ApiError::field(format_args!("headers.{name}"), "is the mask; give the value itself"));
            }
            _ => text,
        };
        Ok((name, text))
    };
    given.into_iter().map(value).collect()
}

/// Keeps a plan in the settings of the row that `owner` names.
pub(crate) fn keep(settings: &mut DeliverySettings, plan: &Plan, owner: &str, vault: &Vault) -> Result<(), ApiError> {
    settings.template.clone_from(&plan.template);
    settings.template_per = Some(plan.per).filter(|per| *per != TemplatePer::default());
    settings.content_type.clone_from(&plan.content_type);
    Plan::keep_headers(settings, &plan.headers, owner, vault)?;
    Ok(())
}

/// Merges what is given into a webhook. It is checked where it, or what it is given to render, is other than before.
pub(crate) fn merge(
    webhook: &mut Webhook,
    before: Option<&Webhook>,
    fields: &Fields<'_>,
    vault: &Vault,
    limits: &DeliverLimits,
) -> Result<(), ApiError> {
    let owner = Plan::owner(webhook.id);
    let known = Plan::open(&webhook.delivery, &owner, vault)?;
    let mut plan = known.clone();
    read(&mut plan, fields, limits)?;
    keep(&mut webhook.delivery, &plan, &owner, vault)?;
    let is_same = plan == known && before.is_some_and(|before| before.fields == webhook.fields);
    if is_same || plan == Plan::default() {
        return Ok(());
    }
    let view = serde_json::to_vec(&WebhookView::new(webhook, &DeliveryState::default())).map_err(ApiError::internal)?;
    let seen = seen(&view, webhook.external_xref.as_deref())?;
    check_with(&plan, &seen, webhook.object_type, &webhook.fields, limits)
}

/// Merges what is given into a destination, and checks it with a sample notification where it is other than before.
pub(crate) fn merge_destination(
    destination: &mut Destination,
    fields: &Fields<'_>,
    vault: &Vault,
    limits: &DeliverLimits,
) -> Result<(), ApiError> {
    let owner = Plan::owner(Destination::served_as(destination.id));
    let known = Plan::open(&destination.delivery, &owner, vault)?;
    let mut plan = known.clone();
    read(&mut plan, fields, limits)?;
    keep(&mut destination.delivery, &plan, &owner, vault)?;
    if plan == known || plan == Plan::default() {
        return Ok(());
    }
    let view = serde_json::to_vec(&DestinationView::new(destination)).map_err(ApiError::internal)?;
    let object = sample_object(destination, destination.created_at).map_err(ApiError::internal)?;
    // What `details` hold depends on the event.
    let sample = Sample { object: &object, open: &["details"] };
    Ok(check(&plan, &seen(&view, None)?, sample, limits)?)
}

/// What a sample is rendered with.
pub(crate) fn seen(webhook_json: &[u8], external_xref: Option<&str>) -> Result<Seen, ApiError> {
    Seen::new(webhook_json, Some(external_xref.unwrap_or(SAMPLE_XREF))).map_err(ApiError::internal)
}

/// Checks a plan with the sample of an object type, cut down to the fields that are wanted.
pub(crate) fn check_with(
    plan: &Plan,
    seen: &Seen,
    object_type: ObjectType,
    fields: &[String],
    limits: &DeliverLimits,
) -> Result<(), ApiError> {
    let object = sample(object_type, fields, b"")?;
    let mut open = Vec::new();
    if fields.iter().any(|field| field == "raw") {
        open.push("raw");
    }
    if object_type == ObjectType::CustomEvent && (fields.is_empty() || fields.iter().any(|field| field == "payload")) {
        open.push("payload");
    }
    Ok(check(plan, seen, Sample { object: &object, open: &open }, limits)?)
}

/// The sample of an object type as a webhook with these fields gets it.
pub(crate) fn sample(object_type: ObjectType, fields: &[String], raw: &[u8]) -> Result<Vec<u8>, ApiError> {
    let whole = object_type.sample().map_err(ApiError::internal)?;
    let mut object = Vec::new();
    Projection::new(fields).write(whole.as_bytes(), raw, &mut object).map_err(ApiError::internal)?;
    Ok(object)
}
