//! OAuth 2 access tokens (RFC 6749, section 6): renewed before they end, or once after a refusal.
//!
//! One renewal at a time per connection. The new tokens, a rotated refresh token among them, are stored by
//! compare-and-set before they are used; credentials that a person put in meanwhile win.

use super::error::PollError;
use super::oauth;
use super::transport::Vendors;
use crate::credentials::Credentials;
use crate::store::{Connection, StoreError};
use anyhook_connectors::contract::AuthScheme;
use chrono::{DateTime, Utc};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How often a renewal begins anew because the connection's row changed meanwhile.
const TRIES_MAX: u32 = 5;

/// How often new tokens are tried to be kept: about a minute while the store is away.
const KEEP_TRIES_MAX: u32 = 7;
/// The first wait between these tries; it doubles.
const KEEP_WAIT: Duration = Duration::from_millis(500);

/// True once three quarters of a token's life are over.
fn is_aging(credentials: &Credentials, now: DateTime<Utc>) -> bool {
    let (Some(issued), Some(expires)) = (credentials.issued_at, credentials.expires_at) else { return false };
    now >= issued + (expires - issued) * 3 / 4
}

impl Vendors {
    /// The connection's credentials, renewed first if they are aging. A renewal that fails leaves the old ones: the
    /// vendor decides.
    pub(super) async fn fresh_credentials(
        &self,
        connection: &mut Cow<'_, Connection>,
    ) -> Result<Arc<Credentials>, PollError> {
        let credentials = self.credentials(connection)?;
        if !is_aging(&credentials, self.context.clock.now()) {
            return Ok(credentials);
        }
        match self.refresh_after_refusal(connection, &credentials).await {
            Ok(Some((renewed, credentials))) => {
                *connection = Cow::Owned(renewed);
                Ok(credentials)
            }
            Ok(None) => Ok(credentials),
            Err(error) => {
                tracing::warn!(connection = %connection.id, %error, "the access token could not be renewed ahead of time");
                Ok(credentials)
            }
        }
    }

    /// Renews what was refused, or takes what another call or a person has put in its place meanwhile. None where
    /// there is nothing to renew with.
    pub(super) async fn refresh_after_refusal(
        &self,
        connection: &Connection,
        refused: &Credentials,
    ) -> Result<Option<(Connection, Arc<Credentials>)>, PollError> {
        let turn = self.refreshing.turn(connection.id);
        let _turn = turn.lock().await;
        for _ in 0..TRIES_MAX {
            let Some(current) = self.context.store.connection(connection.id).await? else {
                return Err(PollError::Gone);
            };
            let held = self.credentials(&current)?;
            if *held != *refused {
                return Ok(Some((current, held)));
            }
            let Some(renewed) = self.ask_for_token(&current, &held).await? else { return Ok(None) };
            let row = Connection {
                auth: renewed.seal(&self.context.vault, &current)?,
                auth_revision: current.auth_revision + 1,
                ..current
            };
            match self.context.store.replace_connection(row).await {
                Ok(stored) => return Ok(Some((stored, Arc::new(renewed)))),
                Err(StoreError::Conflict(_) | StoreError::Unavailable(_)) => {
                    self.keep_rotated(connection, refused, &renewed).await?
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(PollError::Transient("the connection kept changing while its token was renewed".to_owned()))
    }

    /// The row changed, or the store was away, while the vendor gave new tokens. They must not be lost where the change
    /// was not to the credentials: the loop would spend the old refresh token a second time.
    async fn keep_rotated(
        &self,
        connection: &Connection,
        refused: &Credentials,
        renewed: &Credentials,
    ) -> Result<(), PollError> {
        for tries in 0..KEEP_TRIES_MAX {
            let Some(current) = self.context.store.connection(connection.id).await? else {
                return Err(PollError::Gone);
            };
            if *self.credentials(&current)? != *refused {
                return Ok(());
            }
            let row = Connection {
                auth: renewed.seal(&self.context.vault, &current)?,
                auth_revision: current.auth_revision + 1,
                ..current
            };
            match self.context.store.replace_connection(row).await {
                Err(StoreError::Conflict(_)) => {}
                Err(StoreError::Unavailable(_)) => self.context.clock.sleep(KEEP_WAIT * (1 << tries)).await,
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
        Ok(())
    }

    async fn ask_for_token(
        &self,
        connection: &Connection,
        held: &Credentials,
    ) -> Result<Option<Credentials>, PollError> {
        let manifest = self.connector(connection)?.manifest();
        let scheme = held.method(manifest, &connection.profile).map(|method| method.scheme);
        let (Some(AuthScheme::OAuth2 { token_url, .. }), Some(refresh_token)) = (scheme, &held.refresh_token) else {
            return Ok(None);
        };
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        fields.extend(held.client_id.as_deref().map(|id| ("client_id", id)));
        fields.extend(held.client_secret.as_deref().map(|secret| ("client_secret", secret)));
        let asked_at = self.context.clock.now();
        let url = held.token_url.as_deref().unwrap_or(token_url);
        let tokens = oauth::ask(&self.context, manifest.name, url, &fields).await?;
        let expires_at = tokens.life().map(|life| asked_at + life);
        Ok(Some(Credentials {
            access_token: Some(tokens.access_token),
            refresh_token: tokens.refresh_token.or_else(|| held.refresh_token.clone()),
            issued_at: Some(asked_at),
            expires_at,
            ..held.clone()
        }))
    }
}

/// One renewal at a time per connection.
#[derive(Debug, Default)]
pub(super) struct Turns(
    std::sync::Mutex<std::collections::HashMap<crate::ids::ConnectionId, Arc<tokio::sync::Mutex<()>>>>,
);

impl Turns {
    fn turn(&self, connection: crate::ids::ConnectionId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        turns.retain(|id, turn| *id == connection || Arc::strong_count(turn) > 1);
        turns.entry(connection).or_default().clone()
    }
}
