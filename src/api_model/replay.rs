//! A replay as the API answers it.

use crate::ids::{DestinationId, JobId, WebhookId};
use crate::store::{Replay, ReplayState};
use anyhook_connectors::model::Timestamp;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A replay in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayView<'a> {
    /// What the header `anyhook-replay` says.
    id: JobId,
    /// Whose it is: a webhook's, or a destination's.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<WebhookId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_id: Option<DestinationId>,
    /// `running`, `done`, `cancelled` or `failed`.
    state: &'static str,
    /// Deliveries that are to be repeated.
    deliveries: u64,
    /// Those that were.
    repeated: u64,
    /// Attempts of the one that is being tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    /// Payloads of all that was delivered after this are kept; left out while nothing has gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    payloads_kept_since: Option<Timestamp>,
    /// What it waits for before it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

impl<'a> ReplayView<'a> {
    /// A replay as it stands; of a destination where it is one's.
    pub fn new(replay: &'a Replay, destination_id: Option<DestinationId>) -> Self {
        let (state, failed) = match &replay.state {
            ReplayState::Running => ("running", None),
            ReplayState::Done => ("done", None),
            ReplayState::Cancelled => ("cancelled", None),
            ReplayState::Failed { message } => ("failed", Some(message.as_str())),
        };
        ReplayView {
            id: replay.id,
            webhook_id: Some(replay.webhook_id).filter(|_| destination_id.is_none()),
            destination_id,
            state,
            deliveries: replay.deliveries,
            repeated: replay.repeated,
            attempts: replay.retry.as_ref().map(|retry| retry.attempts),
            next_attempt_at: replay.retry.as_ref().map(|retry| retry.next_at.into()),
            error: failed.or(replay.error.as_deref()),
            created_at: replay.created_at.into(),
            updated_at: replay.updated_at.into(),
            finished_at: replay.finished_at.map(Timestamp::from),
            payloads_kept_since: None,
            notice: None,
        }
    }

    /// Adds what it waits for.
    #[must_use]
    pub fn with_notice(mut self, notice: Option<&'static str>) -> Self {
        self.notice = notice;
        self
    }

    /// Adds from when on payloads are kept.
    #[must_use]
    pub fn with_kept_since(mut self, since: Option<DateTime<Utc>>) -> Self {
        self.payloads_kept_since = since.map(Timestamp::from);
        self
    }
}
