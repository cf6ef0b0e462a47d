//! Which budget a connection's calls count against: one for all connections that the vendor sees as the same client.

use super::auth::Auth;
use crate::ids::ConnectionId;
use anyhook_connectors::contract::{AuthField, AuthMethod, AuthScheme, Manifest};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How many bytes of the hash name the bucket.
const HASH_BYTES: usize = 16;

/// The bucket: the integration and a keyed hash of where it lives and of what stays the same of the credential when it
/// is refreshed. Where nothing stays the same, the connection itself.
pub(super) fn bucket(
    store_key: &[u8; 32],
    manifest: &Manifest,
    method: Option<&AuthMethod>,
    auth: &Auth,
    id: ConnectionId,
) -> String {
    // A key shorter than SHA-256's block is filled up with zeros (RFC 2104).
    let mut block = [0; 64];
    block[..store_key.len()].copy_from_slice(store_key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    let host = auth.profile.api_url.as_deref().or(manifest.base_url).unwrap_or_default();
    for part in [host.trim_end_matches('/'), &identity(method, auth, id)] {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part.as_bytes());
    }
    let hash = mac.finalize().into_bytes();
    format!("{}:{}", manifest.integration, hex::encode(&hash[..HASH_BYTES]))
}

fn identity(method: Option<&AuthMethod>, auth: &Auth, id: ConnectionId) -> String {
    let field = |field| auth.credentials.field(&auth.profile, field).filter(|text| !text.is_empty());
    let stable = match method.map(|method| method.scheme) {
        Some(
            AuthScheme::OAuth2 { .. }
            | AuthScheme::Bearer(AuthField::AccessToken)
            | AuthScheme::Header { field: AuthField::AccessToken, .. }
            | AuthScheme::Query { field: AuthField::AccessToken, .. },
        ) => match (&auth.credentials.client_id, &auth.profile.user_id) {
            (Some(client), Some(user)) => Some(format!("client {client} user {user}")),
            _ => None,
        },
        Some(
            AuthScheme::Bearer(key) | AuthScheme::Header { field: key, .. } | AuthScheme::Query { field: key, .. },
        ) => field(key).map(|key| format!("key {key}")),
        Some(AuthScheme::Basic { user, password }) => {
            field(user).or_else(|| field(password)).map(|name| format!("user {name}"))
        }
        Some(AuthScheme::None) | None => Some("anyone".to_owned()),
    };
    stable.unwrap_or_else(|| format!("connection {id}"))
}
