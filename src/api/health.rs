//! Whether this process lives and works, for whoever watches over it.

use super::error::ApiError;
use super::state::Api;
use crate::ui;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const WELCOME: &str = "Anyhook: webhooks from any API.

The API is under /unified (header `authorization: <key>`), its health at /health/live and /health/ready.
Start with GET /unified/integration, then POST /unified/connection and POST /unified/webhook.
";

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    /// How many this node holds, by duty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    shards: BTreeMap<&'static str, u16>,
}

/// A page for a person who has come by; a browser is led to the dashboard where there is one.
pub(crate) async fn welcome(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let dashboard = if api.has_dashboard { ui::lead(&headers) } else { None };
    dashboard.unwrap_or_else(|| ([(header::VARY, "accept")], WELCOME).into_response())
}

/// 200 while the process answers at all.
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "ok", shards: BTreeMap::new() })
}

/// 200 while the store answers and this node holds a share of each work that it is to do.
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Result<Json<Health>, ApiError> {
    api.context.store.workspaces(None, 1).await?;
    let leases = &api.context.leases;
    let shards: BTreeMap<_, _> = leases.duties().iter().map(|duty| (duty.as_str(), leases.share(*duty).0)).collect();
    if let Some((duty, _)) = shards.iter().find(|(_, held)| **held == 0) {
        let message = format!("this node holds no share of the work yet ({duty}); others may hold all of it");
        return Err(ApiError::unavailable(message));
    }
    Ok(Json(Health { status: "ok", shards }))
}

/// Metrics in Prometheus's text format.
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    match &api.metrics {
        Some(handle) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()).into_response(),
        None => ApiError::new(StatusCode::NOT_FOUND, "metrics are not collected by this process").into_response(),
    }
}
