//! A notification as the API answers it.

use crate::ids::{ConnectionId, DestinationId, FeedId, JobId, WebhookId, WorkspaceId};
use crate::store::{JobMode, Notification, NotificationDetails, NotificationEvent};
use anyhook_connectors::model::{ObjectType, Timestamp};
use serde::Serialize;

/// A notification in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct NotificationView<'a> {
    id: &'a str,
    created_at: Timestamp,
    updated_at: Timestamp,
    event: NotificationEvent,
    description: &'a str,
    /// What went wrong, as a short code; not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    workspace_id: WorkspaceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<ConnectionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<WebhookId>,
    /// Not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_id: Option<DestinationId>,
    /// Not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    object_type: Option<ObjectType>,
    #[serde(skip_serializing_if = "str::is_empty")]
    integration_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_name: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_xref: Option<&'a str>,
    /// What a run or a listing came to; not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<DetailsView<'a>>,
}

/// What a run or a listing came to. Fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct DetailsView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    feed_id: Option<FeedId>,
    #[serde(skip_serializing_if = "<[WebhookId]>::is_empty")]
    webhook_ids: &'a [WebhookId],
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<JobMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    began_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_unfinished: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> DetailsView<'a> {
    fn new(row: &'a NotificationDetails) -> Self {
        DetailsView {
            feed_id: row.feed_id,
            webhook_ids: &row.webhook_ids,
            job_id: row.job_id,
            mode: row.mode,
            began_at: row.began_at.map(Timestamp::from),
            duration_ms: row.duration_ms,
            changes: row.changes,
            created: row.kinds.map(|kinds| kinds.created),
            updated: row.kinds.map(|kinds| kinds.updated),
            deleted: row.kinds.map(|kinds| kinds.deleted),
            requests: row.requests,
            bytes: row.bytes,
            pages: row.pages,
            records: row.records,
            delivered: row.delivered,
            is_unfinished: row.is_unfinished,
            error: row.error.as_deref(),
        }
    }
}

impl<'a> NotificationView<'a> {
    /// A notification as it is stored, with its workspace's name. Payloads leave that out: what was delivered once reads
    /// the same when it is delivered again.
    pub fn new(row: &'a Notification, workspace_name: Option<&'a str>) -> Self {
        let connector = anyhook_connectors::find(&row.integration);
        NotificationView {
            id: &row.id,
            created_at: Timestamp::from(row.at),
            updated_at: Timestamp::from(row.at),
            event: row.event,
            description: &row.description,
            code: row.code.as_deref(),
            workspace_id: row.workspace_id,
            workspace_name,
            connection_id: row.connection_id,
            webhook_id: row.webhook_id,
            destination_id: row.destination_id,
            object_type: row.object_type,
            integration_type: &row.integration,
            integration_name: connector.map(|connector| connector.manifest().name),
            environment: &row.environment,
            external_xref: row.external_xref.as_deref(),
            details: row.details.as_deref().map(DetailsView::new),
        }
    }
}
