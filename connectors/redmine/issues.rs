//! Issues, as tickets and as tasks (redmine.org, "Rest_Issues").

use super::parts::{Named, date, id, ids, name, text, time, timestamp};
use super::{LATE_VISIBILITY_MS, PAGE_SIZE};
use crate::contract::{
    ApiRequest, ApiResponse, Conditional, ConnectorError, CreatedAt, CursorKind, Deletions, FilterBound, Listing,
    ListingKind, ObjectSpec, Order, Page, PageJob, Paging, Record, RecordError,
};
use crate::json::{Id, Mapped, Text, read_record, read_records};
use crate::model::{Number, ObjectType, TaskTask, TicketingTicket, Timestamp};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A project by its id or identifier; issues of its subprojects are listed with it.
const PROJECT_FILTER: &str = "project_id";

/// `updated_on` can be filtered with `>=` and sorted by, and has whole seconds. Equal times are sorted by id.
const fn spec(object_type: ObjectType) -> ObjectSpec {
    ObjectSpec {
        object_type,
        raw_object: "issue",
        live: Listing {
            cursor: CursorKind::Updated(FilterBound::Inclusive),
            order: Order::UpdatedAscending,
            paging: Paging::Offset,
        },
        history: Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Offset },
        page_size: PAGE_SIZE,
        result_window: None,
        late_visibility_ms: LATE_VISIBILITY_MS,
        granularity_ms: 1_000,
        deletions: Deletions::Silent,
        created_at: CreatedAt::True,
        parent: None,
        filters: &[PROJECT_FILTER],
        volatile: &[],
        native: &[],
        conditional: Conditional::Never,
    }
}

pub(super) const TASK: ObjectSpec = spec(ObjectType::TaskTask);
pub(super) const TICKET: ObjectSpec = spec(ObjectType::TicketingTicket);

#[derive(Deserialize)]
struct Issues<'a> {
    #[serde(borrow)]
    issues: Vec<&'a RawValue>,
    total_count: Option<u64>,
}

#[derive(Deserialize)]
struct OneIssue<'a> {
    #[serde(borrow)]
    issue: &'a RawValue,
}

#[derive(Deserialize)]
struct Issue<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow, default)]
    project: Option<Named<'a>>,
    #[serde(borrow, default)]
    tracker: Option<Named<'a>>,
    status: Option<Status>,
    #[serde(borrow, default)]
    priority: Option<Named<'a>>,
    #[serde(borrow, default)]
    author: Option<Named<'a>>,
    #[serde(borrow, default)]
    assigned_to: Option<Named<'a>>,
    #[serde(borrow, default)]
    category: Option<Named<'a>>,
    #[serde(borrow, default)]
    parent: Option<Named<'a>>,
    #[serde(borrow, default)]
    subject: Option<Text<'a>>,
    #[serde(borrow, default)]
    description: Option<Text<'a>>,
    #[serde(borrow, default)]
    start_date: Option<Text<'a>>,
    #[serde(borrow, default)]
    due_date: Option<Text<'a>>,
    done_ratio: Option<f64>,
    spent_hours: Option<f64>,
    #[serde(borrow, default)]
    attachments: Vec<Named<'a>>,
    #[serde(borrow)]
    created_on: Text<'a>,
    #[serde(borrow)]
    updated_on: Text<'a>,
    #[serde(borrow, default)]
    closed_on: Option<Text<'a>>,
}

/// `is_closed` is there since Redmine 5.0.
#[derive(Deserialize)]
struct Status {
    is_closed: Option<bool>,
}

pub(super) fn page_request(job: &PageJob<'_>) -> ApiRequest {
    // Without `status_id=*` closed issues are left out.
    let request = ApiRequest::get("/issues.json").query("status_id", "*").query("include", "attachments");
    let request = request.query_opt(PROJECT_FILTER, job.filter(PROJECT_FILTER));
    match job.kind {
        ListingKind::History => request.query("sort", "id"),
        ListingKind::Live => request
            .query_opt("updated_on", job.updated_gte.map(|at| format!(">={}", timestamp(at))))
            .query("sort", "updated_on:asc,id"),
    }
}

pub(super) fn get_request(id: &str) -> ApiRequest {
    let id = crate::contract::encode_segment(id);
    ApiRequest::get(format!("/issues/{id}.json")).query("include", "attachments")
}

