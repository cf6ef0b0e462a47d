//! What many webhooks share and few changes touch: signing keys of workspaces, and whether connections are paused.

use super::sign::SigningKey;
use crate::ids::{ConnectionId, WorkspaceId};
use crate::secrets::{Vault, VaultError};
use crate::store::{Destination, SignatureEncoding, Store, StoreError};
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Entries of each kind that are kept.
const ENTRIES_MAX: usize = 10_000;

/// A workspace's keys. Two of the same make are the same `Arc`.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) signing: SigningKey,
    /// A destination's secret as a hash, for receivers that only compare.
    pub(super) mark: Option<HeaderValue>,
}

impl Keys {
    /// A destination's own.
    pub(super) fn of_destination(vault: &Vault, row: &Destination) -> Result<Arc<Self>, KeyError> {
        let plain = vault.open(&Destination::seal(row.id), &row.signing.secret)?;
        let secret = std::str::from_utf8(&plain).map_err(|_| KeyError::NotText)?;
        let mark = HeaderValue::try_from(format!("sha256={}", hex::encode(Sha256::digest(&plain))));
        let signing = SigningKey::new(secret, SignatureEncoding::default());
        Ok(Arc::new(Keys { signing, mark: mark.ok() }))
    }
}

/// Why a signing key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum KeyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the signing secret is not text")]
    NotText,
}

/// Keeps them.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    keys: HashMap<WorkspaceId, Arc<Keys>>,
    paused: HashMap<ConnectionId, bool>,
    /// Grows with every forgetting, so that what was read before is not kept after it.
    forgotten: u64,
}

impl Keyring {
    /// The keys of a workspace.
    pub(super) async fn keys(&self, store: &dyn Store, vault: &Vault, id: WorkspaceId) -> Result<Arc<Keys>, KeyError> {
        let before = {
            let held = self.held();
            if let Some(keys) = held.keys.get(&id) {
                return Ok(keys.clone());
            }
            held.forgotten
        };
        let workspace = store.workspace(id).await?.ok_or(StoreError::Missing("workspace"))?;
        let plain = vault.open(&format!("workspace/{id}"), &workspace.signing.secret)?;
        let secret = std::str::from_utf8(&plain).map_err(|_| KeyError::NotText)?;
        let keys = Arc::new(Keys { signing: SigningKey::new(secret, workspace.signature_encoding), mark: None });
        let mut held = self.held();
        if held.forgotten != before {
            return Ok(keys);
        }
        if held.keys.len() >= ENTRIES_MAX {
            held.keys.clear();
        }
        // Whoever was first: webhooks that share the keys share what was hashed under them.
        Ok(held.keys.entry(id).or_insert(keys).clone())
    }

    /// Whether a connection is paused.
    pub(super) async fn is_paused(&self, store: &dyn Store, id: ConnectionId) -> Result<bool, StoreError> {
        let before = {
            let held = self.held();
            if let Some(paused) = held.paused.get(&id) {
                return Ok(*paused);
            }
            held.forgotten
        };
        let paused = store.connection(id).await?.ok_or(StoreError::Missing("connection"))?.is_paused;
        let mut held = self.held();
        if held.paused.len() >= ENTRIES_MAX {
            held.paused.clear();
        }
        if held.forgotten == before {
            held.paused.insert(id, paused);
        }
        Ok(paused)
    }

    /// Forgets what was known of a connection, because it changed.
    pub(super) fn forget_connection(&self, id: ConnectionId) {
        let mut held = self.held();
        held.forgotten += 1;
        held.paused.remove(&id);
    }

    /// Forgets what was known of a workspace, because it changed.
    pub(super) fn forget_workspace(&self, id: WorkspaceId) {
        let mut held = self.held();
        held.forgotten += 1;
        held.keys.remove(&id);
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        let mut held = self.held();
        *held = Held { forgotten: held.forgotten + 1, ..Held::default() };
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
