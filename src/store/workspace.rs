//! Workspaces: tenants with an API key and a signing secret.

use super::{DeliverySettings, SigningSecrets, StoreError};
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
    /// Its signing secrets, sealed for [`Workspace::seal`].
    #[serde(flatten)]
    pub signing: SigningSecrets,
    /// How its payloads' digests are written.
    pub signature_encoding: SignatureEncoding,
    /// How its webhooks are delivered to unless they say otherwise.
    #[serde(default, skip_serializing_if = "DeliverySettings::is_default")]
    pub delivery: DeliverySettings,
    /// Grows by one with every change of this row.
    #[serde(default)]
    pub revision: u64,
    /// The signing secret of the server's settings that was taken over last, sealed like the others: another one there
    /// replaces what signs, the same one does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_secret: Option<Sealed>,
}

impl Workspace {
    /// What the secrets of a workspace are sealed for.
    pub fn seal(id: WorkspaceId) -> String {
        format!("workspace/{id}")
    }

    /// A workspace with one secret and nothing set.
    pub fn new(id: WorkspaceId, name: &str, key_hash: [u8; 32], secret: Sealed, now: DateTime<Utc>) -> Self {
        Workspace {
            id,
            name: name.to_owned(),
            created_at: now,
            key_hash,
            signing: SigningSecrets::only(secret, Some(now)),
            signature_encoding: SignatureEncoding::default(),
            delivery: DeliverySettings::default(),
            revision: 0,
            settings_secret: None,
        }
    }
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

    /// Adds a workspace where there is none: [`StoreError::Exists`] where there is one, by another node that starts beside
    /// this one for instance.
    async fn insert_first_workspace(&self, workspace: Workspace) -> Result<(), StoreError>;

    /// Replaces a workspace if its revision is still the one that was read; the new row's revision is one more.
    ///
    /// - [`StoreError::Conflict`] where another change came first.
    /// - The old key finds nothing afterwards. [`StoreError::Exists`] where another workspace has the new one.
    /// - [`super::Wake::WorkspaceChanged`] is told.
    async fn replace_workspace(&self, workspace: Workspace) -> Result<Workspace, StoreError>;

    /// The workspace of this id.
    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError>;

    /// The workspace whose API key has this hash.
    async fn workspace_by_key(&self, key_hash: &[u8; 32]) -> Result<Option<Workspace>, StoreError>;

    /// Workspaces in the order of their ids, after `after`.
    async fn workspaces(&self, after: Option<WorkspaceId>, limit: usize) -> Result<Vec<Workspace>, StoreError>;
}
