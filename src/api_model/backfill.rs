//! A back-fill as the API answers it.

use crate::ids::{JobId, WebhookId};
use crate::store::{JobMode, JobState, ListingJob};
use anyhook_connectors::model::{Number, Timestamp};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// A back-fill in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct BackfillView<'a> {
    id: JobId,
    webhook_id: WebhookId,
    /// `initial` for the one that came with its webhook, else `backfill`.
    mode: JobMode,
    /// `running`, `listed` (what is left is to be delivered), `done`, `cancelled` or `failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_gte: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_lt: Option<Timestamp>,
    /// Pages that were listed, as they are kept for delivery, and the records in them.
    pages: u64,
    records: u64,
    delivered_pages: u64,
    delivered_records: u64,
    /// Records that the vendor listed in a second, over the last minutes; while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    records_per_second: Option<Number>,
    /// Records there are, where the vendor says so; those outside of the range may be among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// When it ends if it goes on like this, where a total is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_finish_at: Option<Timestamp>,
    /// Failures in a row.
    failures: u32,
    /// What last went wrong; failures at zero say that it has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    /// What it waits for before it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
    /// The webhook's back-fills before this one, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier: Option<Vec<BackfillView<'a>>>,
}

impl<'a> BackfillView<'a> {
    /// A job as it stands at `now`, by our clock.
    pub fn new(job: &'a ListingJob, now: DateTime<Utc>) -> Self {
        let rate = per_second(job, now);
        BackfillView {
            id: job.id,
            webhook_id: job.webhook_id,
            mode: job.mode,
            state: state_name(&job.state),
            updated_gte: job.updated_gte.map(Timestamp::from),
            updated_lt: job.updated_lt.map(Timestamp::from),
            pages: job.pages,
            records: job.records,
            delivered_pages: job.position.sequence,
            delivered_records: job.delivered,
            records_per_second: rate.and_then(|rate| Number::new((rate * 100.0).round() / 100.0)),
            total: job.total,
            estimated_finish_at: rate.and_then(|rate| finish_at(job, rate, now)).map(Timestamp::from),
            failures: job.failures,
            error: error(job),
            created_at: Timestamp::from(job.created_at),
            updated_at: Timestamp::from(job.updated_at),
            finished_at: job.finished_at.map(Timestamp::from),
            notice: None,
            earlier: None,
        }
    }

    /// Adds what it waits for.
    #[must_use]
    pub fn with_notice(mut self, notice: Option<&'static str>) -> Self {
        self.notice = notice;
        self
    }

    /// Adds those before it.
    #[must_use]
    pub fn with_earlier(mut self, earlier: Vec<BackfillView<'a>>) -> Self {
        self.earlier = Some(earlier);
        self
    }
}

fn state_name(state: &JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Listed => "listed",
        JobState::Done => "done",
        JobState::Cancelled => "cancelled",
        JobState::Failed { .. } => "failed",
    }
}

fn error(job: &ListingJob) -> Option<&str> {
    match &job.state {
        JobState::Failed { message, .. } => Some(message),
        _ => job.tally.error.as_deref(),
    }
}

/// Records that were listed in a second since the older mark of its pace; none once it lists no more.
#[allow(clippy::cast_precision_loss)] // counts and milliseconds are far below 2^53
fn per_second(job: &ListingJob, now: DateTime<Utc>) -> Option<f64> {
    let mark = job.tally.pace.first().filter(|_| job.state == JobState::Running)?;
    let seconds = (now - mark.at).num_milliseconds().max(1) as f64 / 1_000.0;
    Some(job.tally.seen.saturating_sub(mark.seen) as f64 / seconds)
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // the seconds are checked
fn finish_at(job: &ListingJob, rate: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let left = job.total?.saturating_sub(job.tally.listed);
    let seconds = left as f64 / rate;
    if !(0.0..=1e9).contains(&seconds) {
        return None;
    }
    now.checked_add_signed(TimeDelta::milliseconds((seconds * 1_000.0) as i64))
}
