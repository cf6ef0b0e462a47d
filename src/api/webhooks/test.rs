//! `POST /unified/webhook/{id}/test` and `POST /unified/webhook/test`: one sample payload is sent, beside all streams.

use super::settings;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Fields, JsonBody, Segments, shorten};
use crate::api_model::delivery::TrialView;
use crate::ids::{ConnectionId, FeedId, WebhookId};
use crate::store::{DeliverySettings, ShardId, Webhook, WebhookKind};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Sends a webhook's test payload and answers what came of it. A failure of the endpoint is an answer like any.
pub(crate) async fn test(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    send(&api, caller, &webhook).await
}

/// The same for a URL that no webhook has yet.
pub(crate) async fn test_url(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let webhook = read(&api, caller, &body.fields(&api.context.limits.api))?;
    send(&api, caller, &webhook).await
}

async fn send(api: &Api, caller: Caller, webhook: &Webhook) -> Result<Response, ApiError> {
    api.tests.check(&caller.workspace).map_err(ApiError::too_many)?;
    let call = api.desk().await?.test(webhook).await?;
    Ok(Json(TrialView::new(&call)).into_response())
}

fn read(api: &Api, caller: Caller, fields: &Fields<'_>) -> Result<Webhook, ApiError> {
    let text = fields.required("object_type")?;
    let object_type: ObjectType = text.parse().map_err(|_| {
        let known: Vec<_> = ObjectType::ALL.iter().map(|known| known.as_str()).collect();
        fields.error("object_type", format_args!("`{}` is not known; use one of {}", shorten(text), known.join(", ")))
    })?;
    let (now, clock, random) = (api.now(), &api.context.clock, &api.context.random);
    Ok(Webhook {
        id: WebhookId::new(clock, random)?,
        workspace_id: caller.workspace,
        connection_id: ConnectionId::new(clock, random)?,
        feed_id: FeedId::new(clock, random)?,
        shard: ShardId(0),
        integration: "test".to_owned(),
        environment: "Production".to_owned(),
        event: settings::event(fields)?.unwrap_or(Change::Updated),
        object_type,
        hook_url: settings::hook_url(fields, api)?.ok_or_else(|| fields.error("hook_url", "is missing"))?,
        interval_ms: api.context.limits.api.interval_default_ms,
        kind: settings::kind(fields)?.unwrap_or(WebhookKind::Virtual),
        filters: Default::default(),
        fields: settings::object_fields(fields, object_type)?.unwrap_or_default(),
        page_max_limit: None,
        is_paused: false,
        external_xref: None,
        created_at: now,
        updated_at: now,
        registered: None,
        revision: 0,
        interval_max_ms: None,
        delivery: DeliverySettings::default(),
    })
}
