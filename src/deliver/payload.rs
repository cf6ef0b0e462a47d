//! The body of a delivery: `data` spliced in verbatim, everything else around it.

use super::derive::DeliveryId;
use bytes::{BufMut, Bytes, BytesMut};

/// A payload's `type`: how its data were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadType {
    /// A page of history, more to come.
    InitialPartial,
    /// The end of history.
    InitialComplete,
    /// New data found by polling.
    Virtual,
    /// New data pushed by the vendor.
    Native,
    /// Notifications, for a destination.
    Notification,
}

impl PayloadType {
    /// The word the payload carries.
    pub fn as_str(self) -> &'static str {
        match self {
            PayloadType::InitialPartial => "INITIAL-PARTIAL",
            PayloadType::InitialComplete => "INITIAL-COMPLETE",
            PayloadType::Virtual => "VIRTUAL",
            PayloadType::Native => "NATIVE",
            PayloadType::Notification => "NOTIFICATION",
        }
    }
}

/// What stands in front of the objects.
pub const HEAD: &[u8] = br#"{"data":["#;

/// The parts of a payload that are the same for all deliveries of a webhook.
#[derive(Debug, Clone)]
pub struct Envelope {
    before: Bytes,
    after: Bytes,
}

impl Envelope {
    /// From the webhook as the API shows it, as JSON, and the customer's own name of the connection.
    pub fn new(webhook_json: &[u8], external_xref: Option<&str>) -> Result<Self, serde_json::Error> {
        let before = before("webhook", webhook_json);
        let after = match external_xref {
            None => b"\"}".to_vec(),
            Some(name) => [br#"","external_xref":"#, &serde_json::to_vec(name)?[..], b"}"].concat(),
        };
        Ok(Envelope { before: before.into(), after: after.into() })
    }

    /// From a destination as the API shows it, as JSON.
    pub fn of_destination(destination_json: &[u8]) -> Self {
        Envelope { before: before("destination", destination_json).into(), after: Bytes::from_static(b"\"}") }
    }

    /// Marks the payload as a test: `is_test` is true.
    pub fn mark_test(&mut self) {
        let open = self.after.strip_suffix(b"}").unwrap_or_default();
        self.after = [open, br#","is_test":true}"#].concat().into();
    }

    /// What stands behind the objects.
    pub fn tail(&self, id: &DeliveryId, (sig, sig256): (&str, &str), kind: PayloadType) -> Bytes {
        let mut tail = BytesMut::with_capacity(self.before.len() + self.after.len() + 256);
        let parts: [&[u8]; 9] = [
            &self.before,
            id.nonce.as_bytes(),
            br#"","sig":""#,
            sig.as_bytes(),
            br#"","sig256":""#,
            sig256.as_bytes(),
            br#"","type":""#,
            kind.as_str().as_bytes(),
            &self.after,
        ];
        parts.iter().for_each(|part| tail.put_slice(part));
        tail.freeze()
    }
}

fn before(name: &str, json: &[u8]) -> Vec<u8> {
    [br#"],""#, name.as_bytes(), br#"":"#, json, br#","nonce":""#].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_contracts() {
        let id = DeliveryId { webhook_id: "msg_1".to_owned(), nonce: "abc".to_owned() };
        let body = |xref| {
            let mut envelope = Envelope::new(br#"{"id":"w"}"#, xref).unwrap();
            if xref == Some("test") {
                envelope.mark_test();
            }
            let tail = envelope.tail(&id, ("s1", "s2"), PayloadType::InitialComplete);
            String::from_utf8([HEAD, br#"{"id":"1"}"#, &tail].concat()).unwrap()
        };
        let rest = r#"{"data":[{"id":"1"}],"webhook":{"id":"w"},"nonce":"abc","sig":"s1","sig256":"s2","type":"INITIAL-COMPLETE""#;
        assert_eq!(body(None), format!("{rest}}}"));
        assert_eq!(body(Some("test")), format!(r#"{rest},"external_xref":"test","is_test":true}}"#));
        assert_eq!(body(Some("a\"b")), format!(r#"{rest},"external_xref":"a\"b"}}"#));
        let tail = Envelope::of_destination(br#"{"id":"d"}"#).tail(&id, ("s1", "s2"), PayloadType::Notification);
        let rest = r#"],"destination":{"id":"d"},"nonce":"abc","sig":"s1","sig256":"s2","type":"NOTIFICATION"}"#;
        assert_eq!(tail, rest.as_bytes());
    }
}
