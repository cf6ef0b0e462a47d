//! Secrets at rest: sealed by XChaCha20-Poly1305 under the master key, bound to the row they belong to.

use crate::random::{NoEntropy, Random};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;

/// Bytes of the nonce that a mark shows: enough that no two of one owner's are alike.
const MARK_BYTES: usize = 6;

/// Why a secret could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// No randomness for a nonce.
    #[error("no random bytes to seal a secret with")]
    NoEntropy,
    /// The master key is another than the one it was sealed with, or the row was tampered with.
    #[error("a secret cannot be opened: ANYHOOK_MASTER_KEY is not the key it was sealed with")]
    CannotOpen,
    /// The master key is not 32 bytes in base64.
    #[error("ANYHOOK_MASTER_KEY must be 32 bytes in base64")]
    BadMasterKey,
}

impl From<NoEntropy> for VaultError {
    fn from(_: NoEntropy) -> Self {
        VaultError::NoEntropy
    }
}

/// A sealed secret: nonce and ciphertext. Safe to store, to log and to compare.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Tells one sealing from others: the start of its nonce, in hexadecimal. It says nothing about what is sealed.
    pub fn mark(&self) -> String {
        hex::encode(self.0.get(..MARK_BYTES).unwrap_or_default())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Sealed).map_err(serde::de::Error::custom)
    }
}

/// Seals and opens secrets.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    random: Random,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// A vault under this master key.
    pub fn new(master_key: &[u8; 32], random: Random) -> Self {
        Vault { cipher: XChaCha20Poly1305::new(&(*master_key).into()), random }
    }

    /// Reads a master key as settings give it: 32 bytes in base64.
    pub fn parse_key(text: &str) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| VaultError::BadMasterKey)?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| VaultError::BadMasterKey)?;
        Ok(Zeroizing::new(key))
    }

    /// Seals `plain`. `owner` names the row it belongs to, such as `connection/<id>`: it opens for that owner alone.
    pub fn seal(&self, owner: &str, plain: &[u8]) -> Result<Sealed, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce)?;
        let payload = Payload { msg: plain, aad: owner.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::CannotOpen)?;
        Ok(Sealed([&nonce[..], &sealed].concat()))
    }

    /// Opens what was sealed for `owner`.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, ciphertext) = sealed.0.split_at_checked(NONCE_BYTES).ok_or(VaultError::CannotOpen)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| VaultError::CannotOpen)?;
        let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
        self.cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| VaultError::CannotOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_owner_and_key_alone() {
        let vault = Vault::new(&[7; 32], Random::seeded(1));
        let sealed = vault.seal("connection/1", b"token").unwrap();
        assert_eq!(vault.open("connection/1", &sealed).unwrap().as_slice(), b"token");
        assert_eq!(vault.open("connection/2", &sealed), Err(VaultError::CannotOpen));
        let other = Vault::new(&[8; 32], Random::seeded(1));
        assert_eq!(other.open("connection/1", &sealed), Err(VaultError::CannotOpen));
        assert_ne!(vault.seal("connection/1", b"token").unwrap(), sealed, "the nonce is never used twice");
        assert!(!serde_json::to_string(&sealed).unwrap().contains("token"));
    }
}
