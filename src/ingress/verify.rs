//! Whether a delivery is the vendor's: one verifier for all vendors, driven by their manifests. Pure.

use anyhook_connectors::contract::{
    Content, DateLimits, Digest, Encoding, Headers, Hmac, KeyForm, SignatureForm, TimestampSource, Verification,
};
use anyhook_connectors::json::text_at;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use hmac::{KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use std::borrow::Cow;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

/// Signatures of one delivery that are looked at; vendors send two while a secret is being replaced.
const SIGNATURES_MAX: usize = 16;

/// A delivery as it came.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The URL that the vendor was given, with the query it sent.
    pub url: &'a str,
    /// The request's headers.
    pub headers: &'a Headers,
    /// The raw body.
    pub body: &'a [u8],
}

/// Why a delivery is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotVerified {
    /// There is nothing to verify it by.
    #[error("the header `{0}` is missing")]
    Missing(String),
    /// No signature is that of the secret.
    #[error("the signature is not that of this body under the connection's auth.meta.webhook_secret")]
    Wrong,
    /// The body has no time where the vendor puts it.
    #[error("the body has no time at `{0}`")]
    NoTime(String),
    /// The signed time is too far from now.
    #[error("the signed time is more than {0} s from now")]
    Stale(u64),
    /// How deliveries are verified is not declared, or not so that it can be read.
    #[error(
        "the connection does not declare how its webhooks are verified; set auth.meta.signature_header and the rest"
    )]
    Undeclared,
    /// The secret is not in the form that the vendor's secrets have.
    #[error("auth.meta.webhook_secret is not in the form of this vendor's secrets (base64, with or without whsec_)")]
    BadSecret,
}

/// Verifies a delivery by any of the secrets: there are several while one replaces another. Nothing of the body is parsed
/// before the signature holds; comparing takes the same time wherever it differs, and whichever secret it is.
pub fn verify(
    verification: &Verification<'_>,
    secrets: &[&str],
    delivery: &Delivery<'_>,
    now: DateTime<Utc>,
) -> Result<(), NotVerified> {
    match verification {
        Verification::Equal { header, prefix } => {
            let given = delivery.headers.get(header).and_then(|value| value.strip_prefix(prefix));
            let given = given.ok_or_else(|| missing(header))?.as_bytes();
            let is_right = secrets.iter().map(|secret| given.ct_eq(secret.as_bytes()));
            believe(is_right.fold(Choice::from(0), |found, is_right| found | is_right))
        }
        Verification::Hmac(scheme) => verify_hmac(scheme, secrets, delivery, now),
        Verification::Declared => Err(NotVerified::Undeclared),
    }
}

fn believe(is_right: Choice) -> Result<(), NotVerified> {
    if bool::from(is_right) { Ok(()) } else { Err(NotVerified::Wrong) }
}

fn verify_hmac(
    scheme: &Hmac<'_>,
    secrets: &[&str],
    delivery: &Delivery<'_>,
    now: DateTime<Utc>,
) -> Result<(), NotVerified> {
    let signatures = signatures(scheme, delivery.headers);
    if signatures.is_empty() {
        return Err(missing(scheme.header));
    }
    let timestamp = match scheme.timestamp {
        Some(limits) => timestamp(scheme, &limits, delivery.headers)?,
        None => None,
    };
    let contents = scheme.content.parts().ok_or(NotVerified::Undeclared)?;
    let parts = contents.iter().map(|content| part(content, delivery, timestamp)).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<_> = secrets.iter().filter_map(|secret| key(scheme.key, secret)).collect();
    if keys.is_empty() {
        return Err(NotVerified::BadSecret);
    }
    let given: Vec<_> = signatures.iter().filter_map(|text| decode(scheme.encoding, text)).collect();
    let mut is_right = Choice::from(0);
    for expected in keys.iter().filter_map(|key| sign(scheme.digest, key, &parts)) {
        is_right = given.iter().fold(is_right, |found, signature| found | signature.ct_eq(&expected));
    }
    believe(is_right)?;
    // Only a time that was signed is worth looking at.
    match (scheme.timestamp, timestamp) {
        (Some(limits @ DateLimits { source: TimestampSource::Body(path), .. }), _) => {
            let body = std::str::from_utf8(delivery.body).unwrap_or_default();
            let text = text_at(body, path).ok_or_else(|| NotVerified::NoTime(path.to_owned()))?;
            check_age(&limits, &text, now)
        }
        (Some(limits), Some(text)) => check_age(&limits, text, now),
        _ => Ok(()),
    }
}

