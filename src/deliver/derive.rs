//! webhook-id and nonce: a keyed hash of what a delivery is, so that the same bytes for the same place have the same id
//! over retries and restarts without a write before sending, and other bytes never share one.

use super::payload::PayloadType;
use super::sign::hmac_sha256;
use crate::ids::WebhookId;
use crate::store::{Position, Stream};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// The store's key of keyed hashes, ready for use.
#[derive(Clone)]
pub struct DeriveKey(Hmac<Sha256>);

impl fmt::Debug for DeriveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeriveKey(…)")
    }
}

/// `data` hashed under the store's key; made once however many webhooks get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataDigest([u8; 32]);

/// What a delivery is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryId {
    /// The header `webhook-id`.
    pub webhook_id: String,
    /// The payload's nonce: 32 hexadecimal characters.
    pub nonce: String,
}

impl DeriveKey {
    /// From the key the store keeps.
    pub fn new(store_key: &[u8; 32]) -> Self {
        DeriveKey(hmac_sha256(store_key))
    }

    /// Hashes `data`, given in parts.
    pub fn digest(&self, parts: &[&[u8]]) -> DataDigest {
        let mut state = self.0.clone();
        state.update(b"data");
        parts.iter().for_each(|part| state.update(part));
        DataDigest(state.finalize().into_bytes().into())
    }

    /// The id of these data at this place of a webhook's stream.
    pub fn id(
        &self,
        webhook: WebhookId,
        stream: Stream,
        position: Position,
        kind: PayloadType,
        data: &DataDigest,
    ) -> DeliveryId {
        let mut state = self.0.clone();
        state.update(b"id");
        state.update(webhook.as_bytes());
        match stream {
            Stream::Live => state.update(&[0; 13]),
            Stream::Listing(job) => {
                state.update(&[1]);
                state.update(job.as_bytes());
            }
        }
        state.update(&position.sequence.to_be_bytes());
        state.update(&position.offset.to_be_bytes());
        state.update(&[kind.as_str().len() as u8]);
        state.update(kind.as_str().as_bytes());
        state.update(&data.0);
        let digest = state.finalize().into_bytes();
        DeliveryId { webhook_id: format!("msg_{}", hex::encode(&digest[..16])), nonce: hex::encode(&digest[16..]) }
    }
}

/// Offsets that a page's share of a sequence number has room for.
const SEQUENCE_STEP: u64 = 1_000_000;

/// The header `anyhook-sequence`: grows with every batch of a stream, exact in JavaScript for 9 * 10^9 pages.
pub fn sequence_number(position: Position) -> u64 {
    position.sequence.saturating_mul(SEQUENCE_STEP) + u64::from(position.offset).min(SEQUENCE_STEP - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::JobId;
    use std::collections::HashSet;

    #[test]
    fn the_same_delivery_has_the_same_id_and_any_other_another() {
        let key = DeriveKey::new(&[7; 32]);
        let place = |sequence, offset| Position { sequence, offset };
        let make = |key: &DeriveKey, webhook, stream, position, kind, data: &[u8]| {
            key.id(WebhookId::from_bytes([webhook; 12]), stream, position, kind, &key.digest(&[data]))
        };
        let id = || make(&key, 1, Stream::Live, place(1, 2), PayloadType::Virtual, b"[1]");
        assert_eq!(id(), id());
        assert_eq!(key.digest(&[b"[1]"]), key.digest(&[b"[", b"1]"]));
        let others = [
            id(),
            make(&DeriveKey::new(&[8; 32]), 1, Stream::Live, place(1, 2), PayloadType::Virtual, b"[1]"),
            make(&key, 2, Stream::Live, place(1, 2), PayloadType::Virtual, b"[1]"),
            make(&key, 1, Stream::Listing(JobId::from_bytes([0; 12])), place(1, 2), PayloadType::Virtual, b"[1]"),
            make(&key, 1, Stream::Listing(JobId::from_bytes([1; 12])), place(1, 2), PayloadType::Virtual, b"[1]"),
            make(&key, 1, Stream::Live, place(2, 2), PayloadType::Virtual, b"[1]"),
            make(&key, 1, Stream::Live, place(1, 3), PayloadType::Virtual, b"[1]"),
            make(&key, 1, Stream::Live, place(1, 2), PayloadType::Native, b"[1]"),
            make(&key, 1, Stream::Live, place(1, 2), PayloadType::Virtual, b"[2]"),
        ];
        assert_eq!(others.iter().map(|id| &id.webhook_id).collect::<HashSet<_>>().len(), others.len());
        assert_eq!(others.iter().map(|id| &id.nonce).collect::<HashSet<_>>().len(), others.len());
    }

    #[test]
    fn sequence_numbers_grow_with_the_place() {
        let places = [(0, 0), (0, 1), (0, 999_999), (1, 0), (1, 7), (9_000_000_000, 0)];
        let numbers = places.map(|(sequence, offset)| sequence_number(Position { sequence, offset }));
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers[5] < 1 << 53);
    }
}
