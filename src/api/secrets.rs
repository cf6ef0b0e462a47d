//! Signing secrets as workspaces and webhooks alike take them: given or made, replaced with an overlap, ended.

use super::error::ApiError;
use super::state::Api;
use super::wire::{Fields, shorten};
use crate::bootstrap::new_secret;
use crate::secrets::Sealed;
use crate::settings::Secret;
use crate::store::{FormerSecret, SigningSecrets};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::StatusCode;

/// Characters of a secret at least: fewer can be guessed.
const SECRET_MIN: usize = 16;
/// Characters of a secret at most.
const SECRET_MAX: usize = 256;

/// A secret that is to be the newest, and for how long the one before signs on.
pub(crate) struct Rotation {
    pub(crate) secret: Secret,
    pub(crate) overlap: TimeDelta,
}

impl Rotation {
    /// From `secret`, made where none is given, and `overlap` in seconds.
    pub(crate) fn read(api: &Api, fields: &Fields<'_>) -> Result<Self, ApiError> {
        let secret = match given(fields)? {
            Some(text) => Secret::new(text.to_owned()),
            None => new_secret(&api.context.random)?,
        };
        let limits = &api.context.limits.api;
        let overlap_s = fields.count("overlap", 0, limits.secret_overlap_max_s)?;
        Ok(Rotation { secret, overlap: TimeDelta::seconds(overlap_s.unwrap_or(limits.secret_overlap_s).into()) })
    }

    /// This secret, with the overlap where nothing is said about it.
    pub(crate) fn usual(api: &Api, secret: Secret) -> Self {
        Rotation { secret, overlap: TimeDelta::seconds(api.context.limits.api.secret_overlap_s.into()) }
    }

    /// The secrets once it is done at `now`. Nothing changes where it is the newest already, so that a request that is
    /// sent again does no harm; one that was replaced and comes back is the newest again. 422 where too many would sign.
    pub(crate) fn of(
        &self,
        api: &Api,
        owner: &str,
        stored: &SigningSecrets,
        now: DateTime<Utc>,
    ) -> Result<SigningSecrets, ApiError> {
        if is_same(api, owner, &stored.secret, &self.secret)? {
            return Ok(stored.clone());
        }
        let mut others = stored.clone();
        others.former_secrets.clear();
        for former in stored.former_at(now) {
            if !is_same(api, owner, &former.secret, &self.secret)? {
                others.former_secrets.push(former.clone());
            }
        }
        let sealed = api.context.vault.seal(owner, self.secret.reveal().as_bytes())?;
        let rotated = others.replaced(sealed, now, now + self.overlap);
        let live_max = api.context.limits.api.secrets_max;
        match rotated.former_secrets.iter().map(|former| former.until).min() {
            Some(until) if rotated.former_secrets.len() >= live_max => Err(ApiError::unprocessable(format!(
                "{live_max} secrets sign already; end one by DELETE …/secret/{{id}}, or wait until {}",
                until.to_rfc3339_opts(SecondsFormat::Secs, true)
            ))),
            _ => Ok(rotated),
        }
    }
}

/// `secret`, where a text is given.
pub(crate) fn given<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, ApiError> {
    let Some(text) = fields.text("secret")? else { return Ok(None) };
    if !(SECRET_MIN..=SECRET_MAX).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = format!("expected {SECRET_MIN} to {SECRET_MAX} visible ASCII characters");
        return Err(fields.error("secret", expected));
    }
    let encoded = text.strip_prefix("whsec_");
    if encoded.is_some_and(|encoded| BASE64.decode(encoded).is_err()) {
        return Err(fields.error("secret", "begins with `whsec_`, so base64 has to follow, with its padding"));
    }
    Ok(Some(text))
}

/// True if `sealed` is this secret.
pub(crate) fn is_same(api: &Api, owner: &str, sealed: &Sealed, secret: &Secret) -> Result<bool, ApiError> {
    Ok(api.context.vault.open(owner, sealed)?.as_slice() == secret.reveal().as_bytes())
}

/// The secrets as another owner has them, with those that were replaced ending by `until`.
pub(crate) fn handed_on(
    api: &Api,
    (from, to): (&str, &str),
    stored: &SigningSecrets,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<SigningSecrets, ApiError> {
    let vault = &api.context.vault;
    let sealed = |secret: &Sealed| vault.seal(to, &vault.open(from, secret)?);
    let mut handed = SigningSecrets::only(sealed(&stored.secret)?, stored.secret_since);
    for former in stored.former_at(now) {
        let secret = sealed(&former.secret)?;
        handed.former_secrets.push(FormerSecret { secret, since: former.since, until: former.until.min(until) });
    }
    Ok(handed)
}

/// The secrets without the one of this id, which was replaced: 404 where there is none, 409 for the newest.
pub(crate) fn ended(stored: &SigningSecrets, id: &str, now: DateTime<Utc>) -> Result<SigningSecrets, ApiError> {
    if stored.secret.mark() == id {
        return Err(ApiError::conflict("this is the newest secret; set another one by POST first, then end this one"));
    }
    let mut left = stored.clone();
    left.former_secrets.retain(|former| former.secret.mark() != id);
    if left.former_at(now).count() == stored.former_at(now).count() {
        let message = format!("no secret `{}` signs here; GET shows those that do", shorten(id));
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    Ok(left)
}
