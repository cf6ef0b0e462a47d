//! `PUT` and `PATCH /unified/webhook/{id}/resume`

use super::view::Details;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use crate::store::{Missed, Webhook};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use std::sync::Arc;

/// Makes a webhook healthy again: what waits is delivered now, from where it stopped, and its feed is polled again and
/// shown as being retried until that poll tells. A pause stays a pause. A body is ignored.
pub(crate) async fn resume(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let now = api.context.clock.now();
    api.context.store.resume_webhook(webhook.id, now).await?;
    api.context.store.ping_feed(webhook.feed_id, now).await?;
    let details = Details::of(&api, &webhook).await?;
    let delivery = api.context.store.delivery(webhook.id).await?.unwrap_or_default();
    let notice = delivery.missed.map(|missed| notice(&webhook, &missed));
    Ok(Json(details.view(&webhook).with_notice(notice)).into_response())
}

/// What a webhook missed while it rested, and how it comes to it.
fn notice(webhook: &Webhook, missed: &Missed) -> String {
    let since = missed.since.map(|since| format!(" since {}", since.to_rfc3339_opts(SecondsFormat::Millis, true)));
    let since = since.unwrap_or_default();
    let told = "the webhook fell behind while it rested: what changed";
    let spec = find::connector(&webhook.integration).ok();
    let spec = spec.and_then(|connector| connector.manifest().object(webhook.object_type));
    match spec.and_then(|spec| missed.what_is_inexact(webhook.event, spec)) {
        Some(inexact) => format!(
            "{told}{since} is listed again and told before anything new; {inexact}; POST /unified/webhook/{}/backfill tells everything again",
            webhook.id
        ),
        None => format!("{told}{since} is listed again and told before anything new"),
    }
}
