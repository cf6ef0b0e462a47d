//! A notification as the API answers it.

use crate::ids::{ConnectionId, WebhookId, WorkspaceId};
use crate::store::{Notification, NotificationEvent};
use anyhook_connectors::model::Timestamp;
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
    connection_id: ConnectionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<WebhookId>,
    integration_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_name: Option<&'a str>,
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_xref: Option<&'a str>,
}

impl<'a> NotificationView<'a> {
    /// A notification as it is stored, with its workspace's name.
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
            integration_type: &row.integration,
            integration_name: connector.map(|connector| connector.manifest().name),
            environment: &row.environment,
            external_xref: row.external_xref.as_deref(),
        }
    }
}
