//! Calendars of any server that speaks CalDAV (RFC 4791) with collection synchronisation (RFC 6578).
//!
//! What changed since a token comes by one REPORT, deletions among it. Some servers send the events with it, others only
//! say which changed: those are then fetched by further REPORTs, a page at a time (see `sync`). One connection is one
//! calendar, by its URL.
//!
//! A record's `updated_at` is left out: events carry only times that somebody's client wrote, and a token feed has no
//! need of any. The unified object shows them.

mod event;
mod ical;
mod multistatus;
mod recurrence;
mod sync;
mod time;

use crate::contract::{
    ApiRequest, ApiResponse, AuthField, AuthMethod, AuthScheme, BadRecord, Conditional, Connector, ConnectorError,
    CreatedAt, CursorKind, Deletions, Found, GetJob, Listing, Manifest, ObjectSpec, Order, Page, PageJob, Paging,
    RateLimit, Record, RecordError, TokenField, Verdict, encode_segment,
};
use crate::model::ObjectType;
use serde::Serialize;

const API_URL: TokenField = TokenField {
    field: AuthField::ApiUrl,
    name: "URL of the calendar",
    instruction: "The calendar's own URL, which the server's settings page or another client shows, such as \
                  https://dav.example.com/calendars/ann/work/.",
};

static MANIFEST: Manifest = Manifest {
    integration: "caldav",
    name: "CalDAV",
    web_url: "https://www.rfc-editor.org/rfc/rfc4791",
    api_docs_url: "https://www.rfc-editor.org/rfc/rfc6578",
    base_url: None,
    auth: &[
        AuthMethod {
            scheme: AuthScheme::Basic { user: AuthField::UserId, password: AuthField::Token },
            fields: &[
                API_URL,
                TokenField { field: AuthField::UserId, name: "User name", instruction: "The account's user name." },
                TokenField {
                    field: AuthField::Token,
                    name: "Password",
                    instruction: "The account's password, or an app password where the server wants one.",
                },
            ],
        },
        AuthMethod {
            scheme: AuthScheme::Bearer(AuthField::AccessToken),
            fields: &[
                API_URL,
                TokenField {
                    field: AuthField::AccessToken,
                    name: "Access token",
                    instruction: "A token that the server accepts for reading the calendar.",
                },
            ],
        },
    ],
    headers: &[("accept", "application/xml, text/xml, text/calendar")],
    objects: &[SPEC],
    rate_limit: RateLimit {
        requests: 60,
        per_ms: 60_000,
        description: "CalDAV names no limit; 60 requests a minute are Anyhook's, out of politeness",
        ..RateLimit::PLAIN
    },
    native: None,
};

const LISTING: Listing = Listing { cursor: CursorKind::Token, order: Order::Unordered, paging: Paging::Token };

const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::CalendarEvent,
    raw_object: "VEVENT",
    live: LISTING,
    history: LISTING,
    // How many events are fetched by one request; how many changes a server names at once is its own choice.
    page_size: 100,
    result_window: None,
    late_visibility_ms: 0,
    granularity_ms: 1_000,
    deletions: Deletions::Feed,
    created_at: CreatedAt::Absent,
    parent: None,
    filters: &[],
    volatile: &[],
    native: &[],
    conditional: Conditional::Never,
};

/// The connector.
pub struct CalDav;

impl Connector for CalDav {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        sync::page_request(job)
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        sync::read_page(job, response)
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        Ok(ApiRequest::get(format!("/{}", encode_segment(job.id))))
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if self.judge(response) == Verdict::NotFound {
            return Ok(Found::Gone);
        }
        let text =
            std::str::from_utf8(response.body).map_err(|_| ConnectorError::malformed("the event is no UTF-8"))?;
        let resource = Resource { href: job.id, etag: response.headers.get("etag"), ical: Some(text) };
        match resource.record() {
            Ok(Some(record)) => Ok(Found::Record(Box::new(record))),
            Ok(None) => Ok(Found::Gone),
            Err(bad) => Err(ConnectorError::malformed(bad.error.0)),
        }
    }

    /// A token that is no longer known fails the precondition `valid-sync-token` (RFC 6578, section 3.2), with 403 as
    /// RFC 3253 has it for preconditions; some servers use another status for it.
    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        match response.status {
            400..=499 | 507 if multistatus::names(response.body, "valid-sync-token") => Verdict::CursorExpired,
            status => Verdict::of_status(status),
        }
    }
}

/// One resource of a calendar, as it is kept: the log holds JSON, and CalDAV has none.
#[derive(Debug, Serialize)]
struct Resource<'t> {
    href: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'t str>,
    /// None of a resource that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    ical: Option<&'t str>,
}

impl Resource<'_> {
    /// The resource's record: none where it holds no event but a task, a journal or free times.
    fn record<'a>(&self) -> Result<Option<Record<'a>>, BadRecord> {
        let id = sync::id_of(self.href);
        let raw = serde_json::to_string(self);
        let built = raw.map_err(RecordError::from).and_then(|raw| {
            let object = match self.ical {
                None => Some(event::deleted(&id)?),
                Some(ical) => event::object(&id, ical)?,
            };
            Ok(object.map(|object| (raw, object)))
        });
        match built {
            Ok(None) => Ok(None),
            Ok(Some((raw, object))) => Ok(Some(Record {
                id: id.into(),
                updated_at: None,
                created_at: None,
                deleted: self.ical.is_none(),
                revision: self.etag.map(|etag| etag.to_owned().into()),
                object,
                raw: raw.into(),
            })),
            Err(error) => Err(BadRecord { id: Some(id), error, raw: serde_json::to_string(self).unwrap_or_default() }),
        }
    }
}
