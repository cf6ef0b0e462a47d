//! Boards and cards (developer.atlassian.com/cloud/trello/guides/rest-api/object-definitions).

use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{ObjectType, TaskProject, TaskTask, Timestamp, parse_time};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The fields that are asked for: those that are read, and those that make up a version.
pub(super) fn fields(object_type: ObjectType) -> &'static str {
    match object_type {
        ObjectType::TaskProject => "name,desc,closed,dateLastActivity,idOrganization,url",
        _ => "name,desc,closed,dateLastActivity,due,dueComplete,start,idBoard,idList,idMembers,labels,url",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Board<'a> {
    id: Text<'a>,
    name: Option<Text<'a>>,
    desc: Option<Text<'a>>,
    id_organization: Option<Text<'a>>,
    date_last_activity: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(super) struct Card<'a> {
    id: Text<'a>,
    name: Option<Text<'a>>,
    desc: Option<Text<'a>>,
    #[serde(default)]
    closed: bool,
    date_last_activity: Option<Text<'a>>,
    due: Option<Text<'a>>,
    #[serde(default)]
    due_complete: bool,
    start: Option<Text<'a>>,
    id_board: Option<Text<'a>>,
    id_list: Option<Text<'a>>,
    #[serde(default)]
    id_members: Vec<Text<'a>>,
    #[serde(default)]
    labels: Vec<Label<'a>>,
    url: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Label<'a> {
    name: Text<'a>,
}

/// The time in an id: its first eight digits are seconds in hexadecimal.
fn made_at(id: &str) -> Option<DateTime<Utc>> {
    i64::from_str_radix(id.get(..8)?, 16).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0))
}

fn date(text: Option<&Text<'_>>) -> Option<DateTime<Utc>> {
    text.and_then(|text| parse_time(&text.0))
}

fn filled(text: Option<Text<'_>>) -> Option<std::borrow::Cow<'_, str>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

pub(super) fn board(raw: Board<'_>) -> Result<Mapped<'_, TaskProject<'_>>, RecordError> {
    let (created_at, updated_at) = (made_at(&raw.id.0), date(raw.date_last_activity.as_ref()));
    let object = TaskProject {
        id: raw.id.0.clone(),
        created_at: created_at.map(Timestamp),
        updated_at: updated_at.map(Timestamp),
        description: filled(raw.desc),
        group_ids: filled(raw.id_organization).into_iter().collect(),
        name: filled(raw.name),
        ..TaskProject::default()
    };
    Ok(Mapped { id: raw.id.0, updated_at, created_at, deleted: false, revision: None, object })
}

/// A card is done where its date is marked complete, or where it is archived.
pub(super) fn card(raw: Card<'_>) -> Result<Mapped<'_, TaskTask<'_>>, RecordError> {
    let (created_at, updated_at) = (made_at(&raw.id.0), date(raw.date_last_activity.as_ref()));
    let status = if raw.due_complete || raw.closed { "COMPLETED" } else { "OPENED" };
    let object = TaskTask {
        id: raw.id.0.clone(),
        created_at: created_at.map(Timestamp),
        updated_at: updated_at.map(Timestamp),
        assigned_user_ids: raw.id_members.into_iter().map(|id| id.0).collect(),
        due_at: date(raw.due.as_ref()).map(Timestamp),
        group_ids: filled(raw.id_list).into_iter().collect(),
        name: filled(raw.name),
        notes: filled(raw.desc),
        project_id: filled(raw.id_board),
        start_at: date(raw.start.as_ref()).map(Timestamp),
        status: Some(status.into()),
        tags: raw.labels.into_iter().map(|label| label.name.0).filter(|name| !name.is_empty()).collect(),
        url: filled(raw.url),
        ..TaskTask::default()
    };
    Ok(Mapped { id: raw.id.0, updated_at, created_at, deleted: false, revision: None, object })
}