pub(super) fn read_page<'a>(job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let Issues { issues, total_count } = response.json()?;
    let (records, bad) = match job.spec.object_type {
        ObjectType::TaskTask => read_records(&issues, task),
        _ => read_records(&issues, ticket),
    };
    Ok(Page { records, bad, next: super::next(job, issues.len(), total_count), cursor: None, total: total_count })
}

pub(super) fn read_one<'a>(
    object_type: ObjectType,
    response: &ApiResponse<'a>,
) -> Result<Result<Record<'a>, RecordError>, ConnectorError> {
    let OneIssue { issue } = response.json()?;
    Ok(match object_type {
        ObjectType::TaskTask => read_record(issue, task),
        _ => read_record(issue, ticket),
    })
}

fn ticket(issue: Issue<'_>) -> Result<Mapped<'_, TicketingTicket<'_>>, RecordError> {
    let facts = Facts::of(&issue)?;
    Ok(facts.mapped(
        issue.id.0.clone(),
        TicketingTicket {
            id: issue.id.0,
            created_at: Some(facts.created_at.into()),
            updated_at: Some(facts.updated_at.into()),
            attachment_ids: ids(issue.attachments),
            category_id: id(issue.category),
            closed_at: facts.closed_at,
            customer_id: id(issue.author),
            description: text(issue.description),
            due_at: facts.due_at,
            priority: name(issue.priority),
            status: Some(Cow::Borrowed(if facts.is_closed { "CLOSED" } else { "ACTIVE" })),
            subject: text(issue.subject),
            user_id: id(issue.assigned_to),
            ..TicketingTicket::default()
        },
    ))
}

fn task(issue: Issue<'_>) -> Result<Mapped<'_, TaskTask<'_>>, RecordError> {
    let facts = Facts::of(&issue)?;
    let is_begun = issue.done_ratio.is_some_and(|percent| percent > 0.0);
    let status = match (facts.is_closed, is_begun) {
        (true, _) => "COMPLETED",
        (false, true) => "IN_PROGRESS",
        (false, false) => "OPENED",
    };
    Ok(facts.mapped(
        issue.id.0.clone(),
        TaskTask {
            id: issue.id.0,
            created_at: Some(facts.created_at.into()),
            updated_at: Some(facts.updated_at.into()),
            assigned_user_ids: id(issue.assigned_to).into_iter().collect(),
            attachment_ids: ids(issue.attachments),
            completed_at: facts.closed_at,
            creator_user_id: id(issue.author),
            due_at: facts.due_at,
            name: text(issue.subject),
            notes: text(issue.description),
            parent_id: id(issue.parent),
            priority: name(issue.priority),
            progress: issue.done_ratio.and_then(Number::new),
            project_id: id(issue.project),
            start_at: date(issue.start_date.as_ref())?,
            status: Some(Cow::Borrowed(status)),
            time_spent: issue.spent_hours.and_then(Number::new),
            time_spent_unit: issue.spent_hours.map(|_| Cow::Borrowed("hours")),
            kind: name(issue.tracker),
            ..TaskTask::default()
        },
    ))
}

/// What tickets and tasks both have to know.
struct Facts {
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    closed_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    is_closed: bool,
}

impl Facts {
    /// An issue that was opened again keeps its `closed_on`, so the status has the word where it says so.
    fn of(issue: &Issue<'_>) -> Result<Self, RecordError> {
        let says_closed = issue.status.as_ref().and_then(|status| status.is_closed);
        let is_closed = says_closed.unwrap_or(issue.closed_on.is_some());
        let closed_on = issue.closed_on.as_ref().filter(|_| is_closed);
        Ok(Facts {
            created_at: time(&issue.created_on)?,
            updated_at: time(&issue.updated_on)?,
            closed_at: closed_on.map(time).transpose()?.map(Timestamp),
            due_at: date(issue.due_date.as_ref())?,
            is_closed,
        })
    }

    fn mapped<'a, T>(&self, id: Cow<'a, str>, object: T) -> Mapped<'a, T> {
        Mapped {
            id,
            updated_at: Some(self.updated_at),
            created_at: Some(self.created_at),
            deleted: false,
            revision: None,
            object,
        }
    }
}
