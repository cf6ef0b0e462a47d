//! Signatures of a payload: `sig` and `sig256` over the exact bytes of `data` and the nonce, and over the whole body the
//! header of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md) and, where it
//! is asked for, GitHub's (docs.github.com, "Validating webhook deliveries").
//!
//! A key's state is made once per secret, `data` is hashed once per secret, and both are cloned and finished per webhook.
//!
//! While one secret replaces another both are live. The header of Standard Webhooks has room for all of them, newest
//! first. The other signatures have room for one: that is the oldest live secret, so that a receiver which knows it alone
//! goes on until that secret's time is over, and one that takes either of two never refuses anything.

use crate::store::SignatureEncoding;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of a block of SHA-1 and of SHA-256 alike (FIPS 180-4): what HMAC pads a key to (RFC 2104).
const BLOCK_BYTES: usize = 64;

/// What `webhook-signature` begins with.
const VERSION: &str = "v1,";

/// How a secret is marked whose rest is base64 of the key.
const SECRET_PREFIX: &str = "whsec_";

/// What GitHub's header begins with.
const HUB_PREFIX: &str = "sha256=";

/// The live secrets, ready for use; one, but while it replaces others.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    oldest: SigningKey,
    /// What replaced it, newest first.
    newer: Vec<SigningKey>,
}

impl From<SigningKey> for SigningKeys {
    fn from(key: SigningKey) -> Self {
        SigningKeys { oldest: key, newer: Vec::new() }
    }
}

impl SigningKeys {
    /// The keys of `newer`, newest first, and of the one that they replace.
    pub fn new(newer: Vec<SigningKey>, oldest: SigningKey) -> Self {
        SigningKeys { oldest, newer }
    }

    /// Hashes `data`, given in parts, for `sig` and `sig256`.
    pub fn data(&self, parts: &[&[u8]]) -> SignedData {
        self.oldest.data(parts)
    }

    /// The value of `webhook-signature` for a body given in parts: a signature a key, newest first. `timestamp` is in
    /// seconds since the epoch.
    pub fn standard(&self, id: &str, timestamp: &str, body: &[&[u8]]) -> String {
        let mut value = String::with_capacity((self.newer.len() + 1) * (VERSION.len() + 45));
        for key in self.newer.iter().chain([&self.oldest]) {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(VERSION);
            BASE64.encode_string(key.standard_digest(id, timestamp, body), &mut value);
        }
        value
    }

    /// The value of `X-Hub-Signature-256` for a body given in parts.
    pub fn hub(&self, body: &[&[u8]]) -> String {
        let mut state = self.oldest.sha256.clone();
        body.iter().for_each(|part| state.update(part));
        format!("{HUB_PREFIX}{}", hex::encode(state.finalize().into_bytes()))
    }
}

/// A signing secret, ready for use.
#[derive(Clone)]
pub struct SigningKey {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
    standard: Hmac<Sha256>,
    encoding: SignatureEncoding,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// The key of a secret, and how the digests of `sig` and `sig256` are written.
    ///
    /// These and GitHub's header take the secret as the text it is. The Standard Webhooks header does so too, unless it is
    /// `whsec_` and base64: then the key is what that decodes to, as the specification has it.
    pub fn new(secret: &str, encoding: SignatureEncoding) -> Self {
        let decoded = secret.strip_prefix(SECRET_PREFIX).and_then(|rest| BASE64.decode(rest).ok());
        SigningKey {
            sha1: hmac_sha1(secret.as_bytes()),
            sha256: hmac_sha256(secret.as_bytes()),
            standard: hmac_sha256(decoded.as_deref().unwrap_or(secret.as_bytes())),
            encoding,
        }
    }

    fn data(&self, parts: &[&[u8]]) -> SignedData {
        let mut signed = SignedData { sha1: self.sha1.clone(), sha256: self.sha256.clone(), encoding: self.encoding };
        for part in parts {
            signed.sha1.update(part);
            signed.sha256.update(part);
        }
        signed
    }

    fn standard_digest(&self, id: &str, timestamp: &str, body: &[&[u8]]) -> [u8; 32] {
        let mut state = self.standard.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b"."].iter().chain(body) {
            state.update(part);
        }
        state.finalize().into_bytes().into()
    }
}

