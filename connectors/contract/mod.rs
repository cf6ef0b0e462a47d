//! What a connector is: a pure description of one vendor's API.
//!
//! A connector builds requests and reads answers. It never sends anything, never looks at a clock, never sees a
//! credential and never loops: the engine owns sending, signing in, paging, retrying and remembering. That is why a
//! recorded exchange is a whole test.

mod error;
mod event;
mod manifest;
mod page;
mod request;

pub use error::{ConnectorError, RecordError, Verdict};
pub use event::{Arrival, Change, HookJob, NativeEvent, Registration};
pub use manifest::{
    AppLimit, AuthField, AuthMethod, AuthScheme, Conditional, Content, CreatedAt, CursorKind, DateLimits, Deletions,
    Digest, EchoVerb, Encoding, FilterBound, Handshake, Hmac, KeyForm, KnownBy, Listing, ListingKind, Manifest,
    NativeSpec, ObjectSpec, Order, Paging, RateLimit, Registers, SignatureForm, Template, TimestampSource, TokenField,
    ValueAt, Verification, is_header,
};
pub use page::{Account, BadRecord, Found, GetJob, Next, Page, PageJob, Parent, Place, Record};
pub(crate) use request::encode_segment;
pub use request::{ApiRequest, ApiResponse, Headers, Method};

use std::collections::BTreeMap;

/// One integration. Implementations are stateless units; everything a call needs comes as its argument.
pub trait Connector: Send + Sync + 'static {
    /// What this integration is and can do. The API's answers about an integration are drawn from it.
    fn manifest(&self) -> &'static Manifest;

    /// The request that lists one page. Asking twice with the same job gives the same request.
    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError>;

    /// Reads the page that answered [`Connector::page_request`] for the same job.
    ///
    /// - A record that cannot be read goes to [`Page::bad`]; the others are still returned.
    /// - An answer that is no page at all is [`ConnectorError::Malformed`].
    /// - Records come in the order of the answer.
    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError>;

    /// The request that fetches one record by its id.
    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError>;

    /// Reads the answer to [`Connector::get_request`]. A 404 or 410 is asked about too and means [`Found::Gone`]
    /// unless the vendor says otherwise.
    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError>;

    /// What an answer's status means. Override it where the vendor departs from the usual meaning of statuses.
    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        Verdict::of_status(response.status)
    }

    /// The parents that a webhook's filters name, so that they need not be listed; none where all are meant.
    fn named_parents(&self, filters: &BTreeMap<String, String>) -> Option<Vec<Parent>> {
        let _ = filters;
        None
    }

    /// The listings that make up one object type where the vendor has several for it, such as posts and pages. Each is
    /// walked, remembered and fetched from like a parent, by [`PageJob::parent`] and [`GetJob::parent`]; none where there
    /// is but one. A spec has either parts or a parent listing, and a record's id is unique over all parts.
    fn parts(&self, spec: &ObjectSpec, filters: &BTreeMap<String, String>) -> Vec<Parent> {
        let _ = (spec, filters);
        Vec::new()
    }

    /// What a listed record is called as a parent. Children are listed by it.
    fn parent_of(&self, record: &Record<'_>) -> Parent {
        Parent { id: record.id.clone().into_owned() }
    }

    /// How the vendor's own webhooks come to a connection: as the manifest says, unless each connection declares it.
    ///
    /// - What a connection declares wrongly is [`ConnectorError::Setting`], naming the field.
    fn native<'a>(&self, account: Account<'a>) -> Result<Option<NativeSpec<'a>>, ConnectorError> {
        let _ = account;
        Ok(self.manifest().native)
    }

    /// Reads one verified native webhook. Unknown events are [`Arrival::Ignore`], never an error.
    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        let _ = event;
        Ok(vec![Arrival::Ignore])
    }

    /// The request that registers a native webhook at the vendor, where it has an API for that.
    fn register_request(&self, job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let _ = job;
        Err(ConnectorError::unsupported("registering native webhooks"))
    }

    /// Reads what the vendor answered to [`Connector::register_request`].
    fn read_registration(&self, job: &HookJob<'_>, response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
        let _ = (job, response);
        Err(ConnectorError::unsupported("registering native webhooks"))
    }

    /// The request that removes what was registered. A 404 in answer to it counts as removed.
    fn remove_request(&self, job: &HookJob<'_>, registration: &Registration) -> Result<ApiRequest, ConnectorError> {
        let _ = (job, registration);
        Err(ConnectorError::unsupported("removing native webhooks"))
    }
}
