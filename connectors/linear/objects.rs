//! Issues, projects and comments (linear.app/developers/graphql; the schema is public in the API's explorer).

use crate::contract::{BadRecord, ConnectorError, Record, RecordError};
use crate::json::{Mapped, Text, read_record, read_records};
use crate::model::{Number, ObjectType, TaskComment, TaskProject, TaskTask, Timestamp, parse_time};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Ref<'a> {
    id: Text<'a>,
}

#[derive(Deserialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Named<'a> {
    name: Text<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct State<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Issue<'a> {
    id: Text<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    trashed: Option<bool>,
    title: Option<Text<'a>>,
    description: Option<Text<'a>>,
    url: Option<Text<'a>>,
    priority_label: Option<Text<'a>>,
    estimate: Option<f64>,
    due_date: Option<Text<'a>>,
    started_at: Option<Text<'a>>,
    completed_at: Option<Text<'a>>,
    canceled_at: Option<Text<'a>>,
    assignee: Option<Ref<'a>>,
    creator: Option<Ref<'a>>,
    parent: Option<Ref<'a>>,
    project: Option<Ref<'a>>,
    team: Option<Ref<'a>>,
    state: Option<State<'a>>,
    labels: Option<Nodes<Named<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Project<'a> {
    id: Text<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    trashed: Option<bool>,
    name: Option<Text<'a>>,
    description: Option<Text<'a>>,
    lead: Option<Ref<'a>>,
    teams: Option<Nodes<Ref<'a>>>,
    members: Option<Nodes<Ref<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Comment<'a> {
    id: Text<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    body: Option<Text<'a>>,
    issue: Option<Ref<'a>>,
    user: Option<Ref<'a>>,
}

pub(super) fn read_all<'a>(
    object_type: ObjectType,
    raws: &[&'a RawValue],
) -> Result<(Vec<Record<'a>>, Vec<BadRecord>), ConnectorError> {
    match object_type {
        ObjectType::TaskComment => Ok(read_records(raws, comment)),
        ObjectType::TaskProject => Ok(read_records(raws, project)),
        ObjectType::TaskTask => Ok(read_records(raws, issue)),
        other => Err(ConnectorError::unsupported(format!("listing {other}"))),
    }
}

pub(super) fn read_one(object_type: ObjectType, raw: &RawValue) -> Result<Record<'_>, ConnectorError> {
    let record = match object_type {
        ObjectType::TaskComment => read_record(raw, comment),
        ObjectType::TaskProject => read_record(raw, project),
        ObjectType::TaskTask => read_record(raw, issue),
        other => return Err(ConnectorError::unsupported(format!("getting {other}"))),
    };
    record.map_err(|error| ConnectorError::malformed(error.0))
}

fn issue(raw: Issue<'_>) -> Result<Mapped<'_, TaskTask<'_>>, RecordError> {
    let times = times(&raw.created_at, &raw.updated_at)?;
    let object = TaskTask {
        id: raw.id.0.clone(),
        created_at: Some(Timestamp(times.0)),
        updated_at: Some(Timestamp(times.1)),
        assigned_user_ids: list(raw.assignee),
        completed_at: date(&raw.completed_at),
        creator_user_id: id(raw.creator),
        due_at: date(&raw.due_date),
        end_at: date(&raw.canceled_at).or(date(&raw.completed_at)),
        group_ids: list(raw.team),
        name: text(raw.title),
        notes: text(raw.description),
        parent_id: id(raw.parent),
        priority: text(raw.priority_label),
        project_id: id(raw.project),
        start_at: date(&raw.started_at),
        status: raw.state.as_ref().map(|state| Cow::Borrowed(status(&state.kind.0))),
        story_points: raw.estimate.and_then(Number::new),
        tags: raw.labels.into_iter().flat_map(|labels| labels.nodes).map(|label| label.name.0).collect(),
        url: text(raw.url),
        ..TaskTask::default()
    };
    Ok(mapped(raw.id, times, raw.trashed, object))
}

fn project(raw: Project<'_>) -> Result<Mapped<'_, TaskProject<'_>>, RecordError> {
    let times = times(&raw.created_at, &raw.updated_at)?;
    let lead = id(raw.lead);
    let members = raw.members.into_iter().flat_map(|members| members.nodes).map(|member| member.id.0);
    let members = members.filter(|member| lead.as_ref() != Some(member)).collect::<Vec<_>>();
    let object = TaskProject {
        id: raw.id.0.clone(),
        created_at: Some(Timestamp(times.0)),
        updated_at: Some(Timestamp(times.1)),
        description: text(raw.description),
        group_ids: raw.teams.into_iter().flat_map(|teams| teams.nodes).map(|team| team.id.0).collect(),
        name: text(raw.name),
        user_ids: lead.into_iter().chain(members).collect(),
        ..TaskProject::default()
    };
    Ok(mapped(raw.id, times, raw.trashed, object))
}

fn comment(raw: Comment<'_>) -> Result<Mapped<'_, TaskComment<'_>>, RecordError> {
    let times = times(&raw.created_at, &raw.updated_at)?;
    let object = TaskComment {
        id: raw.id.0.clone(),
        created_at: Some(Timestamp(times.0)),
        updated_at: Some(Timestamp(times.1)),
        task_id: id(raw.issue),
        text: text(raw.body),
        user_id: id(raw.user),
    };
    Ok(mapped(raw.id, times, None, object))
}

/// A state's type is `triage`, `backlog`, `unstarted`, `started`, `completed`, `canceled` or `duplicate`.
fn status(state: &str) -> &'static str {
    match state {
        "started" => "IN_PROGRESS",
        "completed" | "canceled" | "duplicate" => "COMPLETED",
        _ => "OPENED",
    }
}

fn mapped<'a, T>(
    id: Text<'a>,
    (created_at, updated_at): (DateTime<Utc>, DateTime<Utc>),
    trashed: Option<bool>,
    object: T,
) -> Mapped<'a, T> {
    let deleted = trashed.unwrap_or_default();
    Mapped { id: id.0, updated_at: Some(updated_at), created_at: Some(created_at), deleted, revision: None, object }
}

fn times(created_at: &Text<'_>, updated_at: &Text<'_>) -> Result<(DateTime<Utc>, DateTime<Utc>), RecordError> {
    let time = |name: &str, text: &Text<'_>| {
        parse_time(&text.0).ok_or_else(|| RecordError(format!("{name} is no RFC 3339 time")))
    };
    Ok((time("createdAt", created_at)?, time("updatedAt", updated_at)?))
}

/// A time, or a day, which is midnight UTC.
fn date(text: &Option<Text<'_>>) -> Option<Timestamp> {
    let text = &text.as_ref()?.0;
    let midnight =
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    parse_time(text).or_else(midnight).map(Timestamp)
}

fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

fn id(reference: Option<Ref<'_>>) -> Option<Cow<'_, str>> {
    reference.map(|reference| reference.id.0)
}

fn list(reference: Option<Ref<'_>>) -> Vec<Cow<'_, str>> {
    id(reference).into_iter().collect()
}
