//! A manifest: what an integration is and can do, as data.

use super::Change;
use crate::model::ObjectType;

/// One integration.
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    /// Its name in the API, such as `github`: lower case, stable.
    pub integration: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The vendor's site.
    pub web_url: &'static str,
    /// The vendor's documentation of the API used.
    pub api_docs_url: &'static str,
    /// Where the API lives; none for self-hosted products, whose connections must give `auth.api_url`.
    pub base_url: Option<&'static str>,
    /// Ways to sign in, the first whose fields a connection has is used.
    pub auth: &'static [AuthMethod],
    /// Headers that every request carries.
    pub headers: &'static [(&'static str, &'static str)],
    /// What can be listed.
    pub objects: &'static [ObjectSpec],
    /// The vendor's limits.
    pub rate_limit: RateLimit,
    /// How the vendor's own webhooks are verified, where it has some.
    pub native: Option<NativeSpec>,
}

impl Manifest {
    /// The spec of an object type, if this integration has it.
    pub fn object(&self, object_type: ObjectType) -> Option<&'static ObjectSpec> {
        self.objects.iter().find(|spec| spec.object_type == object_type)
    }
}

/// One way to sign in.
#[derive(Debug, Clone, Copy)]
pub struct AuthMethod {
    /// How the credential is put into a request.
    pub scheme: AuthScheme,
    /// What a person has to give, in the order it is asked for.
    pub fields: &'static [TokenField],
}

/// A field of a connection's `auth` that a person fills in.
#[derive(Debug, Clone, Copy)]
pub struct TokenField {
    /// Which one.
    pub field: AuthField,
    /// What the vendor calls it.
    pub name: &'static str,
    /// Where to find it at the vendor.
    pub instruction: &'static str,
}

/// A field of a connection's `auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthField {
    /// `auth.access_token`
    AccessToken,
    /// `auth.token`
    Token,
    /// `auth.user_id`
    UserId,
    /// `auth.key`
    Key,
    /// `auth.api_url`
    ApiUrl,
    /// `auth.meta.<name>`
    Meta(&'static str),
}

impl AuthField {
    /// The field's path in the API, such as `auth.token`.
    pub fn path(self) -> String {
        match self {
            AuthField::AccessToken => "auth.access_token".to_owned(),
            AuthField::Token => "auth.token".to_owned(),
            AuthField::UserId => "auth.user_id".to_owned(),
            AuthField::Key => "auth.key".to_owned(),
            AuthField::ApiUrl => "auth.api_url".to_owned(),
            AuthField::Meta(name) => format!("auth.meta.{name}"),
        }
    }
}

/// How a credential is put into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer <field>`
    Bearer(AuthField),
    /// A header of its own: `<name>: <prefix><field>`
    Header {
        /// The header's name in lower case.
        name: &'static str,
        /// What stands before the credential, with its space.
        prefix: &'static str,
        /// The credential.
        field: AuthField,
    },
    /// A query parameter.
    Query {
        /// The parameter's name.
        name: &'static str,
        /// The credential.
        field: AuthField,
    },
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user name.
        user: AuthField,
        /// The password.
        password: AuthField,
    },
    /// OAuth 2 (RFC 6749): `Authorization: Bearer <auth.access_token>`, refreshed at `token_url`.
    OAuth2 {
        /// Where a person consents.
        authorize_url: &'static str,
        /// Where tokens are given and refreshed.
        token_url: &'static str,
        /// Scopes to ask for, separated by spaces.
        scopes: &'static str,
    },
    /// No credential at all.
    None,
}

/// What the vendor allows.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// Requests allowed at once, refilled evenly over `per_ms`.
    pub requests: u32,
    /// The period.
    pub per_ms: u64,
    /// What the vendor says of it, for people.
    pub description: &'static str,
    /// Header with the requests left in the window, in lower case.
    pub remaining_header: Option<&'static str>,
    /// Header with the end of the window: epoch seconds or milliseconds, a date, or seconds from now. Where no header
    /// tells what remains, this one is sent only by a vendor that wants to be left alone until then.
    pub reset_header: Option<&'static str>,
    /// Header with the length of the window in milliseconds, in lower case, where none tells its end.
    pub window_ms_header: Option<&'static str>,
    /// How long to keep away at least after a refusal that names no time, in milliseconds, where the vendor asks for
    /// that; zero where it does not.
    pub silent_pause_ms: u64,
    /// True where an answer of 304 does not count.
    pub unchanged_is_free: bool,
    /// What is allowed over all accounts together, where the vendor counts that too.
    pub app: Option<AppLimit>,
}

