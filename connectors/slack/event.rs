//! Events (docs.slack.dev/apis/events-api): messages posted, edited and deleted.

use super::CHANNEL_FILTER;
use super::message::message;
use crate::contract::{Arrival, Change, ConnectorError, NativeEvent, Record, RecordError};
use crate::json::{Text, read_record};
use crate::model::{MessagingMessage, ObjectType};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    subtype: Option<Text<'a>>,
    /// An id, or an object in the events about channels.
    channel: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    deleted_ts: Option<Text<'a>>,
}

pub(super) fn read_event<'a>(event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let outer: Outer<'a> = serde_json::from_slice(event.body)?;
    let Some(raw) = outer.event else { return Ok(vec![Arrival::Ignore]) };
    let inner: Event<'a> = serde_json::from_str(raw.get())?;
    match &*inner.kind.0 {
        "message" => Ok(vec![read_message(raw, &inner)]),
        kind if kind.starts_with("channel_") || kind.starts_with("group_") => {
            Ok(vec![Arrival::PollNow(ObjectType::MessagingChannel)])
        }
        _ => Ok(vec![Arrival::Ignore]),
    }
}

/// What cannot be read is polled. A changed message stands in `message`; that a thread has a reply comes so too, and
/// without its subtype (docs.slack.dev/reference/events/message/message_replied, "Bug alert!").
fn read_message<'a>(raw: &'a RawValue, event: &Event<'a>) -> Arrival<'a> {
    let channel = event.channel.and_then(|raw| serde_json::from_str::<Text<'_>>(raw.get()).ok());
    let Some(channel) = channel.map(|channel| channel.0.into_owned()) else {
        return Arrival::PollNow(ObjectType::MessagingMessage);
    };
    let read = |raw: &'a RawValue| read_record(raw, |raw| message(raw, &channel));
    let found = match (event.subtype.as_ref().map(|subtype| &*subtype.0), event.message, &event.deleted_ts) {
        (Some("message_deleted"), _, Some(ts)) => gone(&channel, &ts.0).map(|record| (Change::Deleted, record)),
        (_, Some(changed), _) => read(changed).map(|record| (Change::Updated, record)),
        _ => read(raw).map(|record| (Change::Created, record)),
    };
    match found {
        Err(_) => Arrival::PollNow(ObjectType::MessagingMessage),
        Ok((change, record)) => Arrival::Record {
            object_type: ObjectType::MessagingMessage,
            change,
            record: Box::new(record),
            matches: vec![(CHANNEL_FILTER, channel.clone())],
            parent: Some(channel),
        },
    }
}

/// All that is known of a message that was deleted.
fn gone<'a>(channel: &str, ts: &str) -> Result<Record<'a>, RecordError> {
    let id = format!("{channel}:{ts}");
    let known = MessagingMessage {
        id: id.clone().into(),
        channel_id: Some(channel.to_owned().into()),
        ..MessagingMessage::default()
    };
    let object = serde_json::to_vec(&known)?;
    Ok(Record {
        id: id.into(),
        updated_at: None,
        created_at: None,
        deleted: true,
        revision: None,
        object,
        raw: "{}".into(),
    })
}
