//! A webhook as it is answered: the row with how its deliveries and polls stand.

use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api_model::webhook::WebhookView;
use crate::settings::Secret;
use crate::store::{ApiCall, ApiCallQuery, CallKind, DeliveryState, FeedState, NextRun, NextWhy, Webhook};
use axum::Json;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};

/// How many of the newest poll runs are shown.
const RUNS_SHOWN: usize = 10;

/// What is shown besides the row.
pub(super) struct Details {
    delivery: DeliveryState,
    feed: FeedState,
    due_at: Option<DateTime<Utc>>,
    runs: Vec<String>,
    now: DateTime<Utc>,
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
            due_at: store.feed_due(webhook.feed_id).await?,
            // Rows of the same feed that name a webhook are calls about it, not polls.
            runs: calls.iter().filter(|call| call.webhook_id.is_none()).map(run).collect(),
            now: api.now(),
        })
    }

    /// The webhook with them.
    pub(super) fn view<'a>(&'a self, webhook: &'a Webhook) -> WebhookView<'a> {
        let view = WebhookView::new(webhook, &self.delivery);
        view.with_feed(webhook, &self.delivery, &self.feed, self.due_at)
            .with_runs(self.runs.clone())
            .with_delivery_settings(webhook)
            .with_signing(webhook, None, self.now)
    }
}

/// A poll run in one line: when, how it went, what it found and cost, and when the next was to come and why then.
fn run(call: &ApiCall) -> String {
    let at = call.at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let runs = if call.count > 1 { format!(" (the last of {} alike)", call.count) } else { String::new() };
    let went = call.error.as_ref().map_or_else(|| "ok".to_owned(), |error| format!("failed: {error}"));
    let cost =
        format!("{}, {}, {} ms", count(call.records, "change"), count(call.requests, "request"), call.duration_ms);
    let next = call.next.map(next).unwrap_or_default();
    format!("{at} {went}: {cost}{next}{runs}")
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn next(next: NextRun) -> String {
    let why = match next.why {
        NextWhy::Fixed => "the interval is fixed",
        NextWhy::Changes => "changes come",
        NextWhy::Quiet => "nothing changed",
        NextWhy::Asked => "a poll was asked for",
        NextWhy::Budget => "the vendor's budget allows no more",
        NextWhy::Unfinished => "the listing goes on",
        NextWhy::Failed => "the run failed",
        NextWhy::Paused => "a pause was asked for",
    };
    let seconds = next.in_ms.saturating_add(500) / 1_000;
    match next.in_ms {
        0..1_000 => format!(", next in {} ms ({why})", next.in_ms),
        1_000..300_000 => format!(", next in {seconds} s ({why})"),
        _ => format!(", next in {} min ({why})", (seconds + 30) / 60),
    }
}

/// Answers a webhook.
pub(super) async fn answer(api: &Api, webhook: &Webhook) -> Result<Response, ApiError> {
    answer_with(api, webhook, None).await
}

/// Answers a webhook whose secret was just set, with the secret: this once.
pub(super) async fn answer_with(api: &Api, webhook: &Webhook, secret: Option<&Secret>) -> Result<Response, ApiError> {
    let details = Details::of(api, webhook).await?;
    let view = details.view(webhook).with_signing(webhook, secret.map(Secret::reveal), details.now);
    Ok(Json(view).into_response())
}
