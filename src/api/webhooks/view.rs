//! A webhook as it is answered: the row with how its deliveries and polls stand.

use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api_model::webhook::WebhookView;
use crate::store::{ApiCall, ApiCallQuery, CallKind, DeliveryState, FeedHealth, FeedState, Webhook};
use axum::Json;
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;

/// How many of the newest poll runs are shown.
const RUNS_SHOWN: usize = 10;

/// What is shown besides the row.
pub(super) struct Details {
    delivery: DeliveryState,
    feed: FeedState,
    runs: Vec<String>,
}

impl Details {
    /// Reads them.
    pub(super) async fn of(api: &Api, webhook: &Webhook) -> Result<Self, ApiError> {
        let store = &api.context.store;
        let query = ApiCallQuery {
            feed_id: Some(webhook.feed_id),
            kind: Some(CallKind::Inbound),
            limit: RUNS_SHOWN,
            ..ApiCallQuery::default()
        };
        let calls = store.api_calls(webhook.workspace_id, &query).await?;
        Ok(Details {
            delivery: store.delivery(webhook.id).await?.unwrap_or_default(),
            feed: store.feed_state(webhook.feed_id).await?,
            // Rows of the same feed that name a webhook are calls about it, not polls.
            runs: calls.iter().filter(|call| call.webhook_id.is_none()).map(run).collect(),
        })
    }

    /// Shows the feed as healthy: it was just asked to poll again, and that poll will tell.
    pub(super) fn asked_again(mut self) -> Self {
        self.feed.health = FeedHealth::Healthy;
        self
    }

    /// The webhook with them.
    pub(super) fn view<'a>(&self, webhook: &'a Webhook) -> WebhookView<'a> {
        WebhookView::new(webhook, &self.delivery).with_feed(&self.feed).with_runs(self.runs.clone())
    }
}

/// A poll run in one line: when, how it went, what it found.
fn run(call: &ApiCall) -> String {
    let at = call.at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let runs = if call.count > 1 { format!(" (the last of {} alike)", call.count) } else { String::new() };
    match &call.error {
        Some(error) => format!("{at} failed: {error}{runs}"),
        None => format!("{at} ok: {} changes, {} ms{runs}", call.records, call.duration_ms),
    }
}

/// Answers a webhook.
pub(super) async fn answer(api: &Api, webhook: &Webhook) -> Result<Response, ApiError> {
    let details = Details::of(api, webhook).await?;
    Ok(Json(details.view(webhook)).into_response())
}
