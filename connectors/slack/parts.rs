//! What all of Slack's answers have (docs.slack.dev/apis/web-api, "Evaluating responses").

use crate::contract::{ApiResponse, ConnectorError, Verdict};
use crate::json::Text;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Whole<'a> {
    ok: bool,
    error: Option<Text<'a>>,
    #[serde(default)]
    channels: Vec<&'a RawValue>,
    channel: Option<&'a RawValue>,
    #[serde(default)]
    messages: Vec<&'a RawValue>,
    response_metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Metadata<'a> {
    next_cursor: Option<Text<'a>>,
}

/// An answer that went well.
pub(super) struct Answer<'a> {
    pub(super) channels: Vec<&'a RawValue>,
    pub(super) channel: Option<&'a RawValue>,
    pub(super) messages: Vec<&'a RawValue>,
    /// docs.slack.dev/apis/web-api/pagination: empty at the end.
    pub(super) next: Option<String>,
}

pub(super) fn read<'a>(response: &ApiResponse<'a>) -> Result<Answer<'a>, ConnectorError> {
    let whole: Whole<'a> = response.json()?;
    let cursor = whole.response_metadata.and_then(|metadata| metadata.next_cursor);
    Ok(Answer {
        channels: whole.channels,
        channel: whole.channel,
        messages: whole.messages,
        next: cursor.map(|text| text.0.into_owned()).filter(|text| !text.is_empty()),
    })
}

/// Failures come with status 200 and a word.
pub(super) fn judge(response: &ApiResponse<'_>) -> Verdict {
    let verdict = Verdict::of_status(response.status);
    if verdict != Verdict::Read {
        return verdict;
    }
    let Ok(whole) = response.json::<Whole<'_>>() else { return Verdict::Read };
    if whole.ok {
        return Verdict::Read;
    }
    match whole.error.as_ref().map_or("", |error| &*error.0) {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" | "missing_scope" => {
            Verdict::Credential
        }
        "channel_not_found" | "thread_not_found" => Verdict::NotFound,
        "ratelimited" => Verdict::RateLimited,
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => Verdict::Transient,
        _ => Verdict::Permanent,
    }
}

/// A `ts`: seconds and six decimals, `1355517523.000005`.
pub(super) fn time(ts: &str) -> Option<DateTime<Utc>> {
    let (seconds, micros) = ts.split_once('.').unwrap_or((ts, "0"));
    let nanos = micros.parse::<u32>().ok().filter(|_| micros.len() <= 6)?.checked_mul(1_000)?;
    DateTime::from_timestamp(seconds.parse().ok()?, nanos)
}

/// The `ts` of a time.
pub(super) fn ts(at: DateTime<Utc>) -> String {
    format!("{}.{:06}", at.timestamp(), at.timestamp_subsec_micros())
}
