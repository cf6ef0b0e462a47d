//! Checks a payload as a receiver should: for the command line, the demo and tests.

use super::sign::{SigningKey, VERSION};
use crate::store::SignatureEncoding;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Why a payload is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Untrusted {
    /// It is not JSON with `data`, `nonce`, `sig` and `sig256`.
    #[error("not a payload: {0}")]
    NotAPayload(String),
    /// A signature is not what the secret gives.
    #[error("{0} does not match: the secret is another one, or the bytes were changed on their way")]
    Mismatch(&'static str),
    /// A header is missing or cannot be read.
    #[error("the header {0} is missing or cannot be read")]
    Header(&'static str),
    /// The attempt is too old, or from the future.
    #[error("webhook-timestamp is {0} s away from this clock: a replay, or a clock that is wrong")]
    Timestamp(u64),
}

/// What of a payload its signatures need. `data` are the bytes as sent.
#[derive(Debug, Deserialize)]
pub struct SignedPayload<'a> {
    /// The array of objects.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// The nonce.
    #[serde(borrow)]
    pub nonce: Cow<'a, str>,
    /// HMAC-SHA1 of data and nonce.
    #[serde(borrow)]
    pub sig: Cow<'a, str>,
    /// HMAC-SHA256 of data and nonce.
    #[serde(borrow)]
    pub sig256: Cow<'a, str>,
    /// How its data were found.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
}

/// Checks `sig` and `sig256` of a body, in constant time. Base64 and hexadecimal digests are both taken.
pub fn payload<'a>(secret: &str, body: &'a [u8]) -> Result<SignedPayload<'a>, Untrusted> {
    let read: SignedPayload<'a> =
        serde_json::from_slice(body).map_err(|error| Untrusted::NotAPayload(error.to_string()))?;
    let signed = SigningKey::new(secret, SignatureEncoding::Base64).data(&[read.data.get().as_bytes()]);
    let (sha1, sha256) = signed.digests(&read.nonce);
    if !is_digest(&read.sig, &sha1) {
        return Err(Untrusted::Mismatch("sig"));
    }
    if !is_digest(&read.sig256, &sha256) {
        return Err(Untrusted::Mismatch("sig256"));
    }
    Ok(read)
}

/// Checks the headers of Standard Webhooks against a body, in constant time. `now` is in seconds since the epoch; an
/// attempt may be `tolerance_secs` away from it.
pub fn headers(secret: &str, headers: &HeaderMap, body: &[u8], now: i64, tolerance_secs: u64) -> Result<(), Untrusted> {
    let text =
        |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Untrusted::Header(name));
    let (id, timestamp, signature) = (text("webhook-id")?, text("webhook-timestamp")?, text("webhook-signature")?);
    let sent_at: i64 = timestamp.parse().map_err(|_| Untrusted::Header("webhook-timestamp"))?;
    if now.abs_diff(sent_at) > tolerance_secs {
        return Err(Untrusted::Timestamp(now.abs_diff(sent_at)));
    }
    let digest = SigningKey::new(secret, SignatureEncoding::Base64).standard_digest(id, timestamp, &[body]);
    let mut given = signature.split(' ').filter_map(|one| one.strip_prefix(VERSION));
    if given.any(|one| is_digest(one, &digest)) { Ok(()) } else { Err(Untrusted::Mismatch("webhook-signature")) }
}

fn is_digest(text: &str, digest: &[u8]) -> bool {
    let given = if text.len() == digest.len() * 2 { hex::decode(text).ok() } else { BASE64.decode(text).ok() };
    given.is_some_and(|given| given.as_slice().ct_eq(digest).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"data":[{"id":"1","name":"Ann"}],"webhook":{},"nonce":"abc123","sig":"fVeTXlT/vVLDTjqUolqHuoobjZY=","sig256":"e174cc4c76d8b49cb38d37cca9de824f1341842f14573741c551eb1b0d696845","type":"VIRTUAL"}"#;

    #[test]
    fn a_payload_is_trusted_with_its_secret_and_its_bytes_alone() {
        assert_eq!(payload("wsecret", BODY.as_bytes()).unwrap().kind, "VIRTUAL");
        assert_eq!(payload("other", BODY.as_bytes()).unwrap_err(), Untrusted::Mismatch("sig"));
        let changed = BODY.replace("Ann", "Eve");
        assert_eq!(payload("wsecret", changed.as_bytes()).unwrap_err(), Untrusted::Mismatch("sig"));
        let changed = BODY.replace("e174", "e175");
        assert_eq!(payload("wsecret", changed.as_bytes()).unwrap_err(), Untrusted::Mismatch("sig256"));
        assert!(matches!(payload("wsecret", b"[]").unwrap_err(), Untrusted::NotAPayload(_)));
    }

    #[test]
    fn headers_are_checked_with_their_time() {
        let key = SigningKey::new("wsecret", SignatureEncoding::Hex);
        let mut given = HeaderMap::new();
        assert_eq!(headers("wsecret", &given, b"{}", 1000, 300), Err(Untrusted::Header("webhook-id")));
        given.insert("webhook-id", "msg_1".parse().unwrap());
        given.insert("webhook-timestamp", "1000".parse().unwrap());
        let value = format!("v1,AAAA v2,x {}", key.standard("msg_1", "1000", &[b"{}"]));
        given.insert("webhook-signature", value.parse().unwrap());
        assert_eq!(headers("wsecret", &given, b"{}", 1300, 300), Ok(()));
        assert_eq!(headers("wsecret", &given, b"{}", 1301, 300), Err(Untrusted::Timestamp(301)));
        assert_eq!(headers("wsecret", &given, b"{ }", 1000, 300), Err(Untrusted::Mismatch("webhook-signature")));
        assert_eq!(headers("other", &given, b"{}", 1000, 300), Err(Untrusted::Mismatch("webhook-signature")));
    }
}
