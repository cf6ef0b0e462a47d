//! Repositories (docs.github.com, "REST API endpoints for repositories").

use super::parts::{User, counted, linked, page_parameter, time, timestamp};
use super::reference::{REPO_FILTER, checked};
use crate::contract::{
    ApiRequest, ApiResponse, Change, Conditional, ConnectorError, CreatedAt, CursorKind, Deletions, FilterBound,
    ListingKind, Next, ObjectSpec, Order, Page, PageJob, Paging, Record, RecordError,
};
use crate::contract::{GetJob, Listing};
use crate::json::{Mapped, Text, read_record, read_records};
use crate::model::{ObjectType, RepoRepository};
use serde::Deserialize;
use serde_json::value::RawValue;

/// `GET /user/repos` sorts by `updated` and takes `since`, "updated after the given time". `updated_at` tells of the
/// repository itself; pushes move `pushed_at`, and counters move neither, so both are left out of versions.
///
/// Webhooks of a repository are not told that it was deleted (docs.github.com, "Webhook events and payloads",
/// `repository`): a sweep finds that out, unless an organisation's webhook pushes here.
pub(super) const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::RepoRepository,
    raw_object: "repository",
    live: Listing {
        cursor: CursorKind::Updated(FilterBound::Exclusive),
        order: Order::UpdatedAscending,
        paging: Paging::PageNumber,
    },
    history: Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Token },
    page_size: super::PAGE_SIZE,
    result_window: None,
    late_visibility_ms: super::LATE_VISIBILITY_MS,
    granularity_ms: 1_000,
    deletions: Deletions::Silent,
    created_at: CreatedAt::True,
    parent: None,
    filters: &[REPO_FILTER],
    volatile: &[
        "forks",
        "forks_count",
        "network_count",
        "open_issues",
        "open_issues_count",
        "permissions",
        "pushed_at",
        "size",
        "stargazers_count",
        "subscribers_count",
        "temp_clone_token",
        "watchers",
        "watchers_count",
    ],
    native: &[Change::Updated],
    conditional: Conditional::Etag,
};

#[derive(Deserialize)]
struct Repository<'a> {
    #[serde(borrow)]
    full_name: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    owner: Option<Owner<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    private: Option<bool>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    updated_at: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(borrow, flatten)]
    user: User<'a>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

/// One repository that a filter names is asked for by its name; else the listing.
pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    if let Some(full_name) = job.filter(REPO_FILTER) {
        return Ok(ApiRequest::get(format!("/repos/{}", checked(full_name)?)));
    }
    let sort = match job.kind {
        ListingKind::Live => "updated",
        ListingKind::History => "created",
    };
    Ok(ApiRequest::get("/user/repos")
        .query("sort", sort)
        .query("direction", "asc")
        .query_opt("since", job.updated_gte.map(timestamp))
        .query("per_page", job.limit.to_string())
        .query_opt("page", page_parameter(job)))
}

pub(super) fn read_page<'a>(job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let (raws, next) = if job.filter(REPO_FILTER).is_some() {
        (vec![response.json::<&RawValue>()?], Next::End)
    } else if job.kind == ListingKind::Live {
        (response.json()?, counted(response))
    } else {
        (response.json()?, linked(response))
    };
    let (records, bad) = read_records(&raws, map);
    Ok(Page { records, bad, next, cursor: None, total: None })
}

pub(super) fn get_request(job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
    Ok(ApiRequest::get(format!("/repos/{}", checked(job.id)?)))
}

pub(super) fn read_one(raw: &RawValue) -> Result<Record<'_>, RecordError> {
    read_record(raw, map)
}

fn map<'a>(repository: Repository<'a>) -> Result<Mapped<'a, RepoRepository<'a>>, RecordError> {
    let (created_at, updated_at) = (time(repository.created_at.as_ref()), time(repository.updated_at.as_ref()));
    let (login, kind) = repository.owner.map_or((None, None), |owner| (owner.user.login, owner.kind));
    let org_id = login.clone().filter(|_| kind.is_some_and(|kind| kind.0 == "Organization"));
    Ok(Mapped {
        id: repository.full_name.0.clone(),
        updated_at,
        created_at,
        deleted: false,
        revision: None,
        object: RepoRepository {
            id: repository.full_name.0,
            created_at: created_at.map(Into::into),
            updated_at: updated_at.map(Into::into),
            description: repository.description.map(|text| text.0),
            is_private: repository.private,
            name: Some(repository.name.0),
            org_id: org_id.map(|text| text.0),
            owner: login.map(|text| text.0),
            web_url: repository.html_url.map(|text| text.0),
        },
    })
}
