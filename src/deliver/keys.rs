//! What many webhooks share and few changes touch: signing keys of workspaces, and whether connections are paused.

use super::sign::SigningKey;
use crate::ids::{ConnectionId, WorkspaceId};
use crate::secrets::{Vault, VaultError};
use crate::store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// How long a workspace's key is used before it is read again: a secret that was replaced signs that much longer.
const KEY_LIFE: Duration = Duration::from_secs(5);

/// Entries of each kind that are kept.
const ENTRIES_MAX: usize = 10_000;

/// A workspace's keys. Two of the same make are the same `Arc`.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) signing: SigningKey,
}

/// Why a signing key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum KeyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the workspace's signing secret is not text")]
    NotText,
}

/// Keeps them.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    keys: HashMap<WorkspaceId, (Arc<Keys>, Vec<u8>, Instant)>,
    paused: HashMap<ConnectionId, bool>,
    /// Grows with every forgetting, so that what was read before is not kept after it.
    forgotten: u64,
}

impl Keyring {
    /// The keys of a workspace.
    pub(super) async fn keys(&self, store: &dyn Store, vault: &Vault, id: WorkspaceId) -> Result<Arc<Keys>, KeyError> {
        if let Some((keys, _, until)) = self.held().keys.get(&id)
            && Instant::now() < *until
        {
            return Ok(keys.clone());
        }
        let workspace = store.workspace(id).await?.ok_or(StoreError::Missing("workspace"))?;
        let plain = vault.open(&format!("workspace/{id}"), &workspace.secret)?;
        let secret = std::str::from_utf8(&plain).map_err(|_| KeyError::NotText)?;
        // Which secret it was, without keeping it: another one, or another encoding, makes new keys.
        let mark = serde_json::to_vec(&(&workspace.secret, workspace.signature_encoding)).unwrap_or_default();
        let until = Instant::now() + KEY_LIFE;
        let mut held = self.held();
        if let Some(known) = held.keys.get_mut(&id).filter(|known| known.1 == mark) {
            known.2 = until;
            return Ok(known.0.clone());
        }
        let keys = Arc::new(Keys { signing: SigningKey::new(secret, workspace.signature_encoding) });
        if held.keys.len() >= ENTRIES_MAX {
            held.keys.clear();
        }
        held.keys.insert(id, (keys.clone(), mark, until));
        Ok(keys)
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

    /// Forgets what was known of a connection, because it changed; of all where none is named.
    pub(super) fn forget(&self, connection: Option<ConnectionId>) {
        let mut held = self.held();
        held.forgotten += 1;
        match connection {
            Some(id) => drop(held.paused.remove(&id)),
            None => held.paused.clear(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
