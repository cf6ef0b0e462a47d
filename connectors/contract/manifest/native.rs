//! The vendor's own webhooks: how they prove themselves.

/// The vendor's own webhooks.
#[derive(Debug, Clone, Copy)]
pub struct NativeSpec {
    /// How a delivery proves itself.
    pub verification: Verification,
    /// Header with the vendor's id of a delivery, in lower case: the same for a repeat.
    pub delivery_id_header: Option<&'static str>,
    /// True where [`super::Connector::register_request`] works.
    pub registers: bool,
    /// True where a record in an event and in a listing have the same raw form, so that their versions compare.
    pub comparable: bool,
}

/// How a delivery proves itself.
#[derive(Debug, Clone, Copy)]
pub enum Verification {
    /// A keyed hash over what was sent.
    Hmac(Hmac),
    /// A header that equals the secret.
    Equal {
        /// The header's name in lower case.
        header: &'static str,
    },
}

/// A keyed hash over what was sent, described so that one verifier serves most vendors.
#[derive(Debug, Clone, Copy)]
pub struct Hmac {
    /// The header with the signature, in lower case.
    pub header: &'static str,
    /// How signatures stand in the header.
    pub form: SignatureForm,
    /// The hash.
    pub digest: Digest,
    /// How the signature is written.
    pub encoding: Encoding,
    /// How the key is made from the secret.
    pub key: KeyForm,
    /// What is signed, in order.
    pub content: &'static [Content],
    /// The time that is signed, where one is.
    pub timestamp: Option<DateLimits>,
}

/// How signatures stand in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureForm {
    /// Behind a prefix, which may be empty.
    Prefixed(&'static str),
    /// As `name=value` items divided by a separator; every item with this name is a signature.
    Items {
        /// Between items.
        separator: char,
        /// The name of signatures.
        name: &'static str,
    },
    /// Standard Webhooks: `v1,<signature>` items divided by spaces.
    Standard,
}

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1
    Sha1,
    /// SHA-256
    Sha256,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// How the key is made from the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// The secret's bytes.
    Raw,
    /// Base64, after an optional `whsec_`.
    Base64,
}

/// A part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The raw body.
    Body,
    /// The timestamp as sent.
    Timestamp,
    /// The value of a header.
    Header(&'static str),
    /// The URL the vendor pushed to.
    Url,
    /// The request's method.
    Method,
    /// A fixed text.
    Text(&'static str),
}

/// A signed time and how old it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateLimits {
    /// Where it stands.
    pub source: TimestampSource,
    /// True for milliseconds since the epoch, else seconds.
    pub milliseconds: bool,
    /// The greatest difference from now, either way, in seconds.
    pub tolerance_s: u64,
}

/// Where a signed time stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampSource {
    /// In a header of its own.
    Header(&'static str),
    /// In the signature's header, as an item with this name.
    Item(&'static str),
    /// In the body, which is a JSON object and signed, as its own field with this name: a number, or text. Looked at only
    /// once the signature holds, so it cannot be part of what is signed besides.
    Body(&'static str),
}
