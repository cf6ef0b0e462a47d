//! `GET /unified/webhook/{id}/runs`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Args, Segments};
use crate::api_model::delivery::RunView;
use crate::store::{ApiCallQuery, CallKind};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Rows of a feed that are read; by default fewer are kept.
const ROWS_MAX: usize = 5_000;

/// The poll runs of a webhook's feed, newest first. Runs that found nothing are folded into the last of them.
pub(crate) async fn runs(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    args: Args,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let page = args.page(&api.context.limits.api)?;
    let query = ApiCallQuery {
        feed_id: Some(webhook.feed_id),
        kind: Some(CallKind::Inbound),
        is_failure: args.flag("error")?,
        since: args.date("updated_gte")?,
        limit: ROWS_MAX,
        ..ApiCallQuery::default()
    };
    let calls = api.context.store.api_calls(webhook.workspace_id, &query).await?;
    // Rows of the same feed that name a webhook are calls about it, not polls.
    let runs = calls.iter().filter(|call| call.webhook_id.is_none());
    let views: Vec<_> = runs.skip(page.offset).take(page.limit).map(RunView::new).collect();
    Ok(Json(views).into_response())
}
