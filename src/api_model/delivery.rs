//! Deliveries and poll runs as the API answers them: one object a batch with its attempts, one a run.

use crate::ids::JobId;
use crate::store::{ApiCall, NextRun, NextWhy};
use anyhook_connectors::model::Timestamp;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// What has become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStateName {
    /// It was taken.
    Delivered,
    /// It is tried again.
    Retrying,
    /// It is not tried again until a person acts.
    Failed,
    /// A person has passed it over.
    Skipped,
}

/// A batch in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Serialize)]
pub struct DeliveryView<'a> {
    /// The `webhook-id` that it is sent with.
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    state: DeliveryStateName,
    /// Objects in it.
    records: u64,
    /// Bytes of the payload.
    size: u64,
    /// As the header `anyhook-sequence`, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// As the header `anyhook-stream`, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    /// When it was first attempted, as far as rows are kept.
    created_at: Timestamp,
    /// When it was last attempted.
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    /// Oldest first.
    attempts: Vec<AttemptView<'a>>,
    /// The payload as it would be sent now.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    /// Why there is no payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

/// What is known of a batch as a whole, beside its rows.
#[derive(Debug, Clone)]
pub struct DeliveryFacts {
    /// What has become of it.
    pub state: DeliveryStateName,
    /// When it is tried again.
    pub next_at: Option<DateTime<Utc>>,
    /// Its number in its stream.
    pub sequence: Option<u64>,
    /// Its stream.
    pub stream: Option<String>,
}

impl<'a> DeliveryView<'a> {
    /// From the rows of its attempts, oldest first; none where there are none.
    pub fn new(calls: &'a [ApiCall], facts: DeliveryFacts) -> Option<Self> {
        let (first, last) = calls.first().zip(calls.last())?;
        let biggest = calls.iter().max_by_key(|call| call.size_bytes)?;
        Some(DeliveryView {
            id: first.delivery.as_deref()?,
            kind: first.payload_type(),
            state: facts.state,
            records: biggest.records,
            size: biggest.size_bytes,
            sequence: facts.sequence,
            stream: facts.stream,
            created_at: first.at.into(),
            updated_at: last.at.into(),
            next_attempt_at: facts.next_at.map(Timestamp::from),
            attempts: calls.iter().map(AttemptView::new).collect(),
            payload: None,
            notice: None,
        })
    }

    /// Adds the payload, or why it is not there.
    #[must_use]
    pub fn with_payload(mut self, payload: Result<Box<RawValue>, &'static str>) -> Self {
        match payload {
            Ok(payload) => self.payload = Some(payload),
            Err(notice) => self.notice = Some(notice),
        }
        self
    }
}

/// One attempt.
#[derive(Debug, Serialize)]
struct AttemptView<'a> {
    /// The row in the audit trail; left out where none is kept.
    #[serde(skip_serializing_if = "str::is_empty")]
    apicall_id: &'a str,
    at: Timestamp,
    /// The answer's; left out where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_id: Option<JobId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "as_object")]
    response_headers: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    response_body_is_binary: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    response_body_is_cut: bool,
}

impl<'a> AttemptView<'a> {
    fn new(call: &'a ApiCall) -> Self {
        let note = call.attempt.as_deref();
        let body = note.and_then(|note| note.body.as_ref());
        AttemptView {
            apicall_id: &call.id,
            at: call.at.into(),
            status: Some(call.status).filter(|status| *status > 0),
            duration_ms: call.duration_ms,
            error: call.error.as_deref(),
            replay_id: note.and_then(|note| note.replay),
            response_headers: note.map_or(&[], |note| &note.headers),
            response_body: body.filter(|body| !body.is_binary).map(|body| body.text.as_str()),
            response_body_is_binary: body.is_some_and(|body| body.is_binary),
            response_body_is_cut: body.is_some_and(|body| body.is_cut),
        }
    }
}

/// A name that comes several times keeps all its values, divided by commas as RFC 9110 (5.3) has it.
pub(super) fn as_object<S: Serializer>(headers: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut joined: Vec<(&str, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        match joined.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => *values = format!("{values}, {value}"),
            None => joined.push((name, value.clone())),
        }
    }
    serializer.collect_map(joined)
}

/// A poll run in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Serialize)]
pub struct RunView<'a> {
    /// The row in the audit trail.
    id: &'a str,
    at: Timestamp,
    /// `ok` or `failed`.
    status: &'static str,
    /// Of the vendor's last answer; left out where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    duration_ms: u64,
    /// Changes that were found.
    records: u64,
    /// Requests made to the vendor.
    requests: u64,
    /// Bytes that were read.
    size: u64,
    /// Runs alike that this one stands for: those that found nothing are folded into the last.
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextView>,
}

/// When the next run was to come, and why then.
#[derive(Debug, Clone, Copy, Serialize)]
struct NextView {
    at: Timestamp,
    why: NextWhy,
}

impl<'a> RunView<'a> {
    /// A run's row.
    pub fn new(call: &'a ApiCall) -> Self {
        let ended_at = call.at + TimeDelta::milliseconds(i64::try_from(call.duration_ms).unwrap_or(0));
        RunView {
            id: &call.id,
            at: call.at.into(),
            status: if call.is_failure() { "failed" } else { "ok" },
            http_status: Some(call.status).filter(|status| *status > 0),
            duration_ms: call.duration_ms,
            records: call.records,
            requests: call.requests,
            size: call.size_bytes,
            count: call.count,
            error: call.error.as_deref(),
            next: call.next.map(|next| NextView { at: next_at(ended_at, next).into(), why: next.why }),
        }
    }
}

fn next_at(ended_at: DateTime<Utc>, next: NextRun) -> DateTime<Utc> {
    let wait = i64::try_from(next.in_ms).ok().and_then(TimeDelta::try_milliseconds);
    wait.and_then(|wait| ended_at.checked_add_signed(wait)).unwrap_or(ended_at)
}

/// What came of a test in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Serialize)]
pub struct TrialView<'a> {
    /// The `webhook-id` that it was sent with.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// True if a delivery would have been taken.
    is_delivered: bool,
    /// Bytes of the payload.
    size: u64,
    #[serde(flatten)]
    attempt: AttemptView<'a>,
}

impl<'a> TrialView<'a> {
    /// From the row that tells of it.
    pub fn new(call: &'a ApiCall) -> Self {
        TrialView {
            id: call.delivery.as_deref(),
            is_delivered: !call.is_failure(),
            size: call.size_bytes,
            attempt: AttemptView::new(call),
        }
    }
}
