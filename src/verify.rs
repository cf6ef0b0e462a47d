//! Checks a payload as a receiver does: `sig`, `sig256` and the Standard Webhooks headers, and says what did not match
//! and why that may be. Pure; the command line and the demo's receiver use it. It shares nothing
//! with what signs, so that each is held against the other.
//!
//! The headers follow <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha1::Sha1;
use sha2::Sha256;
use std::borrow::Cow;
use subtle::ConstantTimeEq;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// How old a delivery may be before a receiver should refuse it, in seconds either way.
pub const TOLERANCE_S: i64 = 300;

/// Why a payload could not be checked at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAPayload {
    /// The body is no JSON object with `data` and `nonce`.
    #[error("this is no payload of Anyhook's: {0}; it needs data, nonce, sig and sig256 as they came in the body")]
    Body(String),
}

/// A payload's parts, borrowed from the body.
#[derive(Debug, Deserialize)]
pub struct Payload<'a> {
    /// The exact bytes of the array, as they stand in the body.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// What is signed after the data.
    #[serde(borrow)]
    pub nonce: Cow<'a, str>,
    /// HMAC-SHA1 of data and nonce.
    #[serde(borrow, default)]
    pub sig: Option<Cow<'a, str>>,
    /// HMAC-SHA256 of data and nonce.
    #[serde(borrow, default)]
    pub sig256: Option<Cow<'a, str>>,
    /// How the page was found: `INITIAL-PARTIAL`, `INITIAL-COMPLETE`, `VIRTUAL` or `NATIVE`.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Cow<'a, str>>,
}

impl<'a> Payload<'a> {
    /// Reads a body.
    pub fn parse(body: &'a [u8]) -> Result<Self, NotAPayload> {
        serde_json::from_slice(body).map_err(|error| NotAPayload::Body(error.to_string()))
    }

    /// The objects in `data`, each as it stands there.
    pub fn objects(&self) -> Result<Vec<&'a RawValue>, NotAPayload> {
        serde_json::from_str(self.data.get()).map_err(|error| NotAPayload::Body(format!("data is no array: {error}")))
    }
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It matches; how it was written.
    Matches(String),
    /// It does not match; why that may be.
    Differs(String),
    /// There was nothing to check.
    Absent(String),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// All checks of one delivery: `sig`, `sig256`, `webhook-signature`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In that order.
    pub checks: Vec<Check>,
    /// What a receiver should know besides.
    pub notes: Vec<String>,
}

impl Report {
    /// True if something matched and nothing differed.
    pub fn is_good(&self) -> bool {
        let differs = self.checks.iter().any(|check| matches!(check.outcome, Outcome::Differs(_)));
        let matches = self.checks.iter().any(|check| matches!(check.outcome, Outcome::Matches(_)));
        matches && !differs
    }
}

/// Checks a delivery. `headers` are names (in any case) and values; without the three of Standard Webhooks that check
/// is absent.
pub fn check(
    body: &[u8],
    headers: &[(String, String)],
    secret: &str,
    now: DateTime<Utc>,
) -> Result<Report, NotAPayload> {
    let payload = Payload::parse(body)?;
    payload.objects()?;
    let mut notes = Vec::new();
    let compact = compact(payload.data.get());
    let is_reformatted = compact != payload.data.get();
    let digest1 = |data: &str| sha1(secret.as_bytes(), &[data.as_bytes(), payload.nonce.as_bytes()]);
    let digest256 = |data: &str| sha256(secret.as_bytes(), &[data.as_bytes(), payload.nonce.as_bytes()]);
    if is_reformatted {
        notes.push(
            "data has spaces or line breaks between its parts, which Anyhook never sends: sig and sig256 were checked \
             over its compact form"
                .to_owned(),
        );
    }
    let checks = vec![
        Check { name: "sig", outcome: digest_outcome("sig", payload.sig.as_deref(), &digest1(&compact)) },
        Check { name: "sig256", outcome: digest_outcome("sig256", payload.sig256.as_deref(), &digest256(&compact)) },
        Check { name: "webhook-signature", outcome: standard(body, headers, secret, now, &mut notes) },
    ];
    Ok(Report { checks, notes })
}

fn digest_outcome(name: &str, sent: Option<&str>, digest: &[u8]) -> Outcome {
    let Some(sent) = sent else { return Outcome::Differs(format!("the payload has no {name}")) };
    let forms = [("base64", BASE64.encode(digest)), ("hex", hex::encode(digest))];
    match forms.iter().find(|(_, form)| bool::from(form.as_bytes().ct_eq(sent.as_bytes()))) {
        Some((form, _)) => Outcome::Matches((*form).to_owned()),
        None => Outcome::Differs("another secret, or data or nonce changed on the way".to_owned()),
    }
}

/// Checks the headers of Standard Webhooks.
fn standard(
    body: &[u8],
    headers: &[(String, String)],
    secret: &str,
    now: DateTime<Utc>,
    notes: &mut Vec<String>,
) -> Outcome {
    let header = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let [Some(id), Some(timestamp), Some(signatures)] = names.map(header) else {
        let missing: Vec<&str> = names.into_iter().filter(|name| header(name).is_none()).collect();
        return match missing.len() {
            3 => Outcome::Absent("no webhook-id, webhook-timestamp and webhook-signature given".to_owned()),
            _ => Outcome::Differs(format!("no {} given", missing.join(" and "))),
        };
    };
    let Ok(sent_s) = timestamp.parse::<i64>() else {
        return Outcome::Differs("webhook-timestamp is no number of seconds".to_owned());
    };
    let key = standard_key(secret);
    let matches = |body: &[u8]| {
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let expected = BASE64.encode(sha256(&key, &parts));
        let mut sent = signatures.split(' ').filter_map(|item| item.strip_prefix("v1,"));
        sent.any(|item| bool::from(item.as_bytes().ct_eq(expected.as_bytes())))
    };
    let is_cut = !matches(body) && matches(body.trim_ascii_end());
    if !is_cut && !matches(body) {
        return Outcome::Differs(
            "another secret, or the body is not byte for byte what was sent (read it raw, before parsing)".to_owned(),
        );
    }
    if is_cut {
        notes.push("the file ends in a line break that was not sent; the signature was checked without it".to_owned());
    }
    let age_s = now.timestamp().saturating_sub(sent_s);
    if age_s.abs() > TOLERANCE_S {
        let when = if age_s > 0 { "ago" } else { "ahead" };
        notes.push(format!(
            "sent {} s {when}: a live receiver should refuse what is more than {TOLERANCE_S} s away",
            age_s.abs()
        ));
    }
    Outcome::Matches("v1".to_owned())
}

/// The key of Standard Webhooks: what the base64 behind `whsec_` decodes to, else the secret's own bytes.
fn standard_key(secret: &str) -> Cow<'_, [u8]> {
    let decoded = secret.strip_prefix("whsec_").and_then(|encoded| BASE64.decode(encoded).ok());
    decoded.map_or(Cow::Borrowed(secret.as_bytes()), Cow::Owned)
}

fn sha1(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    digest::<Hmac<Sha1>>(key, parts)
}

fn sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    digest::<Hmac<Sha256>>(key, parts)
}

fn digest<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // An HMAC takes keys of any length, so this never fails; an empty digest matches nothing if it ever did.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// JSON without the spacing between its parts.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for letter in json.chars() {
        if in_text || !matches!(letter, ' ' | '\n' | '\r' | '\t') {
            out.push(letter);
        }
        match letter {
            '"' if !escaped => in_text = !in_text,
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    out
}
