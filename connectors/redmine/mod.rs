//! Redmine, by its REST API (redmine.org, wiki pages "Rest_api", "Rest_Issues", "Rest_Projects").
//!
//! An issue is both a ticket and a task. Redmine has no webhooks of its own, and what is deleted vanishes without a
//! trace. The API must be switched on: Administration, Settings, API. A Redmine that lets anybody read takes a wrong key
//! for nobody's and answers with what is public (seen in 5.0).

mod issues;
mod parts;
mod projects;

use crate::contract::{
    ApiRequest, ApiResponse, AuthField, AuthMethod, AuthScheme, Connector, ConnectorError, Found, GetJob, Manifest,
    Next, Page, PageJob, RateLimit, TokenField, Verdict,
};
use crate::model::ObjectType;

/// The greatest `limit` (redmine.org, "Rest_api", "Collection resources and pagination").
const PAGE_SIZE: u32 = 100;

/// Redmine takes the time before its transaction commits. Half a minute for that is this project's choice.
const LATE_VISIBILITY_MS: u64 = 30_000;

static MANIFEST: Manifest = Manifest {
    integration: "redmine",
    name: "Redmine",
    web_url: "https://www.redmine.org",
    api_docs_url: "https://www.redmine.org/projects/redmine/wiki/Rest_api",
    base_url: None,
    auth: &[AuthMethod {
        scheme: AuthScheme::Header { name: "x-redmine-api-key", prefix: "", field: AuthField::Token },
        fields: &[
            TokenField {
                field: AuthField::ApiUrl,
                name: "Address of the Redmine",
                instruction: "Where the Redmine is, such as https://redmine.example.com, without /issues behind it.",
            },
            TokenField {
                field: AuthField::Token,
                name: "API access key",
                instruction: "My account, in the column on the right: API access key, Show. The REST web service must \
                              be enabled under Administration, Settings, API.",
            },
        ],
    }],
    headers: &[("accept", "application/json")],
    objects: &[issues::TASK, issues::TICKET, projects::SPEC],
    rate_limit: RateLimit {
        requests: 120,
        per_ms: 60_000,
        description: "Redmine has no limit of its own; 120 requests a minute are Anyhook's, out of politeness",
        ..RateLimit::PLAIN
    },
    native: None,
};

/// The connector.
pub struct Redmine;

impl Connector for Redmine {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let request = match job.spec.object_type {
            ObjectType::TaskProject => projects::page_request(),
            _ => issues::page_request(job),
        };
        Ok(request.query("offset", job.offset().to_string()).query("limit", job.limit.to_string()))
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        match job.spec.object_type {
            ObjectType::TaskProject => projects::read_page(job, response),
            _ => issues::read_page(job, response),
        }
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        Ok(match job.spec.object_type {
            ObjectType::TaskProject => projects::get_request(job.id),
            _ => issues::get_request(job.id),
        })
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if self.judge(response) == Verdict::NotFound {
            return Ok(Found::Gone);
        }
        let record = match job.spec.object_type {
            ObjectType::TaskProject => projects::read_one(response)?,
            other => issues::read_one(other, response)?,
        };
        record
            .map(|record| Found::Record(Box::new(record)))
            .map_err(|error| ConnectorError::malformed(error.to_string()))
    }
}

/// How a listing goes on: `total_count` counts all of it.
fn next(job: &PageJob<'_>, sent: usize, total: Option<u64>) -> Next {
    let end = job.offset() + sent as u64;
    let is_last = match total {
        Some(total) => end >= total,
        None => sent < job.limit as usize,
    };
    if is_last || sent == 0 { Next::End } else { Next::More }
}
