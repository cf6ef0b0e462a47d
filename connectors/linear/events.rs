//! Webhooks that Linear pushes (linear.app/developers/webhooks). Their objects have other fields than the lists here ask
//! for, so what was created or updated is polled; of what was removed all that is left to know is said.

use crate::contract::{Arrival, Change, ConnectorError, NativeEvent, Record};
use crate::json::Text;
use crate::model::{ObjectType, TaskComment, TaskProject, TaskTask, Timestamp, parse_time};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    /// `create`, `update` or `remove`.
    action: Option<Text<'a>>,
    #[serde(rename = "type")]
    kind: Text<'a>,
    /// When it happened.
    created_at: Option<Text<'a>>,
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Data<'a> {
    id: Text<'a>,
}

/// What events call each type.
pub(super) const NAMES: [(ObjectType, &str); 3] =
    [(ObjectType::TaskComment, "Comment"), (ObjectType::TaskProject, "Project"), (ObjectType::TaskTask, "Issue")];

pub(super) fn read_event<'a>(event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let event: Event<'a> = serde_json::from_slice(event.body)?;
    let Some((object_type, _)) = NAMES.into_iter().find(|(_, name)| *name == event.kind.0) else {
        return Ok(vec![Arrival::Ignore]);
    };
    let at = event.created_at.and_then(|text| parse_time(&text.0));
    match (event.action.as_ref().map(|action| action.0.as_ref()), event.data, at) {
        (Some("remove"), Some(data), Some(at)) => Ok(vec![removed(object_type, data.id, Timestamp(at))?]),
        _ => Ok(vec![Arrival::PollNow(object_type)]),
    }
}

fn removed<'a>(object_type: ObjectType, id: Text<'a>, at: Timestamp) -> Result<Arrival<'a>, ConnectorError> {
    let (known, updated_at) = (Cow::Borrowed(id.0.as_ref()), Some(at));
    let object = match object_type {
        ObjectType::TaskComment => serde_json::to_vec(&TaskComment { id: known, updated_at, ..TaskComment::default() }),
        ObjectType::TaskProject => serde_json::to_vec(&TaskProject { id: known, updated_at, ..TaskProject::default() }),
        _ => serde_json::to_vec(&TaskTask { id: known, updated_at, ..TaskTask::default() }),
    }?;
    let record = Record {
        id: id.0,
        updated_at: Some(at.0),
        created_at: None,
        deleted: true,
        revision: None,
        object,
        raw: "{}".into(),
    };
    Ok(Arrival::Record {
        object_type,
        change: Change::Deleted,
        record: Box::new(record),
        matches: Vec::new(),
        parent: None,
    })
}
