//! HubSpot, by its CRM API (developers.hubspot.com, "CRM"): contacts, companies and deals.
//!
//! Changes are found by the search endpoints, which show neither archived records nor, for a while, the latest changes.
//! Everything there is comes from the listings, first what is active, then what was archived.

mod company;
mod contact;
mod deal;
mod events;
mod history;
mod parts;
mod search;

use crate::contract::{
    ApiRequest, ApiResponse, Arrival, AuthField, AuthMethod, AuthScheme, BadRecord, Change, Conditional, Connector,
    ConnectorError, CreatedAt, CursorKind, DateLimits, Deletions, Digest, Encoding, FilterBound, Found, GetJob, Hmac,
    KeyForm, Listing, ListingKind, Manifest, NativeEvent, NativeSpec, ObjectSpec, Order, Page, PageJob, Paging,
    RateLimit, Record, RecordError, Registers, SignatureForm, Template, TimestampSource, TokenField, Verdict,
    Verification, encode_segment,
};
use crate::json::{read_record, read_records};
use crate::model::ObjectType;
use serde::Deserialize;
use serde_json::value::RawValue;

static MANIFEST: Manifest = Manifest {
    integration: "hubspot",
    name: "HubSpot",
    web_url: "https://www.hubspot.com",
    api_docs_url: "https://developers.hubspot.com/docs/api-reference/search/guide",
    base_url: Some("https://api.hubapi.com"),
    auth: &[
        AuthMethod {
            scheme: AuthScheme::Bearer(AuthField::Token),
            fields: &[TokenField {
                field: AuthField::Token,
                name: "Private app access token",
                instruction: "Settings, Integrations, Private Apps: an app with the scopes \
                              crm.objects.contacts.read, crm.objects.companies.read and crm.objects.deals.read.",
            }],
        },
        // developers.hubspot.com, "Working with OAuth".
        AuthMethod {
            scheme: AuthScheme::OAuth2 {
                authorize_url: "https://app.hubspot.com/oauth/authorize",
                token_url: "https://api.hubapi.com/oauth/v1/token",
                scopes: "oauth crm.objects.contacts.read crm.objects.companies.read crm.objects.deals.read",
            },
            fields: &[TokenField {
                field: AuthField::AccessToken,
                name: "OAuth access token",
                instruction: "The token of a public app that a person has installed; it lives for 30 minutes, so the \
                              refresh token belongs to it.",
            }],
        },
    ],
    headers: &[("accept", "application/json")],
    objects: &[
        spec(ObjectType::CrmCompany, "companies"),
        spec(ObjectType::CrmContact, "contacts"),
        spec(ObjectType::CrmDeal, "deals"),
    ],
    // "Search the CRM", "Limits". Searches answer without the headers that other endpoints tell their limits by ("API
    // usage guidelines and limits"), and the wider limits of those are never reached at this pace.
    rate_limit: RateLimit {
        requests: 5,
        per_ms: 1_000,
        description: "5 searches a second for each account; other requests 100 to 190 in ten seconds, and a daily \
                      number, by the subscription",
        remaining_header: Some("x-hubspot-ratelimit-remaining"),
        window_ms_header: Some("x-hubspot-ratelimit-interval-milliseconds"),
        ..RateLimit::PLAIN
    },
    // "Validating requests", version 3. Settings of webhooks belong to the app, so they are made there, not by request.
    native: Some(NativeSpec {
        verification: Verification::Hmac(Hmac {
            header: "x-hubspot-signature-v3",
            form: SignatureForm::Prefixed(""),
            digest: Digest::Sha256,
            encoding: Encoding::Base64,
            key: KeyForm::Raw,
            content: Template("{method}{url}{body}{timestamp}"),
            timestamp: Some(DateLimits {
                source: TimestampSource::Header("x-hubspot-request-timestamp"),
                milliseconds: true,
                tolerance_s: 300,
            }),
        }),
        delivery_id: None,
        registers: Registers::No,
        comparable: false,
        handshake: None,
    }),
};

/// "Search the CRM" promises "a few moments" and names no bound; others' polls have met records an hour late.
const LATE_VISIBILITY_MS: u64 = 3_600_000;