/// The key of a secret; none where the secret is not in the form it has to have.
fn key(form: KeyForm, secret: &str) -> Option<Cow<'_, [u8]>> {
    match form {
        KeyForm::Raw => Some(Cow::Borrowed(secret.as_bytes())),
        KeyForm::Base64 => BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok().map(Cow::Owned),
    }
}

fn missing(header: &str) -> NotVerified {
    NotVerified::Missing(header.to_owned())
}

/// The signatures in the header, as they are written.
fn signatures<'a>(scheme: &Hmac<'a>, headers: &'a Headers) -> Vec<&'a str> {
    let values = headers.get_all(scheme.header).map(str::trim);
    let found: Box<dyn Iterator<Item = &'a str>> = match scheme.form {
        SignatureForm::Prefixed(prefix) => Box::new(values.filter_map(move |value| value.strip_prefix(prefix))),
        SignatureForm::Items { separator, name } => Box::new(
            values.flat_map(move |value| items(value, separator)).filter(move |item| item.0 == name).map(|item| item.1),
        ),
        SignatureForm::Standard => {
            Box::new(values.flat_map(str::split_whitespace).filter_map(|item| item.strip_prefix("v1,")))
        }
    };
    found.filter(|text| !text.is_empty()).take(SIGNATURES_MAX).collect()
}

fn items(value: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    value.split(separator).filter_map(|item| item.trim().split_once('='))
}

/// The signed time as it is written, where it stands in a header.
fn timestamp<'a>(
    scheme: &Hmac<'_>,
    limits: &DateLimits<'_>,
    headers: &'a Headers,
) -> Result<Option<&'a str>, NotVerified> {
    match (limits.source, scheme.form) {
        (TimestampSource::Body(_), _) => Ok(None),
        (TimestampSource::Header(name), _) => headers.get(name).map(Some).ok_or_else(|| missing(name)),
        (TimestampSource::Item(name), form) => {
            let separator = match form {
                SignatureForm::Items { separator, .. } => separator,
                SignatureForm::Prefixed(_) | SignatureForm::Standard => ',',
            };
            let value = headers.get(scheme.header).unwrap_or_default();
            items(value, separator)
                .find_map(|(key, text)| (key == name).then_some(Some(text)))
                .ok_or_else(|| missing(&format!("{}: {name}=", scheme.header)))
        }
    }
}

fn check_age(limits: &DateLimits<'_>, text: &str, now: DateTime<Utc>) -> Result<(), NotVerified> {
    let at = text.trim().parse::<i64>().ok().and_then(|number| {
        if limits.milliseconds { DateTime::from_timestamp_millis(number) } else { DateTime::from_timestamp(number, 0) }
    });
    let age = at.map(|at| (now - at).num_milliseconds().unsigned_abs());
    match age {
        Some(age_ms) if age_ms <= limits.tolerance_s.saturating_mul(1_000) => Ok(()),
        _ => Err(NotVerified::Stale(limits.tolerance_s)),
    }
}

fn part<'a>(
    content: &Content<'a>,
    delivery: &Delivery<'a>,
    timestamp: Option<&'a str>,
) -> Result<&'a [u8], NotVerified> {
    Ok(match *content {
        Content::Body => delivery.body,
        Content::Timestamp => timestamp.unwrap_or_default().as_bytes(),
        Content::Header(name) => delivery.headers.get(name).ok_or_else(|| missing(name))?.as_bytes(),
        Content::Url => delivery.url.as_bytes(),
        Content::Method => delivery.method.as_bytes(),
        Content::Text(text) => text.as_bytes(),
    })
}

/// The keyed hash of parts that follow each other.
pub(super) fn sign(digest: Digest, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    match digest {
        Digest::Sha1 => mac::<hmac::Hmac<Sha1>>(key, parts),
        Digest::Sha256 => mac::<hmac::Hmac<Sha256>>(key, parts),
        Digest::Sha512 => mac::<hmac::Hmac<Sha512>>(key, parts),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => hex::decode(text).ok(),
        Encoding::Base64 => BASE64.decode(text).ok(),
    }
}

#[cfg(test)]
mod tests;
