//! A connection's credentials: what is sealed, and what of it a request needs.

use crate::secrets::{Sealed, Vault, VaultError};
use crate::store::{Connection, ConnectionProfile};
use anyhook_connectors::contract::{AuthField, AuthMethod, AuthScheme, Manifest};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The secret part of a connection's `auth`. Never logged, never answered: its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// `auth.access_token`: an OAuth 2 access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// `auth.refresh_token`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When the access token was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime<Utc>>,
    /// When the access token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// `auth.token`: an API key, personal token or password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `auth.key`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `auth.client_id`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// `auth.client_secret`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// `auth.token_url`, in place of the integration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// `auth.meta.webhook_secret`: what native webhooks are verified by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// Secrets that a vendor chose for webhooks that were registered by request, by the registration's id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub registered_secrets: BTreeMap<String, String>,
    /// Other fields of `auth` and `auth.meta` that are secret, by their path below `auth`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Whose secret it is, for the vault.
fn owner(connection: &Connection) -> String {
    format!("connection/{}", connection.id)
}

impl Credentials {
    /// Opens a connection's credentials.
    pub fn open(vault: &Vault, connection: &Connection) -> Result<Self, VaultError> {
        let plain = vault.open(&owner(connection), &connection.auth)?;
        serde_json::from_slice(&plain).map_err(|_| VaultError::CannotOpen)
    }

    /// Seals them for a connection.
    pub fn seal(&self, vault: &Vault, connection: &Connection) -> Result<Sealed, VaultError> {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(self).map_err(|_| VaultError::CannotOpen)?);
        vault.seal(&owner(connection), &plain)
    }

    /// What native webhooks may be verified by: `auth.meta.webhook_secret`, the one it replaces as long as that is kept in
    /// `auth.meta.webhook_secret_previous`, and those that vendors chose.
    pub fn webhook_secrets(&self) -> Vec<&str> {
        let previous = self.other.get("meta.webhook_secret_previous");
        let given = self.webhook_secret.iter().chain(previous);
        given.chain(self.registered_secrets.values()).map(String::as_str).collect()
    }

    /// The value of a field of `auth`.
    pub fn field<'a>(&'a self, profile: &'a ConnectionProfile, field: AuthField) -> Option<&'a str> {
        match field {
            AuthField::AccessToken => self.access_token.as_deref(),
            AuthField::Token => self.token.as_deref(),
            AuthField::Key => self.key.as_deref(),
            AuthField::UserId => profile.user_id.as_deref(),
            AuthField::ApiUrl => profile.api_url.as_deref(),
            AuthField::Meta("webhook_secret") => self.webhook_secret.as_deref(),
            AuthField::Meta(name) => {
                profile.meta.get(name).or_else(|| self.other.get(&format!("meta.{name}"))).map(String::as_str)
            }
        }
    }

    /// The first way to sign in whose fields are all there.
    pub fn method<'a>(&self, manifest: &'a Manifest, profile: &ConnectionProfile) -> Option<&'a AuthMethod> {
        manifest.auth.iter().find(|method| {
            let scheme_field = match method.scheme {
                AuthScheme::OAuth2 { .. } => Some(AuthField::AccessToken),
                AuthScheme::Bearer(field) | AuthScheme::Header { field, .. } | AuthScheme::Query { field, .. } => {
                    Some(field)
                }
                AuthScheme::Basic { password, .. } => Some(password),
                AuthScheme::None => None,
            };
            let mut needed = method.fields.iter().map(|field| field.field).chain(scheme_field);
            needed.all(|field| self.field(profile, field).is_some_and(|value| !value.is_empty()))
        })
    }
}
