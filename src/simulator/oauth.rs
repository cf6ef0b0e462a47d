//! OAuth 2 (RFC 6749) with rotating refresh tokens: each works once and is answered with the next.

use super::settings::SimulatorSettings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use url::form_urlencoded;

/// Access tokens, refresh tokens and codes that live at once at most; the oldest go first.
const TOKENS_MAX: usize = 1_000;

/// The tokens this vendor gave.
#[derive(Debug)]
pub(super) struct OAuth {
    client_id: String,
    client_secret: String,
    lifetime_s: u32,
    access: VecDeque<(String, i64)>,
    refresh: VecDeque<String>,
    codes: VecDeque<String>,
}

/// Why no token was given: the `error` of RFC 6749, section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OAuthError {
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    UnsupportedGrantType,
}

impl OAuthError {
    pub(super) fn code(self) -> &'static str {
        match self {
            OAuthError::InvalidClient => "invalid_client",
            OAuthError::InvalidGrant => "invalid_grant",
            OAuthError::InvalidRequest => "invalid_request",
            OAuthError::UnsupportedGrantType => "unsupported_grant_type",
        }
    }

    pub(super) fn status(self) -> u16 {
        if self == OAuthError::InvalidClient { 401 } else { 400 }
    }
}

/// The answer of the token endpoint.
#[derive(Debug, Serialize)]
pub(super) struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    refresh_token: String,
}

impl OAuth {
    pub(super) fn new(settings: &SimulatorSettings) -> Self {
        OAuth {
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            lifetime_s: settings.access_token_lifetime_s,
            access: VecDeque::new(),
            refresh: VecDeque::from([settings.refresh_token.clone()]),
            codes: VecDeque::new(),
        }
    }

    /// Whether an access token works now.
    pub(super) fn accepts(&self, token: &str, now_ms: i64) -> bool {
        self.access.iter().rev().any(|(known, until_ms)| known == token && now_ms < *until_ms)
    }

    /// Ends all access tokens; refresh tokens go on.
    pub(super) fn revoke_access(&mut self) {
        self.access.clear();
    }

    /// A code for a person who consented.
    pub(super) fn give_code(&mut self, random: &mut fastrand::Rng) -> String {
        let code = token(random, "code");
        remember(&mut self.codes, code.clone());
        code
    }

    /// Answers a form sent to the token endpoint.
    pub(super) fn exchange(
        &mut self,
        form: &[u8],
        authorization: Option<&str>,
        now_ms: i64,
        random: &mut fastrand::Rng,
    ) -> Result<Tokens, OAuthError> {
        let form: BTreeMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str);
        let client = match authorization {
            Some(header) => basic(header).ok_or(OAuthError::InvalidClient)?,
            None => (
                field("client_id").unwrap_or_default().to_owned(),
                field("client_secret").unwrap_or_default().to_owned(),
            ),
        };
        if client != (self.client_id.clone(), self.client_secret.clone()) {
            return Err(OAuthError::InvalidClient);
        }
        match field("grant_type").ok_or(OAuthError::InvalidRequest)? {
            "refresh_token" => use_up(&mut self.refresh, field("refresh_token"))?,
            "authorization_code" => use_up(&mut self.codes, field("code"))?,
            _ => return Err(OAuthError::UnsupportedGrantType),
        }
        Ok(self.give(now_ms, random))
    }

    fn give(&mut self, now_ms: i64, random: &mut fastrand::Rng) -> Tokens {
        let (access_token, refresh_token) = (token(random, "access"), token(random, "refresh"));
        remember(&mut self.access, (access_token.clone(), now_ms + i64::from(self.lifetime_s) * 1_000));
        remember(&mut self.refresh, refresh_token.clone());
        Tokens { access_token, token_type: "bearer", expires_in: self.lifetime_s, refresh_token }
    }
}

fn token(random: &mut fastrand::Rng, kind: &str) -> String {
    format!("sandbox-{kind}-{:032x}", random.u128(..))
}

fn remember<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() >= TOKENS_MAX {
        list.pop_front();
    }
    list.push_back(item);
}

fn use_up(list: &mut VecDeque<String>, given: Option<&str>) -> Result<(), OAuthError> {
    let given = given.ok_or(OAuthError::InvalidRequest)?;
    let place = list.iter().position(|known| known == given).ok_or(OAuthError::InvalidGrant)?;
    list.remove(place);
    Ok(())
}

fn basic(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
