//! The vendor's own webhooks: how they prove themselves, and how the vendor makes sure of an address first.
//!
//! Everything borrows, so that a connection can declare for itself what a manifest declares for all of them (see
//! [`crate::contract::Connector::native`]).

use super::template::Template;

/// The vendor's own webhooks.
#[derive(Debug, Clone, Copy)]
pub struct NativeSpec<'a> {
    /// How a delivery proves itself.
    pub verification: Verification<'a>,
    /// The vendor's id of a delivery, the same for a repeat. Where there is one, repeats are dropped for a while.
    pub delivery_id: Option<ValueAt<'a>>,
    /// Whether webhooks can be registered by request, and who chooses the secret then.
    pub registers: Registers,
    /// True where events and listings carry the same raw object, or the vendor's revision of it, so that their versions
    /// compare.
    pub comparable: bool,
    /// How the vendor makes sure of an address before it pushes there, where it does.
    pub handshake: Option<Handshake<'a>>,
}

/// Whether webhooks can be registered by request, and who chooses the secret then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registers {
    /// Only a person can set them up.
    No,
    /// They can, and the vendor signs with the secret it is given.
    OurSecret,
    /// They can, and the vendor chooses a secret for each, told by its answer.
    VendorsSecret,
    /// They can, and the vendor signs with the secret of the app, which a person puts into the connection.
    AppSecret,
}

/// Where a value stands in a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueAt<'a> {
    /// In a header, named in lower case.
    Header(&'a str),
    /// In the JSON body, at a path as [`crate::json::at`] takes it.
    Body(&'a str),
}

/// A request by which a vendor makes sure of an address. What is answered besides is 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake<'a> {
    /// HEAD, answered without a body.
    Head,
    /// A value in the query, answered with the value as text.
    QueryEcho {
        /// The request's verb. A POST of this kind is not signed.
        verb: EchoVerb,
        /// The parameter that is echoed.
        parameter: &'a str,
        /// A parameter that has to equal the connection's secret, where the vendor sends one.
        secret_parameter: Option<&'a str>,
    },
    /// POST with a value in its JSON body, answered with the value in JSON under the same name.
    BodyEcho {
        /// How such a request is known.
        known_by: KnownBy<'a>,
        /// The name of the field that is echoed.
        field: &'a str,
        /// True if it is signed like every delivery.
        is_signed: bool,
    },
    /// POST with a token in its JSON body, answered with the token and its HMAC-SHA256 under the secret, in hexadecimal.
    /// It is signed like every delivery.
    TokenDigest {
        /// How such a request is known.
        known_by: KnownBy<'a>,
        /// The path of the token. It is answered under the last name of the path.
        token: &'a str,
        /// The name that the digest is answered under.
        digest: &'a str,
    },
    /// POST with the secret in a header, answered with the same header. It is not signed. The secret is what deliveries
    /// are verified by from then on; a connection that has one takes no other.
    SecretHeader {
        /// The header's name in lower case.
        header: &'a str,
    },
}

/// The verb of a request whose query is echoed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoVerb {
    /// GET
    Get,
    /// POST
    Post,
}

/// How a handshake is told from a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownBy<'a> {
    /// The path of a field in its JSON body.
    pub path: &'a str,
    /// The field's value; none where it is enough that the field is there.
    pub value: Option<&'a str>,
}

/// How a delivery proves itself.
#[derive(Debug, Clone, Copy)]
pub enum Verification<'a> {
    /// A keyed hash over what was sent.
    Hmac(Hmac<'a>),
    /// A header that equals the secret.
    Equal {
        /// The header's name in lower case.
        header: &'a str,
        /// What stands before the secret.
        prefix: &'a str,
    },
    /// As each connection declares it: only [`crate::contract::Connector::native`] tells.
    Declared,
}

/// A keyed hash over what was sent, described so that one verifier serves most vendors.
#[derive(Debug, Clone, Copy)]
pub struct Hmac<'a> {
    /// The header with the signature, in lower case.
    pub header: &'a str,
    /// How signatures stand in the header.
    pub form: SignatureForm<'a>,
    /// The hash.
    pub digest: Digest,
    /// How the signature is written.
    pub encoding: Encoding,
    /// How the key is made from the secret.
    pub key: KeyForm,
    /// What is signed.
    pub content: Template<'a>,
    /// The time that is signed, where one is.
    pub timestamp: Option<DateLimits<'a>>,
}

/// How signatures stand in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureForm<'a> {
    /// Behind a prefix, which may be empty.
    Prefixed(&'a str),
    /// As `name=value` items divided by a separator; every item with this name is a signature.
    Items {
        /// Between items.
        separator: char,
        /// The name of signatures.
        name: &'a str,
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
    /// SHA-512
    Sha512,
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

/// A signed time and how old it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateLimits<'a> {
    /// Where it stands.
    pub source: TimestampSource<'a>,
    /// True for milliseconds since the epoch, else seconds.
    pub milliseconds: bool,
    /// The greatest difference from now, either way, in seconds.
    pub tolerance_s: u64,
}

/// Where a signed time stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampSource<'a> {
    /// In a header of its own.
    Header(&'a str),
    /// In the signature's header, as an item with this name.
    Item(&'a str),
    /// In the body, which is JSON and signed, at this path: a number, or text. Looked at only once the signature holds,
    /// so it cannot be part of what is signed besides.
    Body(&'a str),
}
