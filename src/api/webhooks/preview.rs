//! `POST /unified/webhook/preview` and `POST /unified/webhook/{id}/preview`: what would be sent, without sending it.

use super::settings;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Fields, JsonBody, OptionalBody, Segments};
use crate::api::{find, output};
use crate::api_model::webhook::WebhookView;
use crate::store::DeliveryState;
use crate::template::{MASK, Output, Payload, Plan, Reading, Rendered, Seen};
use anyhook_connectors::model::{ObjectType, SAMPLE_RAW};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Twelve bytes of an id that is none.
const NO_ID: &str = "000000000000000000000000";
const NO_NONCE: &str = "00000000000000000000000000000000";

/// What would be sent.
#[derive(Debug, Serialize)]
struct Preview {
    /// False where the template makes nothing: then nothing is sent.
    is_sent: bool,
    /// The body that the template makes; the payload is sent where there is no template.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Its content type.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Headers beside our own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
}

/// What a plan is tried with.
struct Trial<'a> {
    plan: Plan,
    seen: Seen,
    object_type: ObjectType,
    fields: &'a [String],
}

/// Previews a template before there is a webhook. What stands in `headers` came with the request and is shown.
pub(crate) async fn preview(
    State(api): State<Arc<Api>>,
    _caller: Caller,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let text = fields.required("object_type")?;
    let object_type: ObjectType = text.parse().map_err(|_| fields.error("object_type", "is not known"))?;
    let wanted = settings::object_fields(&fields, object_type)?.unwrap_or_default();
    let mut plan = Plan::default();
    output::read(&mut plan, &fields, &api.context.limits.deliver)?;
    let webhook = json!({
        "id": NO_ID, "connection_id": NO_ID, "workspace_id": NO_ID, "object_type": object_type, "event": "updated",
        "hook_url": "https://example.com/hook", "webhook_type": "virtual", "environment": "Production",
        "integration_type": "sandbox", "interval": 1, "is_paused": false, "is_healthy": true,
        "created_at": "2024-05-31T12:00:00Z", "updated_at": "2024-05-31T12:00:00Z",
    });
    let seen = output::seen(webhook.to_string().as_bytes(), None)?;
    let trial = Trial { plan, seen, object_type, fields: &wanted };
    Ok(Json(trial.render(&api, &fields)?).into_response())
}

/// Previews what a webhook sends, or would send with what is given in place of its own. Values of headers are not shown.
pub(crate) async fn preview_of(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let webhook = find::webhook(&api, caller, &id).await?;
    let mut plan = Plan::open(&webhook.delivery, &Plan::owner(webhook.id), &api.context.vault)?;
    output::read(&mut plan, &fields, &api.context.limits.deliver)?;
    let view =
        serde_json::to_vec(&WebhookView::new(&webhook, &DeliveryState::default())).map_err(ApiError::internal)?;
    let seen = output::seen(&view, webhook.external_xref.as_deref())?;
    let trial = Trial { plan, seen, object_type: webhook.object_type, fields: &webhook.fields };
    let mut preview = trial.render(&api, &fields)?;
    preview.headers.values_mut().for_each(|value| MASK.clone_into(value));
    Ok(Json(preview).into_response())
}

impl Trial<'_> {
    /// Renders `data`, or a sample once the plan has been checked with it. Per object, the first one is rendered.
    fn render(self, api: &Api, fields: &Fields<'_>) -> Result<Preview, ApiError> {
        let limits = &api.context.limits.deliver;
        if self.plan.template.is_none() && self.plan.headers.is_empty() {
            return Err(fields.error("template", "is missing"));
        }
        let objects = match fields.json("data") {
            Some(data) => {
                objects(data).ok_or_else(|| fields.error("data", "expected an object or a list of objects"))?
            }
            None => {
                output::check_with(&self.plan, &self.seen, self.object_type, self.fields, limits)?;
                output::sample(self.object_type, self.fields, SAMPLE_RAW.as_bytes())?
            }
        };
        let output = Output::new(&self.plan, self.seen, Reading::Lenient, limits)?;
        let rendered = output.render(Payload { objects: &objects, kind: "VIRTUAL", nonce: NO_NONCE })?;
        let Rendered::Parts(parts) = rendered else {
            return Ok(Preview { is_sent: false, body: None, content_type: None, headers: BTreeMap::new() });
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (body, content_type) = parts.body.map(|(body, kind)| (text(&body), text(kind.as_bytes()))).unzip();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        Ok(Preview { is_sent: true, body, content_type, headers })
    }
}

/// Objects joined by commas.
fn objects(data: &Value) -> Option<Vec<u8>> {
    let texts: Vec<String> = match data {
        Value::Object(_) => vec![data.to_string()],
        Value::Array(items) if items.iter().all(Value::is_object) => items.iter().map(Value::to_string).collect(),
        _ => return None,
    };
    Some(texts.join(",").into_bytes())
}
