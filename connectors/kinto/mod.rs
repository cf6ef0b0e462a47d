//! Kinto, by its HTTP API (docs.kinto-storage.org): the records of one collection, read as contacts.
//!
//! Every change gives its record a `last_modified` that no other record of the collection has and that is greater than
//! all before (docs.kinto-storage.org, "Server timestamps"), deletions included. So changes are asked for by that time,
//! oldest first, and nothing is lost between two pages or two runs. The collection's own ETag would do as a cursor too,
//! but a time lets a run that broke off go on in its middle, and lets histories be cut to a range.
//!
//! Records that are imported with a `last_modified` in the past do not show among the changes ("Replication" on the
//! same page): only a back-fill finds them.

mod contact;

use crate::contract::{
    ApiRequest, ApiResponse, AuthField, AuthMethod, AuthScheme, Conditional, Connector, ConnectorError, CreatedAt,
    CursorKind, Deletions, FilterBound, Found, GetJob, Listing, ListingKind, Manifest, Next, ObjectSpec, Order, Page,
    PageJob, Paging, RateLimit, TokenField, Verdict, encode_segment,
};
use crate::json::{Text, read_record, read_records};
use crate::model::ObjectType;
use contact::contact;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

const API_URL: TokenField = TokenField {
    field: AuthField::ApiUrl,
    name: "URL",
    instruction: "The server's URL with its version, such as https://kinto.example.com/v1.",
};
const BUCKET: TokenField = TokenField {
    field: AuthField::Meta("bucket"),
    name: "Bucket",
    instruction: "The id of the bucket that holds the collection.",
};
const COLLECTION: TokenField = TokenField {
    field: AuthField::Meta("collection"),
    name: "Collection",
    instruction: "The id of the collection; the account needs permission to read it.",
};

static MANIFEST: Manifest = Manifest {
    integration: "kinto",
    name: "Kinto",
    web_url: "https://kinto-storage.org",
    api_docs_url: "https://docs.kinto-storage.org/en/stable/api/1.x/",
    base_url: None,
    // docs.kinto-storage.org, "Authentication": accounts sign in by Basic, OpenID Connect by Bearer.
    auth: &[
        AuthMethod {
            scheme: AuthScheme::Basic { user: AuthField::UserId, password: AuthField::Token },
            fields: &[
                API_URL,
                TokenField { field: AuthField::UserId, name: "Account", instruction: "The account's id." },
                TokenField { field: AuthField::Token, name: "Password", instruction: "The account's password." },
                BUCKET,
                COLLECTION,
            ],
        },
        AuthMethod {
            scheme: AuthScheme::Bearer(AuthField::AccessToken),
            fields: &[
                API_URL,
                TokenField {
                    field: AuthField::AccessToken,
                    name: "Access token",
                    instruction: "A token of the OpenID Connect provider that the server trusts.",
                },
                BUCKET,
                COLLECTION,
            ],
        },
    ],
    headers: &[("accept", "application/json")],
    objects: &[SPEC],
    // docs.kinto-storage.org, "Backoff indicators": a busy server says in `Backoff` how many seconds to keep away.
    rate_limit: RateLimit {
        requests: 60,
        per_ms: 60_000,
        description: "Kinto has no limit of its own; 60 requests a minute are Anyhook's, out of politeness. A busy \
                      server's Backoff and Retry-After are honoured.",
        reset_header: Some("backoff"),
        ..RateLimit::PLAIN
    },
    native: None,
};

const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::CrmContact,
    raw_object: "record",
    live: Listing {
        cursor: CursorKind::Updated(FilterBound::Exclusive),
        order: Order::UpdatedAscending,
        paging: Paging::Token,
    },
    history: Listing {
        cursor: CursorKind::Updated(FilterBound::Exclusive),
        order: Order::Stable,
        paging: Paging::Token,
    },
    page_size: 500,
    result_window: None,
    late_visibility_ms: 0,
    granularity_ms: 1,
    deletions: Deletions::Feed,
    created_at: CreatedAt::Absent,
    parent: None,
    filters: &[],
    volatile: &[],
    native: &[],
    conditional: Conditional::Etag,
};

