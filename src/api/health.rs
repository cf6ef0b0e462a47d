//! Whether this process lives and works, for whoever watches over it.

use super::error::ApiError;
use super::state::Api;
use crate::ui;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;

const WELCOME: &str = "Anyhook: webhooks from any API.

The API is under /unified (header `authorization: <key>`), its health at /health/live and /health/ready.
Start with GET /unified/integration, then POST /unified/connection and POST /unified/webhook.
";

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<usize>,
}

/// A page for a person who has come by; a browser is led to the dashboard where there is one.
pub(crate) async fn welcome(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let dashboard = if api.has_dashboard { ui::lead(&headers) } else { None };
    dashboard.unwrap_or_else(|| ([(header::VARY, "accept")], WELCOME).into_response())
}

/// 200 while the process answers at all.
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "ok", shards: None })
}

/// 200 while the store answers and this node holds a share of the work.
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Health>, ApiError> {
    api.context.store.workspaces(None, 1).await?;
    match api.context.leases.shards(crate::store::Duty::Poll).len() {
        0 => Err(ApiError::unavailable("this node holds no share of the work yet; others may hold all of it")),
        shards => Ok(Json(Health { status: "ok", shards: Some(shards) })),
    }
}

/// Metrics in Prometheus's text format.
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    match &api.metrics {
        Some(handle) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()).into_response(),
        None => ApiError::new(StatusCode::NOT_FOUND, "metrics are not collected by this process").into_response(),
    }
}
