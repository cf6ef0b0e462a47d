//! What many deliveries need and few changes touch: signing keys of workspaces and of webhooks that have their own, and
//! whether connections are paused.

use super::sign::{SigningKey, SigningKeys};
use super::subscriber::Subscriber;
use crate::context::Context;
use crate::ids::{ConnectionId, WebhookId, WorkspaceId};
use crate::secrets::{Sealed, Vault, VaultError};
use crate::store::{SignatureEncoding, SigningSecrets, Store, StoreError, Webhook, Workspace};
use chrono::{DateTime, Utc};
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Entries of each kind that are kept.
const ENTRIES_MAX: usize = 10_000;

/// What signs deliveries. Those of a workspace are the same `Arc` for all its webhooks.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) signing: SigningKeys,
    /// How the workspace has digests written.
    encoding: SignatureEncoding,
    /// True where the workspace wants GitHub's header on what it delivers.
    pub(super) hub_signature: bool,
    /// True for one webhook's own: no other can use what was hashed under them.
    pub(super) is_own: bool,
    /// A destination's secret as a hash, for receivers that only compare.
    pub(super) mark: Option<HeaderValue>,
    /// When one of them ends.
    until: Option<DateTime<Utc>>,
}

impl Keys {
    fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Why a signing key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum KeyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("a signing secret is not text")]
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
    /// Of webhooks that have their own, with what they were made from.
    own: HashMap<WebhookId, (SigningSecrets, Arc<Keys>)>,
    paused: HashMap<ConnectionId, bool>,
    /// Grows with every forgetting, so that what was read before is not kept after it.
    forgotten: u64,
}

impl Keyring {
    /// The keys of a webhook or destination: its own, else its workspace's.
    pub(super) async fn keys(&self, context: &Context, subscriber: &Subscriber) -> Result<Arc<Keys>, KeyError> {
        let webhook = &subscriber.webhook;
        let shared = self.of_workspace(context, webhook.workspace_id).await?;
        match &webhook.delivery.signing {
            None => Ok(shared),
            Some(secrets) => self.own(context, webhook.id, secrets, &shared, subscriber.destination.is_some()),
        }
    }

    async fn of_workspace(&self, context: &Context, id: WorkspaceId) -> Result<Arc<Keys>, KeyError> {
        let now = context.clock.now();
        let before = {
            let held = self.held();
            if let Some(keys) = held.keys.get(&id).filter(|keys| keys.is_good(now)) {
                return Ok(keys.clone());
            }
            held.forgotten
        };
        let workspace = context.store.workspace(id).await?.ok_or(StoreError::Missing("workspace"))?;
        let keys = Arc::new(Keys {
            signing: open(&context.vault, &Workspace::seal(id), &workspace.signing, workspace.signature_encoding, now)?,
            encoding: workspace.signature_encoding,
            hub_signature: workspace.delivery.hub_signature.unwrap_or(false),
            is_own: false,
            mark: None,
            until: workspace.signing.changes_at(now),
        });
        let mut held = self.held();
        if held.forgotten != before {
            return Ok(keys);
        }
        // Whoever was first: webhooks that share the keys share what was hashed under them.
        if let Some(known) = held.keys.get(&id).filter(|known| known.is_good(now)) {
            return Ok(known.clone());
        }
        if held.keys.len() >= ENTRIES_MAX {
            held.keys.clear();
        }
        held.keys.insert(id, keys.clone());
        Ok(keys)
    }

    fn own(
        &self,
        context: &Context,
        id: WebhookId,
        secrets: &SigningSecrets,
        shared: &Keys,
        is_marked: bool,
    ) -> Result<Arc<Keys>, KeyError> {
        let now = context.clock.now();
        if let Some((from, keys)) = self.held().own.get(&id)
            && from == secrets
            && keys.is_good(now)
            && (keys.encoding, keys.hub_signature) == (shared.encoding, shared.hub_signature)
        {
            return Ok(keys.clone());
        }
        let keys = Arc::new(Keys {
            signing: open(&context.vault, &Webhook::seal(id), secrets, shared.encoding, now)?,
            encoding: shared.encoding,
            hub_signature: shared.hub_signature,
            is_own: true,
            mark: if is_marked { mark(&context.vault, id, secrets, now)? } else { None },
            until: secrets.changes_at(now),
        });
        let mut held = self.held();
        if held.own.len() >= ENTRIES_MAX {
            held.own.clear();
        }
        held.own.insert(id, (secrets.clone(), keys.clone()));
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

/// What stands for a secret where nothing is signed by it: like `sig` that of the oldest that is live.
fn mark(
    vault: &Vault,
    id: WebhookId,
    secrets: &SigningSecrets,
    now: DateTime<Utc>,
) -> Result<Option<HeaderValue>, KeyError> {
    let oldest = secrets.former_at(now).last().map_or(&secrets.secret, |former| &former.secret);
    let plain = vault.open(&Webhook::seal(id), oldest)?;
    Ok(HeaderValue::try_from(format!("sha256={}", hex::encode(Sha256::digest(&plain)))).ok())
}

/// Opens the secrets that are live.
fn open(
    vault: &Vault,
    owner: &str,
    secrets: &SigningSecrets,
    encoding: SignatureEncoding,
    now: DateTime<Utc>,
) -> Result<SigningKeys, KeyError> {
    let key = |secret: &Sealed| {
        let plain = vault.open(owner, secret)?;
        let text = std::str::from_utf8(&plain).map_err(|_| KeyError::NotText)?;
        Ok(SigningKey::new(text, encoding))
    };
    let former: Vec<&Sealed> = secrets.former_at(now).map(|former| &former.secret).collect();
    let Some((oldest, between)) = former.split_last() else { return key(&secrets.secret).map(SigningKeys::from) };
    let newer = std::iter::once(&secrets.secret).chain(between.iter().copied());
    Ok(SigningKeys::new(newer.map(key).collect::<Result<_, KeyError>>()?, key(oldest)?))
}
