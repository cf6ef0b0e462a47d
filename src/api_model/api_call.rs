//! A row of the audit trail as the API answers it.

use crate::ids::{ConnectionId, DestinationId, WebhookId, WorkspaceId};
use crate::store::{ApiCall, CallKind};
use anyhook_connectors::model::Timestamp;
use serde::Serialize;

/// A row in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct ApiCallView<'a> {
    id: &'a str,
    created_at: Timestamp,
    workspace_id: WorkspaceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<ConnectionId>,
    /// Not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_id: Option<DestinationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<WebhookId>,
    integration_type: &'a str,
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_xref: Option<&'a str>,
    #[serde(rename = "type")]
    kind: CallKind,
    method: &'a str,
    name: &'a str,
    path: &'a str,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    endapi_response_time: u64,
    size: u64,
    /// Changes found or delivered.
    records: u64,
    /// Runs folded into this row.
    count: u64,
    /// The `webhook-id` of the batch, for attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<&'a str>,
}

impl<'a> ApiCallView<'a> {
    /// A row as it is stored.
    pub fn new(call: &'a ApiCall) -> Self {
        let is_of_webhook = call.destination_id.is_none();
        ApiCallView {
            id: &call.id,
            created_at: Timestamp::from(call.at),
            workspace_id: call.workspace_id,
            // What is delivered to a destination is of no connection and no webhook.
            connection_id: is_of_webhook.then_some(call.connection_id),
            destination_id: call.destination_id,
            webhook_id: call.webhook_id.filter(|_| is_of_webhook),
            integration_type: &call.integration,
            environment: &call.environment,
            external_xref: call.external_xref.as_deref(),
            kind: call.kind,
            method: &call.method,
            name: &call.name,
            path: &call.path,
            status: call.status.to_string(),
            error: call.error.as_deref(),
            endapi_response_time: call.duration_ms,
            size: call.size_bytes,
            records: call.records,
            count: call.count,
            delivery_id: call.delivery.as_deref(),
        }
    }
}