impl RateLimit {
    /// One request a second, and none of what only some vendors have: the rest of a limit that names the other fields.
    pub const PLAIN: RateLimit = RateLimit {
        requests: 1,
        per_ms: 1_000,
        description: "one request a second",
        remaining_header: None,
        reset_header: None,
        window_ms_header: None,
        silent_pause_ms: 0,
        unchanged_is_free: false,
        app: None,
    };
}

/// What the vendor allows one app, or one address, over all accounts together. A request counts here and against
/// its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppLimit {
    /// Requests allowed at once, refilled evenly over `per_ms`.
    pub requests: u32,
    /// The period.
    pub per_ms: u64,
    /// Header with the requests left in the window, in lower case.
    pub remaining_header: Option<&'static str>,
    /// Header with the end of the window, as in [`RateLimit::reset_header`].
    pub reset_header: Option<&'static str>,
    /// Header and value, both in lower case, by which a refusal says that it is for this limit; without it every refusal
    /// is taken to be for the credential's.
    pub refusal: Option<(&'static str, &'static str)>,
}

/// The two listings an object type may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingKind {
    /// What changed since a time or token.
    Live,
    /// Everything there is, for back-fills and sweeps.
    History,
}

/// How one object type is listed, and what its records tell.
#[derive(Debug, Clone, Copy)]
pub struct ObjectSpec {
    /// What it is.
    pub object_type: ObjectType,
    /// The vendor's name of it.
    pub raw_object: &'static str,
    /// How changes are listed.
    pub live: Listing,
    /// How everything is listed.
    pub history: Listing,
    /// Records a page may hold at most.
    pub page_size: u32,
    /// Where paging ends, however many records match (10,000 at some vendors).
    pub result_window: Option<u32>,
    /// How long a record may stay invisible in the listing after its `updated_at`, in milliseconds.
    pub late_visibility_ms: u64,
    /// The granule of the vendor's times in milliseconds: 1,000 where times have whole seconds.
    pub granularity_ms: u64,
    /// How deletions show.
    pub deletions: Deletions,
    /// Whether `created_at` tells when a record came to be.
    pub created_at: CreatedAt,
    /// The object type whose records are listed first, because this one lives under them.
    pub parent: Option<ObjectType>,
    /// Names of filters that listing takes.
    pub filters: &'static [&'static str],
    /// Top-level fields of the vendor's object that change without the record changing.
    pub volatile: &'static [&'static str],
    /// What the vendor's own webhooks tell of this type.
    pub native: &'static [Change],
    /// What the vendor tells by that nothing changed since the listing was last read.
    pub conditional: Conditional,
}

impl ObjectSpec {
    /// The listing of this kind.
    pub fn listing(&self, kind: ListingKind) -> &Listing {
        match kind {
            ListingKind::Live => &self.live,
            ListingKind::History => &self.history,
        }
    }
}

/// By what a vendor can tell that an answer is still the same, with 304 (RFC 9110, section 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conditional {
    /// By nothing.
    #[default]
    Never,
    /// By its `ETag`, sent back in `If-None-Match`.
    Etag,
    /// By its `Last-Modified`, sent back in `If-Modified-Since`.
    LastModified,
}

/// How a listing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// What a feed remembers.
    pub cursor: CursorKind,
    /// The order of the answers.
    pub order: Order,
    /// How its pages are told apart.
    pub paging: Paging,
}

/// What a feed remembers between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorKind {
    /// A time: the listing takes a lower bound of `updated_at`.
    Updated(FilterBound),
    /// The vendor's opaque token.
    Token,
    /// Nothing: each run is a full listing.
    Nothing,
}

/// Whether the vendor's filter includes its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterBound {
    /// `>=`
    Inclusive,
    /// `>`
    Exclusive,
    /// The vendor does not filter; records come newest first and reading stops at the bound.
    ReadUntil,
}

/// The order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest change first.
    UpdatedAscending,
    /// Newest change first.
    UpdatedDescending,
    /// By creation or id, so that changes do not move records.
    Stable,
    /// None that can be relied on.
    Unordered,
}

/// How pages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// By the vendor's token or link, which keeps its place while records move.
    Token,
    /// By an offset in records.
    Offset,
    /// By a page number.
    PageNumber,
}

/// How deletions show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletions {
    /// Deleted records stay in the listing with a flag or state.
    Flag,
    /// Most stay in the listing with a state (a trash), but some vanish: only a sweep tells of those.
    FlagOrSilent,
    /// A listing of tombstones comes with the changes.
    Feed,
    /// They vanish: only a sweep tells.
    Silent,
}

/// Whether `created_at` can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedAt {
    /// It is when the record came to be.
    True,
    /// It is missing, or means something else.
    Absent,
}

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
