//! A connection as the API answers it: what tells connections apart, and no secret.

use super::health::HealthView;
use crate::ids::{ConnectionId, WorkspaceId};
use crate::store::{Connection, ConnectionProfile};
use anyhook_connectors::model::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// A connection in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectionView<'a> {
    id: ConnectionId,
    created_at: Timestamp,
    updated_at: Timestamp,
    workspace_id: WorkspaceId,
    integration_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_name: Option<&'a str>,
    categories: &'a [String],
    permissions: &'a [String],
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_xref: Option<&'a str>,
    is_paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_healthy_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unhealthy_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unhealthy_code: Option<&'a str>,
    /// How its credentials do; not in the public API.
    health: HealthView<'a>,
    #[serde(skip_serializing_if = "AuthView::is_empty")]
    auth: AuthView<'a>,
}

/// What of `auth` is shown.
#[derive(Debug, Clone, Copy, Serialize)]
struct AuthView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    emails: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_url: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    meta: &'a BTreeMap<String, String>,
}

impl<'a> AuthView<'a> {
    fn new(profile: &'a ConnectionProfile) -> Self {
        AuthView {
            name: profile.name.as_deref(),
            emails: &profile.emails,
            user_id: profile.user_id.as_deref(),
            api_url: profile.api_url.as_deref(),
            meta: &profile.meta,
        }
    }

    fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.emails.is_empty()
            && self.user_id.is_none()
            && self.api_url.is_none()
            && self.meta.is_empty()
    }
}

impl<'a> ConnectionView<'a> {
    /// A connection as it is stored.
    pub fn new(connection: &'a Connection) -> Self {
        let connector = anyhook_connectors::find(&connection.integration);
        ConnectionView {
            id: connection.id,
            created_at: Timestamp::from(connection.created_at),
            updated_at: Timestamp::from(connection.updated_at),
            workspace_id: connection.workspace_id,
            integration_type: &connection.integration,
            integration_name: connector.map(|connector| connector.manifest().name),
            categories: &connection.categories,
            permissions: &connection.permissions,
            environment: &connection.environment,
            external_xref: connection.external_xref.as_deref(),
            is_paused: connection.is_paused,
            last_healthy_at: connection.last_healthy_at.map(Timestamp::from),
            last_unhealthy_at: connection.last_unhealthy_at.map(Timestamp::from),
            last_unhealthy_code: connection.last_unhealthy_code.as_deref(),
            health: HealthView::of_connection(connection),
            auth: AuthView::new(&connection.profile),
        }
    }
}
