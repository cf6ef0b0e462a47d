//! Every route on one page.

use super::state::{Api, ApiOptions};
use super::{
    api_calls, connections, destinations, fallback, health, insights, integrations, limits, notifications, version,
    webhooks, workspace,
};
use crate::context::Context;
use crate::settings::Role;
use crate::{ingress, ui};
use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{any, delete, get, post, put};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// The health pages, and the API, the ingress and the dashboard where this node has them.
pub fn router(context: Context, options: ApiOptions) -> Router {
    let api = Arc::new(Api::new(context, options));
    let routes = Router::new()
        .route("/", get(health::welcome))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics));
    let routes = match api.roles.has(Role::Api) {
        true if api.has_dashboard => routes.merge(unified()).merge(ui::routes()),
        true => routes.merge(unified()),
        false => routes.route("/unified/{*path}", any(fallback::no_api)).route("/oauth/{*path}", any(fallback::no_api)),
    };
    let routes = match api.roles.has(Role::Ingress) {
        true => routes.route("/ingress/{connection_id}", get(ingress::greet).post(ingress::take)),
        false => routes.route("/ingress/{*path}", any(fallback::no_ingress)),
    };
    routes
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn_with_state(api.clone(), limits::bounded))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(map_response(version::named))
        .with_state(api)
}

/// The API.
fn unified() -> Router<Arc<Api>> {
    Router::new()
        .route("/unified/webhook", get(webhooks::list).post(webhooks::create))
        .route(
            "/unified/webhook/{id}",
            get(webhooks::get).put(webhooks::update).patch(webhooks::update).delete(webhooks::delete),
        )
        .route("/unified/webhook/preview", post(webhooks::preview))
        .route("/unified/webhook/{id}/preview", post(webhooks::preview_of))
        .route("/unified/webhook/{id}/trigger", put(webhooks::trigger).patch(webhooks::trigger))
        .route("/unified/webhook/{id}/resume", put(webhooks::resume).patch(webhooks::resume))
        .route(
            "/unified/webhook/{id}/backfill",
            get(webhooks::get_backfill).post(webhooks::backfill).delete(webhooks::cancel_backfill),
        )
        .route("/unified/webhook/{id}/deliveries", get(webhooks::deliveries))
        .route("/unified/webhook/{id}/deliveries/{delivery}", get(webhooks::delivery))
        .route("/unified/webhook/{id}/runs", get(webhooks::runs))
        .route(
            "/unified/webhook/{id}/replay",
            get(webhooks::get_replay).post(webhooks::replay).delete(webhooks::cancel_replay),
        )
        .route("/unified/webhook/{id}/skip", post(webhooks::skip))
        .route("/unified/webhook/{id}/test", post(webhooks::test))
        .route("/unified/webhook/test", post(webhooks::test_url))
        .route("/unified/webhook/{id}/secret", post(webhooks::rotate_secret))
        .route("/unified/webhook/{id}/secret/{secret_id}", delete(webhooks::end_secret))
        .route("/unified/connection", get(connections::list).post(connections::create))
        .route(
            "/unified/connection/{id}",
            get(connections::get).put(connections::update).patch(connections::update).delete(connections::delete),
        )
        .route("/unified/integration", get(integrations::list))
        .route("/unified/integration/workspace/{workspace_id}", get(integrations::list_of_workspace))
        .route("/unified/integration/auth/{workspace_id}/{integration}", get(integrations::auth_url))
        .route("/oauth/callback", get(integrations::callback))
        .route("/unified/workspace", get(workspace::get).put(workspace::update).patch(workspace::update))
        .route("/unified/workspace/secret", post(workspace::rotate_secret))
        .route("/unified/workspace/secret/{id}", delete(workspace::end_secret))
        .route("/unified/apicall", get(api_calls::list))
        .route("/unified/apicall/{id}", get(api_calls::get))
        .route("/unified/insight", get(insights::list))
        .route("/unified/notification", get(notifications::list))
        .route("/unified/destination", get(destinations::list).post(destinations::create))
        .route(
            "/unified/destination/{id}",
            get(destinations::get).put(destinations::update).patch(destinations::update).delete(destinations::delete),
        )
        .route("/unified/destination/{id}/resume", put(destinations::resume).patch(destinations::resume))
        .route("/unified/destination/{id}/test", post(destinations::test))
        .route("/unified/destination/{id}/secret", post(destinations::rotate_secret))
        .route("/unified/destination/{id}/secret/{secret_id}", delete(destinations::end_secret))
        .route(
            "/unified/destination/{id}/replay",
            get(destinations::get_replay).post(destinations::replay).delete(destinations::cancel_replay),
        )
        .route("/unified/destination/{id}/skip", post(destinations::skip))
        .route("/unified/destination/{id}/deliveries", get(destinations::deliveries))
        .route("/unified/destination/{id}/deliveries/{delivery}", get(destinations::delivery))
}
