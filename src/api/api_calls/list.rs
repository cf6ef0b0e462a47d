//! `GET /unified/apicall`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Args, choice};
use crate::api_model::api_call::ApiCallView;
use crate::store::{ApiCallQuery, CallKind, ListOrder};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The workspace's rows that match, newest first unless `order` says otherwise. Whatever `sort` says, they are sorted
/// by time: a row never changes.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, args: Args) -> Result<Response, ApiError> {
    let page = args.page(&api.context.limits.api)?;
    let kinds = [("login", CallKind::Login), ("webhook", CallKind::Webhook), ("inbound", CallKind::Inbound)];
    let query = ApiCallQuery {
        connection_id: args.id("connection_id")?,
        webhook_id: args.id("webhook_id")?,
        feed_id: None,
        integration: args.text("integration_type").map(str::to_owned),
        environment: args.text("env").map(str::to_owned),
        external_xref: args.text("external_xref").map(str::to_owned),
        kind: args.text("type").map(|text| choice("type", text, &kinds)).transpose()?,
        is_failure: args.flag("error")?,
        since: args.date("updated_gte")?,
        is_ascending: args.order()? == Some(ListOrder::Ascending),
        offset: page.offset,
        limit: page.limit,
    };
    let calls = api.context.store.api_calls(caller.workspace, &query).await?;
    let views: Vec<_> = calls.iter().map(ApiCallView::new).collect();
    Ok(Json(views).into_response())
}
