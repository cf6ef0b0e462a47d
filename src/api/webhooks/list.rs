//! `GET /unified/webhook`

use super::view::Details;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Args, choice};
use crate::store::WebhookQuery;
use anyhook_connectors::model::ObjectType;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The workspace's webhooks that match.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, args: Args) -> Result<Response, ApiError> {
    let query = WebhookQuery {
        connection_id: args.id("connection_id")?,
        environment: args.text("env").map(str::to_owned),
        integration: args.text("integration_type").map(str::to_owned),
        object_type: object_type(&args)?,
        is_healthy: args.flag("is_healthy")?,
        created_lte: args.date("created_lte")?,
        updated_gte: args.date("updated_gte")?,
        page: args.page(&api.context.limits.api)?,
    };
    let webhooks = api.context.store.webhooks(caller.workspace, &query).await?;
    let mut details = Vec::with_capacity(webhooks.len());
    for webhook in &webhooks {
        details.push(Details::of(&api, webhook).await?);
    }
    let views: Vec<_> = webhooks.iter().zip(&details).map(|(webhook, details)| details.view(webhook)).collect();
    Ok(Json(views).into_response())
}

fn object_type(args: &Args) -> Result<Option<ObjectType>, ApiError> {
    let allowed: Vec<_> = ObjectType::ALL.iter().map(|known| (known.as_str(), *known)).collect();
    args.text("object").map(|text| choice("object", text, &allowed)).transpose()
}
