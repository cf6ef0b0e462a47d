//! OAuth 2 access tokens (RFC 6749, section 6): renewed before they end, or once after a refusal.
//!
//! One renewal at a time per connection: in this process by a lock, over processes by a claim on the row, which ends by
//! itself. The new tokens, a rotated refresh token among them, are stored by compare-and-set before they are used;
//! credentials that a person put in meanwhile win.

use super::error::PollError;
use super::oauth;
use super::transport::Vendors;
use crate::context::Context;
use crate::credentials::Credentials;
use crate::ids::ConnectionId;
use crate::store::{Connection, StoreError};
use anyhook_connectors::contract::{AuthScheme, Manifest};
use chrono::{DateTime, TimeDelta, Utc};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often a renewal begins anew because the connection's row changed meanwhile.
const TRIES_MAX: u32 = 5;

/// How often new tokens are tried to be kept: about a minute while the store is away.
const KEEP_TRIES_MAX: u32 = 7;
/// The first wait between these tries; it doubles.
const KEEP_WAIT: Duration = Duration::from_millis(500);
/// How often another process's claim is looked at.
const CLAIM_LOOK: Duration = Duration::from_millis(500);
/// How long a claim outlasts the request that it is for, so that the answer can be kept.
const CLAIM_SLACK: Duration = Duration::from_secs(5);
/// When to come again where a claim lasts.
const CLAIM_AGAIN: Duration = Duration::from_secs(10);
/// When a token that could not be renewed ahead of time is tried again.
const AHEAD_AGAIN: Duration = Duration::from_secs(60);

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
        if !is_aging(&credentials, self.context.clock.now()) || !self.refreshing.may_try_ahead(connection.id) {
            return Ok(credentials);
        }
        match self.refresh_after_refusal(connection, &credentials).await {
            Ok(Some((renewed, credentials))) => {
                *connection = Cow::Owned(renewed);
                Ok(credentials)
            }
            Ok(None) => Ok(credentials),
            Err(error) => {
                self.refreshing.note_failed_ahead(connection.id);
                tracing::warn!(connection = %connection.id, %error, "the access token could not be renewed ahead of time");
                Ok(credentials)
            }
        }
    }

    /// Renews what was refused, or takes what another call or a person has put in its place meanwhile. None where
    /// there is nothing to renew with.
    ///
    /// It goes on though whoever asked stops waiting: the vendor may have ended the old refresh token already.
    pub(super) async fn refresh_after_refusal(
        &self,
        connection: &Connection,
        refused: &Arc<Credentials>,
    ) -> Result<Option<(Connection, Arc<Credentials>)>, PollError> {
        let renewal = Renewal {
            context: self.context.clone(),
            manifest: self.connector(connection)?.manifest(),
            id: connection.id,
            refused: refused.clone(),
        };
        let turn = self.refreshing.turn(connection.id);
        let renewed = self.renewals.spawn(async move {
            let _turn = turn.lock_owned().await;
            renewal.run().await
        });
        renewed.await.unwrap_or_else(|error| Err(PollError::Transient(format!("renewing a token failed: {error}"))))
    }

    /// Waits until tokens that are being renewed are kept.
    pub async fn finish(&self) {
        self.renewals.close();
        self.renewals.wait().await;
    }
}

/// One renewal, on its own.
struct Renewal {
    context: Context,
    manifest: &'static Manifest,
    id: ConnectionId,
    refused: Arc<Credentials>,
}

/// What a renewal came to: the row and its credentials, if there was anything to renew with.
type Renewed = Option<(Connection, Arc<Credentials>)>;

