//! Linear, by its GraphQL API (linear.app/developers): issues as tasks, projects, and comments.
//!
//! All lists are asked for in one way: what was updated since a time, most recently updated first, which is the only
//! order by time that Linear documents. Whatever changes while pages are read comes up again in the next run. What was
//! moved to the trash stays listed for a while and counts as deleted; comments that are deleted vanish.

mod events;
mod hooks;
mod objects;
mod query;

use crate::contract::{
    ApiRequest, ApiResponse, Arrival, AuthField, AuthMethod, AuthScheme, Change, Conditional, Connector,
    ConnectorError, CreatedAt, CursorKind, DateLimits, Deletions, Digest, Encoding, FilterBound, Found, GetJob, Hmac,
    HookJob, KeyForm, Listing, ListingKind, Manifest, NativeEvent, NativeSpec, Next, ObjectSpec, Order, Page, PageJob,
    Paging, RateLimit, Registers, Registration, SignatureForm, Template, TimestampSource, TokenField, ValueAt, Verdict,
    Verification,
};
use crate::model::ObjectType;

static MANIFEST: Manifest = Manifest {
    integration: "linear",
    name: "Linear",
    web_url: "https://linear.app",
    api_docs_url: "https://linear.app/developers/graphql",
    base_url: Some("https://api.linear.app"),
    // linear.app/developers/graphql, "Authentication": a personal key stands in the header by itself.
    auth: &[
        AuthMethod {
            scheme: AuthScheme::Header { name: "authorization", prefix: "", field: AuthField::Token },
            fields: &[TokenField {
                field: AuthField::Token,
                name: "Personal API key",
                instruction: "Settings, Security & access, Personal API keys; reading is enough, but for native \
                              webhooks it must be an administrator's.",
            }],
        },
        AuthMethod {
            scheme: AuthScheme::OAuth2 {
                authorize_url: "https://linear.app/oauth/authorize",
                token_url: "https://api.linear.app/oauth/token",
                scopes: "read",
            },
            fields: &[TokenField {
                field: AuthField::AccessToken,
                name: "OAuth access token",
                instruction: "The token of an OAuth application that a person has authorised with the scope read, and \
                              admin where native webhooks are wanted.",
            }],
        },
    ],
    headers: &[("accept", "application/json")],
    objects: &[
        spec(ObjectType::TaskComment, "comment", Deletions::Silent),
        spec(ObjectType::TaskProject, "project", Deletions::Flag),
        spec(ObjectType::TaskTask, "issue", Deletions::Flag),
    ],
    // linear.app/developers/rate-limiting. A query also costs points by what it asks for, though less is found, and a
    // page here costs about 1,000; the pace keeps within the points of an OAuth application, which has the fewest.
    rate_limit: RateLimit {
        requests: 2_000,
        per_ms: 3_600_000,
        description: "2,500 requests and 3,000,000 points an hour for a person's API keys, 5,000 requests and \
                      2,000,000 points for an OAuth application",
        remaining_header: Some("x-ratelimit-requests-remaining"),
        reset_header: Some("x-ratelimit-requests-reset"),
        ..RateLimit::PLAIN
    },
    // linear.app/developers/webhooks, "Securing webhooks": the signed time is in the body alone.
    native: Some(NativeSpec {
        verification: Verification::Hmac(Hmac {
            header: "linear-signature",
            form: SignatureForm::Prefixed(""),
            digest: Digest::Sha256,
            encoding: Encoding::Hex,
            key: KeyForm::Raw,
            content: Template::BODY,
            timestamp: Some(DateLimits {
                source: TimestampSource::Body("webhookTimestamp"),
                milliseconds: true,
                tolerance_s: 60,
            }),
        }),
        delivery_id: Some(ValueAt::Header("linear-delivery")),
        registers: Registers::OurSecret,
        comparable: false,
        handshake: None,
    }),
};

/// Linear names no bound on how late a change shows in a list; a minute is this project's choice.
const LATE_VISIBILITY_MS: u64 = 60_000;

const fn spec(object_type: ObjectType, raw_object: &'static str, deletions: Deletions) -> ObjectSpec {
    ObjectSpec {
        object_type,
        raw_object,
        live: Listing {
            cursor: CursorKind::Updated(FilterBound::Inclusive),
            order: Order::UpdatedDescending,
            paging: Paging::Token,
        },
        history: Listing {
            cursor: CursorKind::Updated(FilterBound::Inclusive),
            order: Order::Stable,
            paging: Paging::Token,
        },
        // Up to 250 would be given, at five times the points.
        page_size: 50,
        result_window: None,
        late_visibility_ms: LATE_VISIBILITY_MS,
        granularity_ms: 1,
        deletions,
        created_at: CreatedAt::True,
        parent: None,
        filters: &[],
        volatile: &[],
        native: &[Change::Created, Change::Updated, Change::Deleted],
        conditional: Conditional::Never,
    }
}

/// The connector.
pub struct Linear;

impl Connector for Linear {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let order_by = match job.kind {
            ListingKind::Live => "updatedAt",
            ListingKind::History => "createdAt",
        };
        let filter = job.updated_gte.map(query::Filter::since);
        query::list(job.spec.object_type, filter, order_by, job.limit, job.token())
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let page = query::read(response)?;
        let (records, bad) = objects::read_all(job.spec.object_type, &page.nodes)?;
        let next = match (page.page_info.has_next_page, page.page_info.end_cursor) {
            (false, _) => Next::End,
            (true, Some(token)) => Next::Token(token),
            (true, None) => return Err(ConnectorError::malformed("there is a next page, but no endCursor")),
        };
        Ok(Page { records, bad, next, cursor: None, total: None })
    }

    /// One record is asked for as a list of one, so that it comes in the same form.
    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        query::list(job.spec.object_type, Some(query::Filter::id(job.id)), "createdAt", 1, None)
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        let page = query::read(response)?;
        match page.nodes.first() {
            None => Ok(Found::Gone),
            Some(raw) => Ok(Found::Record(Box::new(objects::read_one(job.spec.object_type, raw)?))),
        }
    }

    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        query::judge(response)
    }

    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        events::read_event(event)
    }

    fn register_request(&self, job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
        hooks::register_request(job)
    }

    fn read_registration(&self, _: &HookJob<'_>, response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
        hooks::read_registration(response)
    }

    fn remove_request(&self, _: &HookJob<'_>, registration: &Registration) -> Result<ApiRequest, ConnectorError> {
        hooks::remove_request(registration)
    }
}
