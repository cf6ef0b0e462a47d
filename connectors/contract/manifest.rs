//! A manifest: what an integration is and can do, as data.

mod auth;
mod listing;
mod native;
mod rate_limit;
mod template;

pub use auth::{AuthField, AuthMethod, AuthScheme, TokenField};
pub use listing::{
    Conditional, CreatedAt, CursorKind, Deletions, FilterBound, Listing, ListingKind, ObjectSpec, Order, Paging,
};
pub use native::{
    DateLimits, Digest, EchoVerb, Encoding, Handshake, Hmac, KeyForm, KnownBy, NativeSpec, Registers, SignatureForm,
    TimestampSource, ValueAt, Verification,
};
pub use rate_limit::{AppLimit, RateLimit};
pub use template::{Content, Template, is_header};

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
    pub native: Option<NativeSpec<'static>>,
}

impl Manifest {
    /// The spec of an object type, if this integration has it.
    pub fn object(&self, object_type: ObjectType) -> Option<&'static ObjectSpec> {
        self.objects.iter().find(|spec| spec.object_type == object_type)
    }

    /// Whether anything is asked of the vendor at all: false where it only pushes.
    pub fn asks(&self) -> bool {
        self.objects.iter().any(|spec| !spec.is_only_pushed())
    }
}
