//! A workspace as the API answers it: never a secret, only which ones sign.

use super::delivery_settings::DeliverySettingsView;
use crate::ids::WorkspaceId;
use crate::secrets::Sealed;
use crate::store::{SignatureEncoding, SigningSecrets, Workspace};
use anyhook_connectors::model::Timestamp;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A workspace in the API's words.
#[derive(Debug, Clone, Serialize)]
pub struct WorkspaceView<'a> {
    id: WorkspaceId,
    created_at: Timestamp,
    name: &'a str,
    signature_encoding: SignatureEncoding,
    #[serde(flatten)]
    delivery: DeliverySettingsView,
    /// Those that sign, newest first.
    secrets: Vec<SecretView>,
}

/// A signing secret in the API's words, but for the secret itself.
#[derive(Debug, Clone, Serialize)]
pub struct SecretView {
    /// Tells it from others; says nothing about it.
    id: String,
    /// When it was set; left out where it is older than that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// Until when it signs; left out for the newest, which signs until it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// A secret that was just set, with the secret itself: shown this once.
#[derive(Debug, Clone, Serialize)]
pub struct NewSecretView<'a> {
    #[serde(flatten)]
    about: SecretView,
    secret: &'a str,
    /// Those that sign, newest first.
    secrets: Vec<SecretView>,
}

impl<'a> NewSecretView<'a> {
    /// The newest of these, as it is at `now`.
    pub fn new(secret: &'a str, signing: &SigningSecrets, now: DateTime<Utc>) -> Self {
        let about = SecretView::new(&signing.secret, signing.secret_since, None);
        NewSecretView { about, secret, secrets: SecretView::all(signing, now) }
    }
}

impl<'a> WorkspaceView<'a> {
    /// A workspace as it is at `now`.
    pub fn new(workspace: &'a Workspace, now: DateTime<Utc>) -> Self {
        WorkspaceView {
            id: workspace.id,
            created_at: Timestamp::from(workspace.created_at),
            name: &workspace.name,
            signature_encoding: workspace.signature_encoding,
            delivery: DeliverySettingsView::new(&workspace.delivery),
            secrets: SecretView::all(&workspace.signing, now),
        }
    }
}

impl SecretView {
    /// The secrets that sign at `now`, newest first.
    pub fn all(signing: &SigningSecrets, now: DateTime<Utc>) -> Vec<Self> {
        let newest = SecretView::new(&signing.secret, signing.secret_since, None);
        let former = signing.former_at(now);
        let former = former.map(|former| SecretView::new(&former.secret, former.since, Some(former.until)));
        std::iter::once(newest).chain(former).collect()
    }

    fn new(secret: &Sealed, since: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Self {
        SecretView { id: secret.mark(), created_at: since.map(Timestamp::from), expires_at: until.map(Timestamp::from) }
    }
}
