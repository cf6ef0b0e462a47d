//! Ends of poll runs and of listing jobs, as they are told.

use super::engine::Read;
use super::keys::Index;
use super::txn::Txn;
use super::{destinations, lists, notifications, webhooks};
use crate::ids::{FeedId, WebhookId};
use crate::store::{
    ApiCall, Contact, FeedHealth, FeedState, JobMode, JobState, ListingJob, NextWhy, Notification, NotificationDetails,
    NotificationEvent, StoreError,
};
use chrono::{DateTime, Utc};

/// The code of a run that failed where nothing tells more.
const FAILED: &str = "failed";
/// The code of a run that was asked to come back later.
const PAUSED: &str = "paused";

/// Tells that a poll run has ended, if some destination listens to that. A run that gave way to something else, and is
/// made again at once, has not ended.
pub(super) fn tell_run(
    txn: &mut Txn<'_>,
    call: &ApiCall,
    state: &FeedState,
    contact: Option<&Contact>,
) -> Result<(), StoreError> {
    let listeners = destinations::listeners_to_syncs(txn, call.workspace_id)?;
    if listeners.is_empty() {
        return Ok(());
    }
    let is_unfinished = call.next.is_some_and(|next| next.why == NextWhy::Unfinished);
    if is_unfinished && call.is_failure() {
        return Ok(());
    }
    let new = of_run(txn, call, state, contact, is_unfinished)?;
    if !listeners.iter().any(|listener| listener.wants(&new)) {
        return Ok(());
    }
    notifications::write_for(txn, new, &listeners)
}

fn of_run(
    read: &dyn Read,
    call: &ApiCall,
    state: &FeedState,
    contact: Option<&Contact>,
    is_unfinished: bool,
) -> Result<Notification, StoreError> {
    let at = state.checked_at.unwrap_or(call.at);
    let description = match &call.error {
        Some(error) => format!("the poll of {} failed: {error}", call.name),
        None => format!("the poll of {} found {} changes", call.name, call.records),
    };
    let details = NotificationDetails {
        feed_id: Some(call.feed_id),
        webhook_ids: webhooks_of(read, call.feed_id)?,
        began_at: Some(call.at),
        duration_ms: Some(lasted(call.at, at)),
        changes: Some(call.records),
        kinds: call.changes,
        requests: Some(call.requests),
        bytes: Some(call.size_bytes),
        is_unfinished,
        error: call.error.clone(),
        ..NotificationDetails::default()
    };
    Ok(Notification {
        id: String::new(),
        workspace_id: call.workspace_id,
        event: NotificationEvent::SyncCompleted,
        at,
        description,
        code: call.is_failure().then(|| code(call, state, contact)),
        connection_id: Some(call.connection_id),
        webhook_id: None,
        integration: call.integration.clone(),
        environment: call.environment.clone(),
        external_xref: call.external_xref.clone(),
        object_type: call.name.parse().ok(),
        destination_id: None,
        details: Some(Box::new(details)),
    })
}

/// What went wrong in a word: as the vendor's refusal, the feed's health or the answer's status has it.
fn code(call: &ApiCall, state: &FeedState, contact: Option<&Contact>) -> String {
    match (contact, &state.health) {
        (Some(Contact::Refused { code, .. }), _) | (_, FeedHealth::Unhealthy { code, .. }) => code.clone(),
        _ if call.status >= 400 => call.status.to_string(),
        _ if call.next.is_some_and(|next| next.why == NextWhy::Paused) => PAUSED.to_owned(),
        _ => FAILED.to_owned(),
    }
}

fn webhooks_of(read: &dyn Read, feed: FeedId) -> Result<Vec<WebhookId>, StoreError> {
    lists::ids(read, &Index::WebhookOfFeed.key(&[feed.as_bytes()]), None, usize::MAX)
}

/// Nothing, where the clock has gone back.
fn lasted(from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    u64::try_from((to - from).num_milliseconds()).unwrap_or_default()
}

/// Tells that a listing job has come to its end by itself.
pub(super) fn tell_job(txn: &mut Txn<'_>, job: &ListingJob) -> Result<(), StoreError> {
    let Some(webhook) = webhooks::webhook(txn, job.webhook_id)? else { return Ok(()) };
    let what = match job.mode {
        JobMode::Initial => "the initial history",
        JobMode::Backfill => "the back-fill",
        JobMode::CatchUp => "what was missed",
    };
    let (code, error, description) = match &job.state {
        JobState::Failed { code, message } => {
            (Some(code.clone()), Some(message.clone()), format!("{what} cannot go on: {message}"))
        }
        _ => (None, None, format!("{what} is delivered: {} records in {} pages", job.records, job.pages)),
    };
    let details = NotificationDetails {
        feed_id: Some(job.feed_id),
        job_id: Some(job.id),
        mode: Some(job.mode),
        began_at: Some(job.created_at),
        duration_ms: Some(lasted(job.created_at, job.updated_at)),
        pages: Some(job.pages),
        records: Some(job.records),
        delivered: Some(job.delivered),
        error,
        ..NotificationDetails::default()
    };
    let new = notifications::of_webhook(&webhook, NotificationEvent::BackfillCompleted, job.updated_at, description);
    notifications::write(txn, Notification { code, details: Some(Box::new(details)), ..new })
}