const fn spec(object_type: ObjectType, raw_object: &'static str) -> ObjectSpec {
    ObjectSpec {
        object_type,
        raw_object,
        live: Listing {
            cursor: CursorKind::Updated(FilterBound::Inclusive),
            order: Order::UpdatedAscending,
            paging: Paging::Token,
        },
        history: Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Token },
        // Searches give up to 200, listings up to 100.
        page_size: 100,
        result_window: None,
        late_visibility_ms: LATE_VISIBILITY_MS,
        granularity_ms: 1,
        deletions: Deletions::Silent,
        created_at: CreatedAt::True,
        parent: None,
        filters: &[],
        volatile: &[],
        native: &[Change::Created, Change::Updated, Change::Deleted],
        conditional: Conditional::Never,
    }
}

/// The connector.
pub struct HubSpot;

/// An answer of a search or a listing.
#[derive(Deserialize)]
struct Results<'a> {
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
    total: Option<u64>,
    paging: Option<PagingInfo>,
}

#[derive(Deserialize)]
struct PagingInfo {
    next: Option<NextPage>,
}

#[derive(Deserialize)]
struct NextPage {
    after: String,
}

impl Results<'_> {
    /// Where the listing goes on, by the vendor's own token.
    fn after(&self) -> Option<&str> {
        Some(&self.paging.as_ref()?.next.as_ref()?.after)
    }
}

impl Connector for HubSpot {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        match job.kind {
            ListingKind::Live => search::page_request(job),
            ListingKind::History => history::page_request(job),
        }
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let results: Results<'a> = response.json()?;
        let next = match job.kind {
            ListingKind::Live => search::next(job, &results)?,
            ListingKind::History => history::next(job, &results),
        };
        let (records, bad) = read_all(job.spec.object_type, &results.results)?;
        // A search counts what is left from its bound on, which is all of it only on the first page.
        let total = results.total.filter(|_| job.token().is_none());
        Ok(Page { records, bad, next, cursor: None, total })
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let path = format!("/crm/v3/objects/{}/{}", job.spec.raw_object, encode_segment(job.id));
        Ok(ApiRequest::get(path).query("properties", properties(job.spec.object_type)?.join(",")))
    }

    /// The id of a record that was merged into another finds that other one: under its own id it is gone.
    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if self.judge(response) == Verdict::NotFound {
            return Ok(Found::Gone);
        }
        let record = read_one(job.spec.object_type, response.json()?)
            .map_err(|error| ConnectorError::malformed(error.to_string()))?;
        Ok(if record.id == job.id { Found::Record(Box::new(record)) } else { Found::Gone })
    }

    /// 423 is a record that is locked for a moment, 477 an account that is being moved, whose `Retry-After` says for how
    /// long ("Error handling").
    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        match response.status {
            423 | 477 => Verdict::Transient,
            status => Verdict::of_status(status),
        }
    }

    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        events::read_event(event)
    }
}

/// The properties of a type that are asked for.
fn properties(object_type: ObjectType) -> Result<&'static [&'static str], ConnectorError> {
    match object_type {
        ObjectType::CrmCompany => Ok(company::PROPERTIES),
        ObjectType::CrmContact => Ok(contact::PROPERTIES),
        ObjectType::CrmDeal => Ok(deal::PROPERTIES),
        other => Err(ConnectorError::unsupported(format!("listing {other}"))),
    }
}

fn read_all<'a>(
    object_type: ObjectType,
    raws: &[&'a RawValue],
) -> Result<(Vec<Record<'a>>, Vec<BadRecord>), ConnectorError> {
    match object_type {
        ObjectType::CrmCompany => Ok(read_records(raws, company::company)),
        ObjectType::CrmContact => Ok(read_records(raws, contact::contact)),
        ObjectType::CrmDeal => Ok(read_records(raws, deal::deal)),
        other => Err(ConnectorError::unsupported(format!("listing {other}"))),
    }
}

fn read_one(object_type: ObjectType, raw: &RawValue) -> Result<Record<'_>, RecordError> {
    match object_type {
        ObjectType::CrmCompany => read_record(raw, company::company),
        ObjectType::CrmContact => read_record(raw, contact::contact),
        ObjectType::CrmDeal => read_record(raw, deal::deal),
        other => Err(RecordError(format!("no object of HubSpot's is a {other}"))),
    }
}
