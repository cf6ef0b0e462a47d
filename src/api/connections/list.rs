//! `GET /unified/connection`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::Args;
use crate::api_model::connection::ConnectionView;
use crate::store::ConnectionQuery;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The workspace's connections that match.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, args: Args) -> Result<Response, ApiError> {
    let query = ConnectionQuery {
        categories: args.list("categories"),
        environment: args.text("env").map(str::to_owned),
        external_xref: args.text("external_xref").map(str::to_owned),
        updated_gte: args.date("updated_gte")?,
        page: args.page(&api.context.limits.api)?,
    };
    let connections = api.context.store.connections(caller.workspace, &query).await?;
    let views: Vec<_> = connections.iter().map(ConnectionView::new).collect();
    Ok(Json(views).into_response())
}
