//! Workspaces: tenants with an API key and a signing secret.

use super::{DeliverySettings, StoreError};
use crate::ids::WorkspaceId;
use crate::secrets::Sealed;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How the digests of a payload's `sig` and `sig256` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Base64 with padding.
    #[default]
    Base64,
    /// Lower-case hexadecimal.
    Hex,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// SHA-256 of its API key; the key itself is kept nowhere.
    pub key_hash: [u8; 32],
    /// Its signing secret, sealed for `workspace/<id>`.
    pub secret: Sealed,
    /// How its payloads' digests are written.
    pub signature_encoding: SignatureEncoding,
    /// How its webhooks are delivered to unless they say otherwise.
    #[serde(default, skip_serializing_if = "DeliverySettings::is_default")]
    pub delivery: DeliverySettings,
}

/// Workspaces.
#[async_trait]
pub trait Workspaces {
    /// The key of the store's keyed hashes (webhook-id, nonce): no signing secret, never rotated.
    ///
    /// - The first call makes it from `fresh`; every later call answers the same, whatever `fresh` is.
    async fn store_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Adds a workspace. [`StoreError::Exists`] where its id or its key hash is taken.
    async fn insert_workspace(&self, workspace: Workspace) -> Result<(), StoreError>;

    /// Replaces the key hash, secret, name and encoding of a workspace. The old key finds nothing afterwards.
    async fn replace_workspace(&self, workspace: Workspace) -> Result<(), StoreError>;

    /// The workspace of this id.
    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError>;

    /// The workspace whose API key has this hash.
    async fn workspace_by_key(&self, key_hash: &[u8; 32]) -> Result<Option<Workspace>, StoreError>;

    /// Workspaces in the order of their ids, after `after`.
    async fn workspaces(&self, after: Option<WorkspaceId>, limit: usize) -> Result<Vec<Workspace>, StoreError>;
}