/// The connector.
pub struct Kinto;

#[derive(Deserialize)]
struct Records<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct One<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Connector for Kinto {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    /// Tombstones come only where `last_modified` is filtered ("Filtering", "Polling for changes"), so a whole history
    /// has none. The id breaks ties that imported records may have.
    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let sort = match job.kind {
            ListingKind::Live => "last_modified,id",
            ListingKind::History => "id",
        };
        let since = job.updated_gte.map(|at| at.timestamp_millis().max(0).to_string());
        Ok(ApiRequest::get(records_path(job.account)?)
            .query("_sort", sort)
            .query("_limit", job.limit.to_string())
            .query_opt("_since", since)
            .query_opt("_token", job.token()))
    }

    fn read_page<'a>(&self, _: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let listing: Records<'a> = response.json()?;
        let (records, bad) = read_records(&listing.data, contact);
        let next = match response.headers.get("next-page") {
            Some(url) => Next::Token(token_of(url)?),
            None => Next::End,
        };
        Ok(Page { records, bad, next, cursor: None, total: None })
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        Ok(ApiRequest::get(format!("{}/{}", records_path(job.account)?, encode_segment(job.id))))
    }

    /// A collection or bucket that is not there has another error than a record, and says nothing of records.
    fn read_record<'a>(&self, _: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if self.judge(response) == Verdict::NotFound {
            return match problem(response) {
                Some(Problem { errno: MISSING_RECORD, .. }) => Ok(Found::Gone),
                _ => Err(ConnectorError::setting(
                    "auth.meta.collection",
                    "the server has no such bucket or collection; check auth.meta.bucket, auth.meta.collection and \
                     auth.api_url, which ends with /v1",
                )),
            };
        }
        let one: One<'a> = response.json()?;
        let record = read_record(one.data, contact).map_err(|error| ConnectorError::malformed(error.0))?;
        Ok(Found::Record(Box::new(record)))
    }

    /// A `_since` or `_token` that the server does not take is a cursor to be dropped. 410 is a version of the API that
    /// has ended, and 412 a collection that changed under the request.
    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        match response.status {
            400 if problem(response).is_some_and(|problem| problem.is_about_the_cursor()) => Verdict::CursorExpired,
            410 => Verdict::Permanent,
            412 => Verdict::Transient,
            status => Verdict::of_status(status),
        }
    }
}

/// Error numbers (docs.kinto-storage.org, "Error responses").
const INVALID_PARAMETERS: u32 = 107;
const MISSING_RECORD: u32 = 110;

#[derive(Deserialize)]
struct Problem<'a> {
    errno: u32,
    #[serde(borrow, default)]
    message: Text<'a>,
}

impl Problem<'_> {
    fn is_about_the_cursor(&self) -> bool {
        self.errno == INVALID_PARAMETERS && ["_since", "_token"].iter().any(|name| self.message.0.contains(name))
    }
}

fn problem<'a>(response: &ApiResponse<'a>) -> Option<Problem<'a>> {
    response.json().ok()
}

fn records_path(account: crate::contract::Account<'_>) -> Result<String, ConnectorError> {
    let setting = |name: &str, what: &str| {
        account.setting(name).filter(|value| !value.is_empty()).map(encode_segment).ok_or_else(|| {
            ConnectorError::setting(format!("auth.meta.{name}"), format!("is missing: give the id of the {what}"))
        })
    };
    let (bucket, collection) = (setting("bucket", "bucket")?, setting("collection", "collection")?);
    Ok(format!("/buckets/{bucket}/collections/{collection}/records"))
}

/// The token of the next page. Only that is taken from its URL: behind a proxy the rest often names another scheme or
/// host than the one asked.
fn token_of(next_page: &str) -> Result<String, ConnectorError> {
    let url = Url::parse(next_page).map_err(|_| ConnectorError::malformed("the header Next-Page is no URL"))?;
    url.query_pairs()
        .find_map(|(name, value)| (name == "_token").then(|| value.into_owned()))
        .ok_or_else(|| ConnectorError::malformed("the URL in the header Next-Page has no _token"))
}
