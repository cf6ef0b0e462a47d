//! Queries and their answers (linear.app/developers/graphql, "Pagination", "Filtering"). A list is always called `page`
//! in the answer.

use crate::contract::{ApiRequest, ApiResponse, ConnectorError, Method, Verdict};
use crate::json::Text;
use crate::model::ObjectType;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A list of issues. Nested lists multiply what a query costs, so that only the first labels of an issue are read.
const ISSUES: &str = "query($first:Int!,$after:String,$orderBy:PaginationOrderBy,$filter:IssueFilter){\
    page:issues(first:$first,after:$after,orderBy:$orderBy,filter:$filter,includeArchived:true){nodes{\
    id identifier title description url priority priorityLabel estimate dueDate createdAt updatedAt startedAt \
    completedAt canceledAt archivedAt trashed assignee{id} creator{id} parent{id} project{id} team{id} \
    state{id name type} labels(first:10){nodes{id name}}}pageInfo{hasNextPage endCursor}}}";

const PROJECTS: &str = "query($first:Int!,$after:String,$orderBy:PaginationOrderBy,$filter:ProjectFilter){\
    page:projects(first:$first,after:$after,orderBy:$orderBy,filter:$filter,includeArchived:true){nodes{\
    id name description url createdAt updatedAt startedAt completedAt canceledAt archivedAt trashed lead{id} creator{id} \
    teams(first:5){nodes{id}} members(first:10){nodes{id}}}pageInfo{hasNextPage endCursor}}}";

const COMMENTS: &str = "query($first:Int!,$after:String,$orderBy:PaginationOrderBy,$filter:CommentFilter){\
    page:comments(first:$first,after:$after,orderBy:$orderBy,filter:$filter,includeArchived:true){nodes{\
    id body url createdAt updatedAt editedAt archivedAt issue{id} parent{id} user{id}}\
    pageInfo{hasNextPage endCursor}}}";

/// What of a list is asked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Since>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Equal<'a>>,
}

#[derive(Serialize)]
struct Since {
    gte: String,
}

#[derive(Serialize)]
struct Equal<'a> {
    eq: &'a str,
}

impl<'a> Filter<'a> {
    pub(super) fn since(at: DateTime<Utc>) -> Self {
        Filter { updated_at: Some(Since { gte: at.to_rfc3339_opts(SecondsFormat::Millis, true) }), id: None }
    }

    pub(super) fn id(id: &'a str) -> Self {
        Filter { updated_at: None, id: Some(Equal { eq: id }) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Variables<'a> {
    first: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
    order_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Filter<'a>>,
}

pub(super) fn list(
    object_type: ObjectType,
    filter: Option<Filter<'_>>,
    order_by: &str,
    first: u32,
    after: Option<&str>,
) -> Result<ApiRequest, ConnectorError> {
    let query = match object_type {
        ObjectType::TaskComment => COMMENTS,
        ObjectType::TaskProject => PROJECTS,
        ObjectType::TaskTask => ISSUES,
        other => return Err(ConnectorError::unsupported(format!("listing {other}"))),
    };
    request(query, &Variables { first, after, order_by, filter })
}

/// The request of a query or mutation.
pub(super) fn request(query: &'static str, variables: &impl Serialize) -> Result<ApiRequest, ConnectorError> {
    #[derive(Serialize)]
    struct Document<'a, V> {
        query: &'static str,
        variables: &'a V,
    }
    let mut request = ApiRequest::new(Method::Post, "/graphql").header("content-type", "application/json");
    request.body = Some(serde_json::to_string(&Document { query, variables })?);
    Ok(request)
}

/// An answer.
#[derive(Deserialize)]
pub(super) struct Answer<T> {
    pub(super) data: T,
}

#[derive(Deserialize)]
struct Lists<'a> {
    #[serde(borrow)]
    page: List<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<'a> {
    #[serde(borrow)]
    pub(super) nodes: Vec<&'a RawValue>,
    pub(super) page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

pub(super) fn read<'a>(response: &ApiResponse<'a>) -> Result<List<'a>, ConnectorError> {
    let answer: Answer<Lists<'a>> = response.json()?;
    Ok(answer.data.page)
}

#[derive(Deserialize, Default)]
struct Errors<'a> {
    #[serde(borrow, default)]
    errors: Vec<Problem<'a>>,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default)]
    extensions: Extensions<'a>,
}

#[derive(Deserialize, Default)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Extensions<'a> {
    code: Option<Text<'a>>,
    #[serde(rename = "type")]
    kind: Option<Text<'a>>,
}

/// Errors come in the body, with a status of 200 or 400 as often as with another ("Error handling", and "Rate limiting"
/// for `RATELIMITED` with 400). An answer with part of what was asked for and an error is no answer.
pub(super) fn judge(response: &ApiResponse<'_>) -> Verdict {
    let by_status = Verdict::of_status(response.status);
    // Text that holds this has its quotes escaped, so good answers are hardly ever read twice.
    let mentions_errors = response.body.windows(8).any(|bytes| bytes == b"\"errors\"");
    let errors = if mentions_errors { response.json::<Errors<'_>>().unwrap_or_default().errors } else { Vec::new() };
    let verdicts = errors.iter().map(|problem| match (&problem.extensions.code, &problem.extensions.kind) {
        _ if problem.message.0.starts_with("Entity not found") => Verdict::NotFound,
        (Some(code), _) => of_code(&code.0, response.status),
        (None, Some(kind)) => of_code(&kind.0.to_ascii_uppercase().replace(' ', "_"), response.status),
        (None, None) => of_code("", response.status),
    });
    verdicts.min_by_key(|verdict| rank(*verdict)).unwrap_or(by_status)
}

fn of_code(code: &str, status: u16) -> Verdict {
    match code {
        "RATELIMITED" => Verdict::RateLimited,
        "AUTHENTICATION_ERROR" => Verdict::Credential,
        "INTERNAL_ERROR" | "INTERNAL_SERVER_ERROR" | "LOCK_TIMEOUT" | "NETWORK_ERROR" => Verdict::Transient,
        "" if status == 200 => Verdict::Transient,
        _ => match Verdict::of_status(status) {
            Verdict::Read | Verdict::NotFound => Verdict::Permanent,
            verdict => verdict,
        },
    }
}

/// Of several errors, which one decides.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Credential => 0,
        Verdict::RateLimited => 1,
        Verdict::Permanent => 2,
        Verdict::NotFound => 3,
        _ => 4,
    }
}