/// `data` hashed under a secret; a nonce completes it.
#[derive(Clone)]
pub struct SignedData {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
    encoding: SignatureEncoding,
}

impl fmt::Debug for SignedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedData(…)")
    }
}

impl SignedData {
    /// `sig` and `sig256`.
    pub fn with_nonce(&self, nonce: &str) -> (String, String) {
        let (sha1, sha256) = self.digests(nonce);
        match self.encoding {
            SignatureEncoding::Base64 => (BASE64.encode(sha1), BASE64.encode(sha256)),
            SignatureEncoding::Hex => (hex::encode(sha1), hex::encode(sha256)),
        }
    }

    fn digests(&self, nonce: &str) -> ([u8; 20], [u8; 32]) {
        let sha1 = self.sha1.clone().chain_update(nonce).finalize().into_bytes();
        let sha256 = self.sha256.clone().chain_update(nonce).finalize().into_bytes();
        (sha1.into(), sha256.into())
    }
}

/// A key padded to a block, or hashed first where it is longer: so that no length of key is refused.
fn block(key: &[u8], hash: impl FnOnce(&[u8], &mut [u8])) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => hash(key, &mut block),
    }
    block
}

fn hmac_sha1(key: &[u8]) -> Hmac<Sha1> {
    Hmac::new(&block(key, |key, out| out[..20].copy_from_slice(&Sha1::digest(key))).into())
}

pub(super) fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new(&block(key, |key, out| out[..32].copy_from_slice(&Sha256::digest(key))).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DATA: &[u8] = br#"[{"id":"1","name":"Ann"}]"#;

    #[test]
    fn the_published_vector_holds() {
        let base64 = SigningKey::new("wsecret", SignatureEncoding::Base64).data(&[DATA]).with_nonce("abc123");
        assert_eq!(base64.0, "fVeTXlT/vVLDTjqUolqHuoobjZY=");
        assert_eq!(base64.1, "4XTMTHbYtJyzjTfMqd6CTxNBhC8UVzdBxVHrGw1paEU=");
        let hex =
            SigningKey::new("wsecret", SignatureEncoding::Hex).data(&[&DATA[..5], &DATA[5..]]).with_nonce("abc123");
        assert_eq!(hex.0, "7d57935e54ffbd52c34e3a94a25a87ba8a1b8d96");
        assert_eq!(hex.1, "e174cc4c76d8b49cb38d37cca9de824f1341842f14573741c551eb1b0d696845");
    }

    #[test]
    fn the_specification_of_standard_webhooks_has_this_example() {
        let key = SigningKey::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", SignatureEncoding::Base64);
        let key = SigningKeys::from(key);
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let value = key.standard("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", "1649367553", &[body]);
        assert_eq!(value, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn the_page_of_github_has_this_example() {
        let key = SigningKey::new("It's a Secret to Everybody", SignatureEncoding::Base64);
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(SigningKeys::from(key).hub(&[b"Hello, ", b"World!"]), expected);
    }

    #[test]
    fn all_live_keys_sign_by_the_standard_and_the_oldest_the_rest() {
        let key = |secret| SigningKey::new(secret, SignatureEncoding::Hex);
        let alone = |secret| SigningKeys::from(key(secret));
        let three = SigningKeys::new(vec![key("c"), key("b")], key("a"));
        let standard = |keys: &SigningKeys| keys.standard("msg_1", "17", &[DATA]);
        let expected = ["c", "b", "a"].map(|secret| standard(&alone(secret))).join(" ");
        assert_eq!(standard(&three), expected);
        assert_eq!(three.data(&[DATA]).with_nonce("n"), alone("a").data(&[DATA]).with_nonce("n"));
        assert_eq!(three.hub(&[DATA]), alone("a").hub(&[DATA]));
    }

    proptest! {
        #[test]
        fn an_independent_implementation_signs_the_same(secret in "[ -~]{1,150}", body in "[a-z]{0,300}", cut in 0..300usize) {
            let key = SigningKeys::from(SigningKey::new(&secret, SignatureEncoding::Base64));
            let (head, tail) = body.as_bytes().split_at(cut.min(body.len()));
            let other = standardwebhooks::Webhook::from_bytes(secret.into_bytes()).unwrap();
            prop_assert_eq!(key.standard("msg_1", "17", &[head, tail]), other.sign("msg_1", 17, body.as_bytes()).unwrap());
        }
    }
}
