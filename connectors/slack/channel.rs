//! Channels (docs.slack.dev/reference/objects/conversation-object).

use crate::contract::{ApiRequest, PageJob, RecordError};
use crate::json::{Mapped, Text};
use crate::model::{MessagingChannel, Timestamp};
use chrono::DateTime;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Channel<'a> {
    id: Text<'a>,
    name: Option<Text<'a>>,
    created: Option<i64>,
    /// When the settings were last changed, in milliseconds; "different fields are included", so it may be missing.
    updated: Option<i64>,
    #[serde(default)]
    is_archived: bool,
    is_private: Option<bool>,
    purpose: Option<Purpose<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Purpose<'a> {
    value: Text<'a>,
}

pub(super) fn page_request(job: &PageJob<'_>) -> ApiRequest {
    ApiRequest::get("/conversations.list")
        .query("types", "public_channel,private_channel")
        .query("limit", job.limit.to_string())
        .query_opt("cursor", job.token())
}

pub(super) fn channel(raw: Channel<'_>) -> Result<Mapped<'_, MessagingChannel<'_>>, RecordError> {
    let created_at = raw.created.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let updated_at = raw.updated.and_then(DateTime::from_timestamp_millis);
    let object = MessagingChannel {
        id: raw.id.0.clone(),
        created_at: created_at.map(Timestamp),
        updated_at: updated_at.map(Timestamp),
        description: raw.purpose.map(|purpose| purpose.value.0).filter(|text| !text.is_empty()),
        is_active: Some(!raw.is_archived),
        is_private: raw.is_private,
        name: raw.name.map(|text| text.0),
        ..MessagingChannel::default()
    };
    Ok(Mapped { id: raw.id.0, updated_at, created_at, deleted: false, revision: None, object })
}
