//! Issues (docs.github.com, "REST API endpoints for issues").

use super::parts::{Label, User, label_names, logins, page_parameter, time, timestamp};
use super::reference::{REPO_FILTER, checked, issue_of_url, repo_of_url, split};
use crate::contract::{
    ApiRequest, ApiResponse, Change, Conditional, ConnectorError, CreatedAt, CursorKind, Deletions, FilterBound,
    GetJob, Listing, Next, ObjectSpec, Order, Page, PageJob, Paging, Record, RecordError,
};
use crate::json::{Mapped, Text, read_record, read_records};
use crate::model::{ObjectType, TaskTask};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// `GET /repos/{owner}/{repo}/issues` sorts by `updated` and takes `since`, "last updated after the given time". Both
/// listings use it: asking again from the last time seen loses nothing while issues move. Pull requests are listed too
/// and are left out.
///
/// Reactions are counted without `updated_at` moving.
pub(super) const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::TaskTask,
    raw_object: "issue",
    live: LISTING,
    history: LISTING,
    page_size: super::PAGE_SIZE,
    result_window: None,
    late_visibility_ms: super::LATE_VISIBILITY_MS,
    granularity_ms: 1_000,
    deletions: Deletions::Silent,
    created_at: CreatedAt::True,
    parent: Some(ObjectType::RepoRepository),
    filters: &[REPO_FILTER],
    volatile: &["author_association", "reactions"],
    native: &[Change::Created, Change::Updated, Change::Deleted],
    conditional: Conditional::Etag,
};

const LISTING: Listing = Listing {
    cursor: CursorKind::Updated(FilterBound::Exclusive),
    order: Order::UpdatedAscending,
    paging: Paging::PageNumber,
};

#[derive(Deserialize)]
struct Issue<'a> {
    number: u64,
    #[serde(borrow)]
    repository_url: Text<'a>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<User<'a>>,
    #[serde(borrow, default)]
    assignees: Vec<User<'a>>,
    #[serde(borrow, default)]
    labels: Vec<Label<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Kind<'a>>,
    #[serde(borrow)]
    parent_issue_url: Option<Text<'a>>,
    sub_issues_summary: Option<SubIssues>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    updated_at: Option<Text<'a>>,
    #[serde(borrow)]
    closed_at: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct SubIssues {
    total: u64,
}

/// What tells a pull request from an issue: only the first has the key `pull_request`.
#[derive(Deserialize)]
struct Marker<'a> {
    pull_request: Option<IgnoredAny>,
    #[serde(borrow)]
    updated_at: Option<Text<'a>>,
}

pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    Ok(ApiRequest::get(format!("/repos/{}/issues", checked(job.parent_id())?))
        .query("state", "all")
        .query("sort", "updated")
        .query("direction", "asc")
        .query_opt("since", job.updated_gte.map(timestamp))
        .query("per_page", job.limit.to_string())
        .query_opt("page", page_parameter(job)))
}

pub(super) fn read_page<'a>(response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let mut raws: Vec<&RawValue> = response.json()?;
    let mut reached: Option<DateTime<Utc>> = None;
    raws.retain(|raw| match pull_request(raw) {
        Some(updated_at) => {
            reached = reached.max(updated_at);
            false
        }
        None => true,
    });
    let (records, bad) = read_records(&raws, map);
    let reached = records.iter().filter_map(|record| record.updated_at).max().max(reached);
    let next = match (response.headers.link("next"), reached) {
        (None, _) => Next::End,
        (Some(_), Some(at)) => Next::From(at),
        (Some(_), None) => Next::More,
    };
    Ok(Page { records, bad, next, cursor: None, total: None })
}

pub(super) fn get_request(job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (repo, number) = split(job.id, '#')?;
    Ok(ApiRequest::get(format!("/repos/{repo}/issues/{number}")))
}

pub(super) fn read_one(raw: &RawValue) -> Result<Record<'_>, RecordError> {
    read_record(raw, map)
}

/// Whether this is a pull request, and when it changed. Only where the key's name occurs at all is the object read.
pub(super) fn pull_request(raw: &RawValue) -> Option<Option<DateTime<Utc>>> {
    if !raw.get().contains("\"pull_request\"") {
        return None;
    }
    let marker: Marker<'_> = serde_json::from_str(raw.get()).ok()?;
    marker.pull_request.map(|_| time(marker.updated_at.as_ref()))
}

fn map<'a>(issue: Issue<'a>) -> Result<Mapped<'a, TaskTask<'a>>, RecordError> {
    let repo = repo_of_url(&issue.repository_url.0)
        .ok_or_else(|| RecordError("repository_url names no repository".to_owned()))?
        .to_owned();
    let id = format!("{repo}#{}", issue.number);
    let (created_at, updated_at) = (time(issue.created_at.as_ref()), time(issue.updated_at.as_ref()));
    let parent_id = issue.parent_issue_url.as_ref().and_then(|url| issue_of_url(&url.0)).map(|id| id.into_owned());
    Ok(Mapped {
        id: id.clone().into(),
        updated_at,
        created_at,
        deleted: false,
        revision: None,
        object: TaskTask {
            id: id.into(),
            created_at: created_at.map(Into::into),
            updated_at: updated_at.map(Into::into),
            assigned_user_ids: logins(issue.assignees),
            completed_at: time(issue.closed_at.as_ref()).map(Into::into),
            creator_user_id: issue.user.and_then(|user| user.login).map(|text| text.0),
            has_children: issue.sub_issues_summary.map(|summary| summary.total > 0),
            name: issue.title.map(|text| text.0),
            notes: issue.body.map(|text| text.0),
            parent_id: parent_id.map(Into::into),
            project_id: Some(repo.into()),
            status: Some(if issue.state.0 == "closed" { "COMPLETED" } else { "OPENED" }.into()),
            tags: label_names(issue.labels),
            kind: issue.kind.and_then(|kind| kind.name).map(|text| text.0),
            url: issue.html_url.map(|text| text.0),
            ..TaskTask::default()
        },
    })
}
