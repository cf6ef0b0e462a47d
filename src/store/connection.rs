//! Connections: authorised accounts at vendors.

use super::{ListPage, ShardId, StoreError};
use crate::ids::{ConnectionId, WebhookId, WorkspaceId};
use crate::secrets::Sealed;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of a connection's `auth` is no secret: enough for a person to tell connections apart, and for a connector to
/// build requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionProfile {
    /// `auth.name`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `auth.emails`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    /// `auth.user_id`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// `auth.api_url`, in place of the vendor's base URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// `auth.meta` less what is secret in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

/// One authorised account at a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The integration's name, such as `github`.
    pub integration: String,
    /// The categories it was made for.
    pub categories: Vec<String>,
    /// What it may be used for.
    pub permissions: Vec<String>,
    /// `Production` unless another was named.
    pub environment: String,
    /// The customer's own name of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_xref: Option<String>,
    /// A paused connection is not polled and its webhooks rest.
    pub is_paused: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed by a person.
    pub updated_at: DateTime<Utc>,
    /// When a vendor last accepted its credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy_at: Option<DateTime<Utc>>,
    /// When a vendor last refused them; none once it accepts them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_unhealthy_at: Option<DateTime<Utc>>,
    /// Why, as a short code such as `401`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_unhealthy_code: Option<String>,
    /// What is no secret of its credentials.
    pub profile: ConnectionProfile,
    /// Its credentials as JSON, sealed for `connection/<id>`.
    pub auth: Sealed,
    /// Which budget its calls count against: the integration and a keyed hash of what stays the same of the credential
    /// when it is refreshed. Given when the connection is made and kept for life, because its shard follows from it.
    pub bucket: String,
    /// The shard of its bucket.
    pub shard: ShardId,
    /// Grows by one with every change of this row.
    pub revision: u64,
    /// Grows by one with every change of its credentials.
    pub auth_revision: u64,
    /// Until when a process may be spending the refresh token, by our clock; nobody else does until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshing_until: Option<DateTime<Utc>>,
    /// When a person last gave other credentials; none while it has those it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_given_at: Option<DateTime<Utc>>,
}

impl Connection {
    /// True if the vendor refused its credentials and a person has given others since, which the next poll tries.
    pub fn is_retried(&self) -> bool {
        self.last_unhealthy_at.is_some_and(|refused_at| self.auth_given_at >= Some(refused_at))
    }
}

/// What a vendor made of a connection's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// It accepts them.
    Accepted,
    /// It refuses them.
    Refused {
        /// Its status, or a short code.
        code: String,
        /// What it said and what to do.
        message: String,
    },
}

/// Which connections a list shall have.
#[derive(Debug, Clone, Default)]
pub struct ConnectionQuery {
    /// Those of any of these categories; all where empty.
    pub categories: Vec<String>,
    /// Those of this environment.
    pub environment: Option<String>,
    /// Those with this reference.
    pub external_xref: Option<String>,
    /// Those changed since.
    pub updated_gte: Option<DateTime<Utc>>,
    /// Which part, in which order. A connection's name for sorting is the integration's, then the profile's.
    pub page: ListPage,
}

/// Connections.
#[async_trait]
pub trait Connections {
    /// Adds a connection. [`StoreError::Exists`] where its id is taken.
    async fn insert_connection(&self, connection: Connection) -> Result<(), StoreError>;

    /// The connection of this id, whosever it is.
    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError>;

    /// A workspace's connections that match.
    async fn connections(&self, workspace: WorkspaceId, query: &ConnectionQuery)
    -> Result<Vec<Connection>, StoreError>;

    /// How many connections a workspace has, at the cost of one row.
    async fn count_connections(&self, workspace: WorkspaceId) -> Result<u64, StoreError>;

    /// Replaces a connection if its revision is still the one that was read; the new row's revision is one more.
    ///
    /// - [`StoreError::Conflict`] where another change came first.
    /// - While it is paused, its feeds and its webhooks' retries are not due.
    /// - Where the change ends a pause, or a person brings new credentials (`updated_at` changes with them), its feeds
    ///   become due now and those that were unhealthy for their credentials are taken for being retried.
    async fn replace_connection(&self, connection: Connection) -> Result<Connection, StoreError>;

    /// Deletes a connection with its webhooks, feeds and all that is theirs, and answers the webhooks' ids.
    ///
    /// - Nothing of it is found afterwards, though rows of logs and ledgers may be cleaned up later.
    async fn delete_connection(&self, id: ConnectionId, now: DateTime<Utc>) -> Result<Vec<WebhookId>, StoreError>;
}
