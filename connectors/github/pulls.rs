//! Pull requests (docs.github.com, "REST API endpoints for pull requests").

use super::parts::{Label, User, label_names, linked, logins, time};
use super::reference::{REPO_FILTER, checked, split};
use crate::contract::{
    ApiRequest, ApiResponse, Change, Conditional, ConnectorError, CreatedAt, CursorKind, Deletions, FilterBound,
    GetJob, Listing, ListingKind, ObjectSpec, Order, Page, PageJob, Paging, Record, RecordError,
};
use crate::json::{Mapped, Text, read_record, read_records};
use crate::model::{ObjectType, RepoPullrequest};
use serde::Deserialize;
use serde_json::value::RawValue;

/// `GET /repos/{owner}/{repo}/pulls` takes no `since`, so changes are read newest first down to the bound. A pull
/// request that changes meanwhile moves to a page already read, and has a time that the next run asks from. History
/// goes by creation, which nothing moves.
///
/// `head` and `base` repeat whole repositories with their counters, and `merge_commit_sha` follows a test merge that
/// GitHub makes in the background ("Get a pull request"): they change without the pull request changing. What it
/// proposes shows in `updated_at`.
pub(super) const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::RepoPullrequest,
    raw_object: "pull_request",
    live: Listing {
        cursor: CursorKind::Updated(FilterBound::ReadUntil),
        order: Order::UpdatedDescending,
        paging: Paging::Token,
    },
    history: Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Token },
    page_size: super::PAGE_SIZE,
    result_window: None,
    late_visibility_ms: super::LATE_VISIBILITY_MS,
    granularity_ms: 1_000,
    deletions: Deletions::Silent,
    created_at: CreatedAt::True,
    parent: Some(ObjectType::RepoRepository),
    filters: &[REPO_FILTER],
    volatile: &["author_association", "base", "head", "merge_commit_sha"],
    native: &[Change::Created, Change::Updated],
    conditional: Conditional::Etag,
};

#[derive(Deserialize)]
struct PullRequest<'a> {
    number: u64,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<User<'a>>,
    #[serde(borrow, default)]
    assignees: Vec<User<'a>>,
    #[serde(borrow, default)]
    labels: Vec<Label<'a>>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    updated_at: Option<Text<'a>>,
    #[serde(borrow)]
    closed_at: Option<Text<'a>>,
    #[serde(borrow)]
    merged_at: Option<Text<'a>>,
    #[serde(borrow)]
    head: Branch<'a>,
    #[serde(borrow)]
    base: Base<'a>,
}

#[derive(Deserialize)]
struct Branch<'a> {
    #[serde(borrow, rename = "ref")]
    name: Text<'a>,
    #[serde(borrow)]
    sha: Text<'a>,
}

#[derive(Deserialize)]
struct Base<'a> {
    #[serde(borrow, rename = "ref")]
    name: Text<'a>,
    #[serde(borrow)]
    repo: BaseRepository<'a>,
}

#[derive(Deserialize)]
struct BaseRepository<'a> {
    #[serde(borrow)]
    full_name: Text<'a>,
}

pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (sort, direction) = match job.kind {
        ListingKind::Live => ("updated", "desc"),
        ListingKind::History => ("created", "asc"),
    };
    Ok(ApiRequest::get(format!("/repos/{}/pulls", checked(job.parent_id())?))
        .query("state", "all")
        .query("sort", sort)
        .query("direction", direction)
        .query("per_page", job.limit.to_string()))
}

pub(super) fn read_page<'a>(response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let raws: Vec<&RawValue> = response.json()?;
    let (records, bad) = read_records(&raws, map);
    Ok(Page { records, bad, next: linked(response), cursor: None, total: None })
}

pub(super) fn get_request(job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (repo, number) = split(job.id, '#')?;
    Ok(ApiRequest::get(format!("/repos/{repo}/pulls/{number}")))
}

pub(super) fn read_one(raw: &RawValue) -> Result<Record<'_>, RecordError> {
    read_record(raw, map)
}

fn map<'a>(pull: PullRequest<'a>) -> Result<Mapped<'a, RepoPullrequest<'a>>, RecordError> {
    let repo = pull.base.repo.full_name.0;
    let id = format!("{repo}#{}", pull.number);
    let (created_at, updated_at) = (time(pull.created_at.as_ref()), time(pull.updated_at.as_ref()));
    let status = match (&*pull.state.0, &pull.merged_at) {
        (_, Some(_)) => "APPROVED",
        ("open", None) => "PENDING",
        _ => "REJECTED",
    };
    Ok(Mapped {
        id: id.clone().into(),
        updated_at,
        created_at,
        deleted: false,
        revision: None,
        object: RepoPullrequest {
            id: id.into(),
            created_at: created_at.map(Into::into),
            updated_at: updated_at.map(Into::into),
            closed_at: time(pull.closed_at.as_ref()).map(Into::into),
            commit_ids: vec![format!("{repo}@{}", pull.head.sha.0).into()],
            labels: label_names(pull.labels),
            notes: pull.body.map(|text| text.0),
            repo_id: Some(repo),
            source_branch_id: Some(pull.head.name.0),
            status: Some(status.into()),
            target_branch_id: Some(pull.base.name.0),
            title: pull.title.map(|text| text.0),
            user_ids: logins(pull.user.into_iter().chain(pull.assignees)),
        },
    })
}
