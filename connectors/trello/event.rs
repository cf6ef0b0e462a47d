//! Webhooks (developer.atlassian.com/cloud/trello/guides/rest-api/webhooks, "Example Webhook Response"). They carry the
//! action (developer.atlassian.com/cloud/trello/guides/rest-api/action-types) and parts of what it touched: what changed is polled, and of what was deleted all that is known is told.

use super::BOARD_FILTER;
use crate::contract::{Arrival, Change, ConnectorError, NativeEvent, Record};
use crate::json::Text;
use crate::model::{ObjectType, TaskTask};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    action: Action<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Action<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    data: Data<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Data<'a> {
    board: Option<Ref<'a>>,
    card: Option<Ref<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Ref<'a> {
    id: Text<'a>,
}

pub(super) fn read_event<'a>(event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let Event { action } = serde_json::from_slice(event.body)?;
    match (&*action.kind.0, action.data.card, action.data.board) {
        ("deleteCard", Some(card), board) => Ok(vec![deleted(card, board)?]),
        (_, Some(_), _) => Ok(vec![Arrival::PollNow(ObjectType::TaskTask)]),
        (kind, None, Some(_)) if kind.ends_with("List") => Ok(vec![Arrival::PollNow(ObjectType::TaskTask)]),
        (_, None, Some(_)) => Ok(vec![Arrival::PollNow(ObjectType::TaskProject)]),
        (_, None, None) => Ok(vec![Arrival::Ignore]),
    }
}

fn deleted<'a>(card: Ref<'a>, board: Option<Ref<'a>>) -> Result<Arrival<'a>, ConnectorError> {
    let board = board.map(|board| board.id.0.into_owned());
    let known = TaskTask { id: card.id.0.clone(), project_id: board.clone().map(Into::into), ..TaskTask::default() };
    let object = serde_json::to_vec(&known)?;
    let record = Record {
        id: card.id.0,
        updated_at: None,
        created_at: None,
        deleted: true,
        revision: None,
        object,
        raw: "{}".into(),
    };
    let matches = board.iter().map(|id| (BOARD_FILTER, id.clone())).collect();
    Ok(Arrival::Record {
        object_type: ObjectType::TaskTask,
        change: Change::Deleted,
        record: Box::new(record),
        matches,
        parent: board,
    })
}
