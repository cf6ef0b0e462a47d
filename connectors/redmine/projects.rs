//! Projects (redmine.org, "Rest_Projects").

use super::parts::{Named, id, text, time};
use super::{LATE_VISIBILITY_MS, PAGE_SIZE};
use crate::contract::{
    ApiRequest, ApiResponse, Conditional, ConnectorError, CreatedAt, CursorKind, Deletions, Listing, ObjectSpec, Order,
    Page, PageJob, Paging, Record, RecordError,
};
use crate::json::{Id, Mapped, Text, read_record, read_records};
use crate::model::{ObjectType, TaskProject};
use serde::Deserialize;
use serde_json::value::RawValue;

/// There is no filter by time of change. Older Redmines have no `sort` for projects either: their order is that of the
/// tree of projects, and one that is renamed moves in it.
const LISTING: Listing = Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Offset };

/// Active and closed projects. Closed ones are left out unless asked for (seen in 5.0), and would seem deleted.
const STATUSES: &str = "1|5";

pub(super) const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::TaskProject,
    raw_object: "project",
    live: LISTING,
    history: LISTING,
    page_size: PAGE_SIZE,
    result_window: None,
    late_visibility_ms: LATE_VISIBILITY_MS,
    granularity_ms: 1_000,
    deletions: Deletions::Silent,
    created_at: CreatedAt::True,
    parent: None,
    filters: &[],
    volatile: &[],
    native: &[],
    conditional: Conditional::Never,
};

#[derive(Deserialize)]
struct Projects<'a> {
    #[serde(borrow)]
    projects: Vec<&'a RawValue>,
    total_count: Option<u64>,
}

#[derive(Deserialize)]
struct OneProject<'a> {
    #[serde(borrow)]
    project: &'a RawValue,
}

#[derive(Deserialize)]
struct Project<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    parent: Option<Named<'a>>,
    #[serde(borrow, default)]
    created_on: Option<Text<'a>>,
    #[serde(borrow, default)]
    updated_on: Option<Text<'a>>,
}

pub(super) fn page_request() -> ApiRequest {
    ApiRequest::get("/projects.json").query("status", STATUSES).query("sort", "created_on")
}

pub(super) fn get_request(id: &str) -> ApiRequest {
    ApiRequest::get(format!("/projects/{}.json", crate::contract::encode_segment(id)))
}

pub(super) fn read_page<'a>(job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let Projects { projects, total_count } = response.json()?;
    let (records, bad) = read_records(&projects, map);
    Ok(Page { records, bad, next: super::next(job, projects.len(), total_count), cursor: None, total: total_count })
}

pub(super) fn read_one<'a>(response: &ApiResponse<'a>) -> Result<Result<Record<'a>, RecordError>, ConnectorError> {
    let OneProject { project } = response.json()?;
    Ok(read_record(project, map))
}

fn map(project: Project<'_>) -> Result<Mapped<'_, TaskProject<'_>>, RecordError> {
    let created_at = project.created_on.as_ref().map(time).transpose()?;
    let updated_at = project.updated_on.as_ref().map(time).transpose()?;
    Ok(Mapped {
        id: project.id.0.clone(),
        updated_at,
        created_at,
        deleted: false,
        revision: None,
        object: TaskProject {
            id: project.id.0,
            created_at: created_at.map(Into::into),
            updated_at: updated_at.map(Into::into),
            description: text(project.description),
            name: Some(project.name.0),
            parent_id: id(project.parent),
            ..TaskProject::default()
        },
    })
}
