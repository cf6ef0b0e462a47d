//! `/unified/webhook/{id}/backfill`: a webhook's history, told again.

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Fields, OptionalBody, Segments};
use crate::api_model::backfill::BackfillView;
use crate::ids::JobId;
use crate::store::{JobMode, JobState, ListingJob, StoreError, Webhook, WebhookHealth};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;

/// Jobs that are looked through; the store remembers no more.
const JOBS_MAX: usize = 50;
/// Earlier back-fills that are shown.
const EARLIER_SHOWN: usize = 10;

/// Begins a back-fill: history is told again, whole or what was changed within a range, beside what changes meanwhile.
/// Answers once it is durable. One that is paused, or whose connection is, waits until it is not.
pub(crate) async fn backfill(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: OptionalBody,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let job = read(&api, &webhook, &body.fields(&api.context.limits.api))?;
    if let Some(open) = open_job(&api, &webhook).await? {
        return Err(is_open(&webhook, Some(&open)));
    }
    match api.context.store.insert_job(job.clone()).await {
        Err(StoreError::Exists(_)) => return Err(is_open(&webhook, None)),
        inserted => inserted?,
    }
    let notice = waits_for(&api, caller, &webhook).await?;
    Ok(Json(BackfillView::new(&job, api.now()).with_notice(notice)).into_response())
}

fn read(api: &Api, webhook: &Webhook, fields: &Fields<'_>) -> Result<ListingJob, ApiError> {
    let (updated_gte, updated_lt) = (fields.date("updated_gte")?, fields.date("updated_lt")?);
    if let (Some(from), Some(until)) = (updated_gte, updated_lt)
        && from >= until
    {
        return Err(fields.error("updated_lt", "expected a time after updated_gte"));
    }
    let manifest = find::connector(&webhook.integration)?.manifest();
    if manifest.object(webhook.object_type).is_none_or(|spec| spec.is_only_pushed()) {
        let what = webhook.object_type;
        return Err(ApiError::unsupported(format!("{} does not list {what}, so there is no history", manifest.name)));
    }
    let id = JobId::new(&api.context.clock, &api.context.random)?.at_home_of(webhook.connection_id);
    Ok(ListingJob { updated_gte, updated_lt, ..ListingJob::new(id, webhook, JobMode::Backfill, api.now()) })
}

/// Why nothing is delivered for now.
async fn waits_for(api: &Api, caller: Caller, webhook: &Webhook) -> Result<Option<&'static str>, ApiError> {
    if webhook.is_paused {
        return Ok(Some("the webhook is paused: the back-fill is delivered once its is_paused is false"));
    }
    if find::connection(api, caller, &webhook.connection_id.to_string()).await?.is_paused {
        return Ok(Some("the connection is paused: the back-fill begins once its is_paused is false"));
    }
    let delivery = api.context.store.delivery(webhook.id).await?.unwrap_or_default();
    let is_healthy = delivery.health == WebhookHealth::Healthy;
    Ok((!is_healthy).then_some("the webhook is not healthy: the back-fill is delivered once it is resumed"))
}

/// The webhook's newest back-fill, and those before it.
pub(crate) async fn get_backfill(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let jobs = jobs(&api, &webhook).await?;
    let now = api.now();
    let mut views = jobs.iter().map(|job| BackfillView::new(job, now));
    let newest = views.next().ok_or_else(|| {
        missing(format!("the webhook has had no back-fill; begin one by POST /unified/webhook/{}/backfill", webhook.id))
    })?;
    let earlier = views.take(EARLIER_SHOWN).collect();
    Ok(Json(newest.with_earlier(earlier)).into_response())
}

/// Ends the back-fill that is open: no INITIAL-COMPLETE is sent, and what changes goes on.
pub(crate) async fn cancel_backfill(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let webhook = find::webhook(&api, caller, &id).await?;
    let none = || missing("no back-fill of this webhook is open; there is nothing to cancel".to_owned());
    let open = open_job(&api, &webhook).await?.ok_or_else(none)?;
    let now = api.now();
    api.context.store.cancel_job(open.id, now).await?;
    // It may have come to its end meanwhile.
    let job = api.context.store.job(open.id).await?.filter(|job| job.state == JobState::Cancelled).ok_or_else(none)?;
    Ok(Json(BackfillView::new(&job, now)).into_response())
}

/// A webhook's back-fills, newest first.
async fn jobs(api: &Api, webhook: &Webhook) -> Result<Vec<ListingJob>, ApiError> {
    let mut jobs = api.context.store.jobs_of_webhook(webhook.id, JOBS_MAX).await?;
    // What was missed is caught up with by itself.
    jobs.retain(|job| job.mode != JobMode::CatchUp);
    Ok(jobs)
}

async fn open_job(api: &Api, webhook: &Webhook) -> Result<Option<ListingJob>, ApiError> {
    Ok(jobs(api, webhook).await?.into_iter().find(ListingJob::is_open))
}

fn missing(message: String) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, message)
}

fn is_open(webhook: &Webhook, open: Option<&ListingJob>) -> ApiError {
    let which = match open {
        Some(job) if job.mode == JobMode::Initial => "the initial sync is not finished".to_owned(),
        Some(job) => format!("back-fill {} is not finished", job.id),
        None => "another back-fill is not finished".to_owned(),
    };
    let path = format!("/unified/webhook/{}/backfill", webhook.id);
    ApiError::conflict(format!("{which}; see how far it is by GET {path}, or cancel it by DELETE {path}"))
}