impl Renewal {
    async fn run(&self) -> Result<Renewed, PollError> {
        for _ in 0..TRIES_MAX {
            let (current, held) = self.read().await?;
            if held != *self.refused {
                return Ok(Some((current, Arc::new(held))));
            }
            let Some(endpoint) = self.endpoint(&current) else { return Ok(None) };
            let Some(claimed) = self.claim(current).await? else { continue };
            let renewed = match self.ask_for_token(&endpoint).await {
                Ok(renewed) => renewed,
                Err(error) => return self.give_up(error).await,
            };
            match self.keep(&claimed, &renewed).await {
                Ok(stored) => return Ok(Some((stored, Arc::new(renewed)))),
                Err(StoreError::Conflict(_) | StoreError::Unavailable(_)) => self.keep_rotated(&renewed).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let message = "another process renews the connection's token, or keeps changing the connection".to_owned();
        Err(PollError::Wait { wait: CLAIM_AGAIN, message })
    }

    async fn read(&self) -> Result<(Connection, Credentials), PollError> {
        let current = self.context.store.connection(self.id).await?.ok_or(PollError::Gone)?;
        let held = Credentials::open(&self.context.vault, &current)?;
        Ok((current, held))
    }

    /// Tells other processes that the refresh token is being spent. None where another told so first, or the row changed:
    /// look again.
    async fn claim(&self, current: Connection) -> Result<Option<Connection>, PollError> {
        let (context, now) = (&self.context, self.context.clock.now());
        let longest = Duration::from_millis(context.limits.poll.request_deadline_ms) + CLAIM_SLACK;
        let until = now + TimeDelta::from_std(longest).unwrap_or(TimeDelta::minutes(2));
        // No claim lasts longer than that: a clock that has gone back makes it seem so.
        if current.refreshing_until.is_some_and(|claimed| claimed > now && claimed <= until) {
            context.clock.sleep(CLAIM_LOOK).await;
            return Ok(None);
        }
        let row = Connection { refreshing_until: Some(until), ..current };
        match context.store.replace_connection(row).await {
            Ok(claimed) => Ok(Some(claimed)),
            Err(StoreError::Conflict(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The vendor gave no token: final only if the credentials are still those that were tried.
    async fn give_up(&self, error: PollError) -> Result<Renewed, PollError> {
        let (current, held) = self.read().await?;
        if held != *self.refused {
            return Ok(Some((current, Arc::new(held))));
        }
        let row = Connection { refreshing_until: None, ..current };
        if let Err(error) = self.context.store.replace_connection(row).await {
            tracing::debug!(connection = %self.id, %error, "the claim on the connection's token ends by itself");
        }
        Err(error)
    }

    /// Stores the tokens before anybody uses them.
    async fn keep(&self, row: &Connection, renewed: &Credentials) -> Result<Connection, StoreError> {
        let auth =
            renewed.seal(&self.context.vault, row).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let auth_revision = row.auth_revision + 1;
        let row = Connection { auth, auth_revision, refreshing_until: None, ..row.clone() };
        self.context.store.replace_connection(row).await
    }

    /// The row changed, or the store was away, while the vendor gave new tokens. They must not be lost where the change
    /// was not to the credentials: the loop would spend the old refresh token a second time.
    async fn keep_rotated(&self, renewed: &Credentials) -> Result<(), PollError> {
        for tries in 0..KEEP_TRIES_MAX {
            let kept = match self.read().await {
                Ok((_, held)) if held != *self.refused => return Ok(()),
                Ok((current, _)) => self.keep(&current, renewed).await,
                Err(PollError::Store(message)) => Err(StoreError::Unavailable(message)),
                Err(error) => return Err(error),
            };
            match kept {
                Err(StoreError::Conflict(_)) => {}
                Err(StoreError::Unavailable(_)) => self.context.clock.sleep(KEEP_WAIT * (1 << tries)).await,
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Where tokens are renewed and with which one; none where there is nothing to renew with.
    fn endpoint(&self, connection: &Connection) -> Option<Endpoint> {
        let scheme = self.refused.method(self.manifest, &connection.profile).map(|method| method.scheme);
        let Some(AuthScheme::OAuth2 { token_url, .. }) = scheme else { return None };
        let refresh_token = self.refused.refresh_token.clone()?;
        let url = self.refused.token_url.clone().unwrap_or_else(|| token_url.to_owned());
        Some(Endpoint { url, refresh_token })
    }

    async fn ask_for_token(&self, endpoint: &Endpoint) -> Result<Credentials, PollError> {
        let held = &self.refused;
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", endpoint.refresh_token.as_str())];
        fields.extend(held.client_id.as_deref().map(|id| ("client_id", id)));
        fields.extend(held.client_secret.as_deref().map(|secret| ("client_secret", secret)));
        let asked_at = self.context.clock.now();
        let tokens = oauth::ask(&self.context, self.manifest.name, &endpoint.url, &fields).await?;
        let expires_at = tokens.life().map(|life| asked_at + life);
        Ok(Credentials {
            access_token: Some(tokens.access_token),
            refresh_token: tokens.refresh_token.or_else(|| held.refresh_token.clone()),
            issued_at: Some(asked_at),
            expires_at,
            ..Credentials::clone(held)
        })
    }
}

/// Where tokens are renewed, and with which one.
struct Endpoint {
    url: String,
    refresh_token: String,
}

/// One renewal at a time per connection.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turns: Mutex<HashMap<ConnectionId, Arc<tokio::sync::Mutex<()>>>>,
    /// When renewing ahead of time failed.
    failed_ahead: Mutex<HashMap<ConnectionId, Instant>>,
}

impl Turns {
    fn turn(&self, connection: ConnectionId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|id, turn| *id == connection || Arc::strong_count(turn) > 1);
        turns.entry(connection).or_default().clone()
    }

    fn may_try_ahead(&self, connection: ConnectionId) -> bool {
        let failed = self.failed_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(&connection).is_none_or(|at| at.elapsed() >= AHEAD_AGAIN)
    }

    fn note_failed_ahead(&self, connection: ConnectionId) {
        let mut failed = self.failed_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|_, at| at.elapsed() < AHEAD_AGAIN);
        failed.insert(connection, Instant::now());
    }
}
