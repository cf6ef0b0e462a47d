//! Commits (docs.github.com, "REST API endpoints for commits").

use super::parts::{User, linked, time, timestamp};
use super::reference::{REPO_FILTER, checked, repo_of_url, split};
use crate::contract::{
    ApiRequest, ApiResponse, Change, Conditional, ConnectorError, CreatedAt, CursorKind, Deletions, FilterBound,
    GetJob, Listing, ObjectSpec, Order, Page, PageJob, Paging, Record, RecordError,
};
use crate::json::{Mapped, Text, read_record, read_records};
use crate::model::{ObjectType, RepoCommit};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The filter that names a branch, or a commit to start from. The default branch is listed without it.
pub(super) const BRANCH_FILTER: &str = "branch_id";

/// A push brings commits with the dates on which they were made, at times days ago. Seven days is this project's
/// choice: it covers most branches between commit and merge, at one page more for a busy repository. What comes later
/// still is found by a sweep.
const LATE_VISIBILITY_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// `GET /repos/{owner}/{repo}/commits` takes `since` and gives no promise of an order beyond git's own. Pages are
/// followed by their link: a push meanwhile moves commits to later pages, so that some come twice and none is missed.
///
/// A commit never changes: both of its times are the committer's date.
pub(super) const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::RepoCommit,
    raw_object: "commit",
    live: LISTING,
    history: LISTING,
    page_size: super::PAGE_SIZE,
    result_window: None,
    late_visibility_ms: LATE_VISIBILITY_MS,
    granularity_ms: 1_000,
    deletions: Deletions::Silent,
    created_at: CreatedAt::True,
    parent: Some(ObjectType::RepoRepository),
    filters: &[REPO_FILTER, BRANCH_FILTER],
    volatile: &["author", "commit", "committer", "files", "stats"],
    native: &[Change::Created],
    conditional: Conditional::Etag,
};

const LISTING: Listing =
    Listing { cursor: CursorKind::Updated(FilterBound::Exclusive), order: Order::Unordered, paging: Paging::Token };

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow)]
    sha: Text<'a>,
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    commit: GitCommit<'a>,
    #[serde(borrow)]
    author: Option<User<'a>>,
}

#[derive(Deserialize)]
struct GitCommit<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    author: Option<GitUser<'a>>,
    #[serde(borrow)]
    committer: Option<GitUser<'a>>,
}

#[derive(Deserialize)]
struct GitUser<'a> {
    #[serde(borrow)]
    date: Option<Text<'a>>,
}

pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    Ok(ApiRequest::get(format!("/repos/{}/commits", checked(job.parent_id())?))
        .query_opt("sha", job.filter(BRANCH_FILTER))
        .query_opt("since", job.updated_gte.map(timestamp))
        .query("per_page", job.limit.to_string()))
}

pub(super) fn read_page<'a>(job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let branch = job.filter(BRANCH_FILTER);
    let raws: Vec<&RawValue> = response.json()?;
    let (records, bad) = read_records(&raws, |commit| map(commit, branch));
    Ok(Page { records, bad, next: linked(response), cursor: None, total: None })
}

pub(super) fn get_request(job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (repo, sha) = split(job.id, '@')?;
    Ok(ApiRequest::get(format!("/repos/{repo}/commits/{sha}")))
}

pub(super) fn read_one<'a>(raw: &'a RawValue, branch: Option<&str>) -> Result<Record<'a>, RecordError> {
    read_record(raw, |commit| map(commit, branch))
}

fn map<'a>(commit: Commit<'a>, branch: Option<&str>) -> Result<Mapped<'a, RepoCommit<'a>>, RecordError> {
    let repo = repo_of_url(&commit.url.0).ok_or_else(|| RecordError("url names no repository".to_owned()))?.to_owned();
    let id = format!("{repo}@{}", commit.sha.0);
    let date = |user: &Option<GitUser<'_>>| time(user.as_ref().and_then(|user| user.date.as_ref()));
    let at = date(&commit.commit.committer).or_else(|| date(&commit.commit.author));
    Ok(Mapped {
        id: id.clone().into(),
        updated_at: at,
        created_at: at,
        deleted: false,
        revision: None,
        object: RepoCommit {
            id: id.into(),
            created_at: at.map(Into::into),
            updated_at: at.map(Into::into),
            branch_id: branch.map(|name| name.to_owned().into()),
            message: commit.commit.message.map(|text| text.0),
            repo_id: Some(repo.into()),
            user_id: commit.author.and_then(|user| user.login).map(|text| text.0),
        },
    })
}
