//! WordPress, by its REST API (developer.wordpress.org, "REST API Handbook").
//!
//! Posts and pages are one object type in two listings, so `kms_page` has two parts. WordPress has no webhooks of its
//! own. Deleting puts a post into the trash first, which is listed and shows as deleted; what is deleted past the trash
//! vanishes without a trace, so sweeps are for that.
//!
//! The account has to be an editor's or administrator's: others are not shown the posts of others that are not public,
//! and may not ask for the trash at all.

mod comments;
mod posts;
mod text;

use crate::contract::{
    ApiRequest, ApiResponse, AuthField, AuthMethod, AuthScheme, Connector, ConnectorError, Found, GetJob, Manifest,
    Next, ObjectSpec, Page, PageJob, Parent, RateLimit, TokenField, Verdict,
};
use crate::json::Text;
use crate::model::ObjectType;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The greatest `per_page` (developer.wordpress.org, "REST API Handbook", "Pagination").
const PAGE_SIZE: u32 = 100;

/// The error for a page past the end (the same page of the handbook names the headers that tell of the end).
const PAST_THE_END: &str = "rest_post_invalid_page_number";

static MANIFEST: Manifest = Manifest {
    integration: "wordpress",
    name: "WordPress",
    web_url: "https://wordpress.org",
    api_docs_url: "https://developer.wordpress.org/rest-api/",
    base_url: None,
    // developer.wordpress.org, "REST API Handbook", "Authentication", "Basic Authentication with Application Passwords".
    auth: &[AuthMethod {
        scheme: AuthScheme::Basic { user: AuthField::UserId, password: AuthField::Token },
        fields: &[
            TokenField {
                field: AuthField::ApiUrl,
                name: "Address of the site",
                instruction: "The site's address, such as https://blog.example.com, without /wp-json behind it. \
                              Permalinks must not be plain.",
            },
            TokenField {
                field: AuthField::UserId,
                name: "User name",
                instruction: "The name that an administrator or editor signs in with.",
            },
            TokenField {
                field: AuthField::Token,
                name: "Application password",
                instruction: "Users, Profile, Application Passwords, Add New; it is no one's sign-in password.",
            },
        ],
    }],
    headers: &[("accept", "application/json")],
    objects: &[comments::SPEC, posts::SPEC],
    rate_limit: RateLimit {
        requests: 60,
        per_ms: 60_000,
        description: "WordPress has no limit of its own; 60 requests a minute are Anyhook's, out of politeness",
        ..RateLimit::PLAIN
    },
    native: None,
};

/// The connector.
pub struct WordPress;

impl Connector for WordPress {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn parts(&self, spec: &ObjectSpec, filters: &BTreeMap<String, String>) -> Vec<Parent> {
        match spec.object_type {
            ObjectType::KmsPage => posts::parts(filters),
            _ => Vec::new(),
        }
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let request = match job.spec.object_type {
            ObjectType::KmsPage => posts::page_request(job)?,
            _ => comments::page_request(job),
        };
        let offset = (job.offset() > 0).then(|| job.offset().to_string());
        Ok(request.query("per_page", job.limit.to_string()).query_opt("offset", offset))
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        if response.status == 400 {
            return Ok(Page { records: Vec::new(), bad: Vec::new(), next: Next::End, cursor: None, total: None });
        }
        let raws: Vec<&RawValue> = response.json()?;
        let (records, bad) = match job.spec.object_type {
            ObjectType::KmsPage => posts::read_all(&raws),
            _ => comments::read_all(&raws),
        };
        let total = response.headers.get("x-wp-total").and_then(|total| total.parse().ok());
        Ok(Page { records, bad, next: next(job, raws.len(), total), cursor: None, total })
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        match job.spec.object_type {
            ObjectType::KmsPage => posts::get_request(job),
            _ => Ok(comments::get_request(job.id)),
        }
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if self.judge(response) == Verdict::NotFound {
            return Ok(Found::Gone);
        }
        let raw = response.json()?;
        let record = match job.spec.object_type {
            ObjectType::KmsPage => posts::read_one(raw),
            _ => comments::read_one(raw),
        };
        record
            .map(|record| Found::Record(Box::new(record)))
            .map_err(|error| ConnectorError::malformed(error.to_string()))
    }

    /// A page past the end is answered 400: that is an end, not an error. A 404 without WordPress's own error for an
    /// unknown id comes from a site without this API, and says nothing of records.
    ///
    /// Whom WordPress does not know, it answers as it answers anybody (seen in 6.1), until something is asked for that
    /// takes an account, such as the trash: then it is a 400 with a 401 inside.
    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        let failure = || response.json::<Failure<'_>>().unwrap_or_default();
        let has_code = |ends: &str| failure().code.is_some_and(|code| code.0.ends_with(ends));
        match response.status {
            400 if has_code(PAST_THE_END) => Verdict::Read,
            400 if failure().inner_status() == Some(401) => Verdict::Credential,
            404 if !has_code("_invalid_id") => Verdict::Permanent,
            status => Verdict::of_status(status),
        }
    }
}

/// WordPress's own errors (developer.wordpress.org, "REST API Handbook", "Responses").
#[derive(Default, Deserialize)]
struct Failure<'a> {
    #[serde(borrow, default)]
    code: Option<Text<'a>>,
    #[serde(default)]
    data: FailureData,
}

#[derive(Default, Deserialize)]
struct FailureData {
    #[serde(default)]
    details: BTreeMap<String, Detail>,
}

/// What is wrong with one parameter.
#[derive(Deserialize)]
struct Detail {
    data: Option<DetailData>,
}

#[derive(Deserialize)]
struct DetailData {
    status: Option<u16>,
}

impl Failure<'_> {
    /// The status that a parameter alone would have been answered with.
    fn inner_status(&self) -> Option<u16> {
        self.data.details.values().find_map(|detail| detail.data.as_ref()?.status)
    }
}

/// How a listing goes on. A page may be short because records are hidden from this account, so the vendor's count
/// decides; a proxy that takes its header away leaves only the empty page.
fn next(job: &PageJob<'_>, sent: usize, total: Option<u64>) -> Next {
    let is_last = match total {
        Some(total) => job.offset() + u64::from(job.limit) >= total,
        None => sent == 0,
    };
    if is_last { Next::End } else { Next::More }
}
