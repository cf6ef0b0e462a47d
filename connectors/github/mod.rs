//! GitHub, by its REST API (docs.github.com, "GitHub REST API documentation").
//!
//! Pull requests, issues and commits live under repositories, which are `GET /user/repos` or the one that the filter
//! `repo_id` names. GitHub Enterprise Server works by `auth.api_url`.

mod commits;
mod events;
mod hooks;
mod issues;
mod parts;
mod pulls;
mod reference;
mod repositories;
mod verdict;

use crate::contract::{
    ApiRequest, ApiResponse, Arrival, AuthField, AuthMethod, AuthScheme, Connector, ConnectorError, Digest, Encoding,
    Found, GetJob, Hmac, HookJob, KeyForm, Manifest, NativeEvent, NativeSpec, Next, Page, PageJob, Parent, RateLimit,
    Registers, Registration, SignatureForm, Template, TokenField, ValueAt, Verdict, Verification,
};
use crate::model::ObjectType;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The greatest `per_page` (docs.github.com, "Using pagination in the REST API").
const PAGE_SIZE: u32 = 100;

/// GitHub promises no bound on how late a change shows in a listing; a minute is this project's choice.
const LATE_VISIBILITY_MS: u64 = 60_000;

static MANIFEST: Manifest = Manifest {
    integration: "github",
    name: "GitHub",
    web_url: "https://github.com",
    api_docs_url: "https://docs.github.com/rest",
    base_url: Some("https://api.github.com"),
    auth: &[
        AuthMethod {
            scheme: AuthScheme::Bearer(AuthField::Token),
            fields: &[TokenField {
                field: AuthField::Token,
                name: "Personal access token",
                instruction: "Settings, Developer settings, Personal access tokens. A fine-grained token needs read \
                              access to Metadata, Contents, Issues and Pull requests, and write access to Webhooks \
                              where native webhooks are wanted; a classic one needs the scope repo.",
            }],
        },
        // docs.github.com, "Authorizing OAuth apps" and "Scopes for OAuth apps": `repo` covers repository webhooks.
        AuthMethod {
            scheme: AuthScheme::OAuth2 {
                authorize_url: "https://github.com/login/oauth/authorize",
                token_url: "https://github.com/login/oauth/access_token",
                scopes: "repo",
            },
            fields: &[TokenField {
                field: AuthField::AccessToken,
                name: "OAuth access token",
                instruction: "The token of an OAuth app that a person has authorised with the scope repo.",
            }],
        },
    ],
    // docs.github.com, "API Versions": 2022-11-28 is what every server with versions at all understands.
    headers: &[("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")],
    objects: &[commits::SPEC, pulls::SPEC, repositories::SPEC, issues::SPEC],
    // docs.github.com, "Rate limits for the REST API": 5,000 requests an hour, and no more than 900 points a minute to
    // one endpoint. The first is the pace, the second the burst.
    rate_limit: RateLimit {
        requests: 900,
        per_ms: 648_000,
        description: "5,000 requests an hour for a person's token, at most 900 of them in a minute",
        remaining_header: Some("x-ratelimit-remaining"),
        reset_header: Some("x-ratelimit-reset"),
        // "Best practices for using the REST API": without a time, keep away for at least a minute; a 304 is free.
        silent_pause_ms: 60_000,
        unchanged_is_free: true,
        ..RateLimit::PLAIN
    },
    // docs.github.com, "Validating webhook deliveries" and "Webhook events and payloads". Objects in events have other
    // fields than those in listings (issues lack closed_by, pull requests have counts besides), so versions do not
    // compare.
    native: Some(NativeSpec {
        verification: Verification::Hmac(Hmac {
            header: "x-hub-signature-256",
            form: SignatureForm::Prefixed("sha256="),
            digest: Digest::Sha256,
            encoding: Encoding::Hex,
            key: KeyForm::Raw,
            content: Template::BODY,
            timestamp: None,
        }),
        delivery_id: Some(ValueAt::Header("x-github-delivery")),
        registers: Registers::OurSecret,
        comparable: false,
        handshake: None,
    }),
};

/// The connector.
pub struct GitHub;

impl Connector for GitHub {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        if let Some(url) = job.token() {
            return Ok(ApiRequest::get(url));
        }
        match job.spec.object_type {
            ObjectType::RepoRepository => repositories::page_request(job),
            ObjectType::RepoPullrequest => pulls::page_request(job),
            ObjectType::RepoCommit => commits::page_request(job),
            ObjectType::TaskTask => issues::page_request(job),
            other => Err(ConnectorError::unsupported(format!("listing {other}"))),
        }
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        if verdict::lists_nothing(response) {
            return Ok(Page { records: Vec::new(), bad: Vec::new(), next: Next::End, cursor: None, total: None });
        }
        match job.spec.object_type {
            ObjectType::RepoRepository => repositories::read_page(job, response),
            ObjectType::RepoPullrequest => pulls::read_page(response),
            ObjectType::RepoCommit => commits::read_page(job, response),
            ObjectType::TaskTask => issues::read_page(response),
            other => Err(ConnectorError::unsupported(format!("listing {other}"))),
        }
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        match job.spec.object_type {
            ObjectType::RepoRepository => repositories::get_request(job),
            ObjectType::RepoPullrequest => pulls::get_request(job),
            ObjectType::RepoCommit => commits::get_request(job),
            ObjectType::TaskTask => issues::get_request(job),
            other => Err(ConnectorError::unsupported(format!("getting {other}"))),
        }
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if !(200..300).contains(&response.status) {
            return Ok(Found::Gone);
        }
        let raw: &RawValue = response.json()?;
        let record = match job.spec.object_type {
            ObjectType::RepoRepository => repositories::read_one(raw),
            ObjectType::RepoPullrequest => pulls::read_one(raw),
            ObjectType::RepoCommit => {
                commits::read_one(raw, job.filters.get(commits::BRANCH_FILTER).map(String::as_str))
            }
            ObjectType::TaskTask if issues::pull_request(raw).is_some() => return Ok(Found::Gone),
            ObjectType::TaskTask => issues::read_one(raw),
            other => return Err(ConnectorError::unsupported(format!("getting {other}"))),
        };
        record.map(|record| Found::Record(Box::new(record))).map_err(|error| ConnectorError::malformed(error.0))
    }

    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        verdict::judge(response)
    }

    fn named_parents(&self, filters: &BTreeMap<String, String>) -> Option<Vec<Parent>> {
        filters.get(reference::REPO_FILTER).map(|full_name| vec![Parent { id: full_name.clone() }])
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

    fn remove_request(&self, job: &HookJob<'_>, registration: &Registration) -> Result<ApiRequest, ConnectorError> {
        hooks::remove_request(job, registration)
    }
}
