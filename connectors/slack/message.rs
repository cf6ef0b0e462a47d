//! Messages (docs.slack.dev/reference/events/message). A message's `ts` is unique in its channel alone, so that its id
//! here is both, `C123ABC456:1355517523.000005`.

use super::parts::{time, ts};
use crate::contract::{ApiRequest, ConnectorError, PageJob, RecordError};
use crate::json::{Mapped, Text};
use crate::model::{MessagingAttachment, MessagingMember, MessagingMessage, MessagingReaction, Reference, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Message<'a> {
    ts: Text<'a>,
    user: Option<Text<'a>>,
    bot_id: Option<Text<'a>>,
    username: Option<Text<'a>>,
    text: Option<Text<'a>>,
    thread_ts: Option<Text<'a>>,
    edited: Option<Edited<'a>>,
    #[serde(default)]
    files: Vec<File<'a>>,
    #[serde(default)]
    reactions: Vec<Reaction<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Edited<'a> {
    ts: Text<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct File<'a> {
    name: Option<Text<'a>>,
    mimetype: Option<Text<'a>>,
    url_private_download: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Reaction<'a> {
    name: Text<'a>,
    #[serde(default)]
    users: Vec<Text<'a>>,
}

/// `oldest` leaves out its bound (docs.slack.dev/reference/methods/conversations.history, "inclusive").
pub(super) fn page_request(job: &PageJob<'_>) -> ApiRequest {
    ApiRequest::get("/conversations.history")
        .query("channel", job.parent_id())
        .query("limit", job.limit.to_string())
        .query_opt("oldest", job.updated_gte.map(ts))
        .query_opt("cursor", job.token())
}

/// docs.slack.dev/reference/methods/conversations.replies: `ts` is a message's, alone, with replies or itself a reply.
/// `conversations.history` knows no replies, which would seem deleted.
pub(super) fn get_request(id: &str) -> Result<ApiRequest, ConnectorError> {
    let (channel, ts) = split(id)?;
    Ok(ApiRequest::get("/conversations.replies")
        .query("channel", channel)
        .query("ts", ts)
        .query("oldest", ts)
        .query("latest", ts)
        .query("inclusive", "true"))
}

/// Whether this is the message of that `ts`: an answer may begin with the thread's first.
pub(super) fn has_ts(raw: &RawValue, ts: &str) -> bool {
    #[derive(Deserialize)]
    struct OnlyTs<'a> {
        #[serde(borrow)]
        ts: Text<'a>,
    }
    serde_json::from_str::<OnlyTs<'_>>(raw.get()).is_ok_and(|only| only.ts.0 == ts)
}

/// Channel and `ts` of an id.
pub(super) fn split(id: &str) -> Result<(&str, &str), ConnectorError> {
    id.split_once(':').ok_or_else(|| ConnectorError::malformed(format!("{id} is no channel with a ts")))
}

pub(super) fn message<'a>(raw: Message<'a>, channel: &str) -> Result<Mapped<'a, MessagingMessage<'a>>, RecordError> {
    let id = format!("{channel}:{}", raw.ts.0);
    let created_at = time(&raw.ts.0).ok_or_else(|| RecordError(format!("ts: {} is no time", raw.ts.0)))?;
    let edited_at = raw.edited.as_ref().and_then(|edited| time(&edited.ts.0));
    let updated_at = edited_at.unwrap_or(created_at);
    let revision = raw.edited.map_or_else(|| raw.ts.0.clone(), |edited| edited.ts.0);
    let parent = raw.thread_ts.filter(|thread| thread.0 != raw.ts.0).map(|thread| format!("{channel}:{}", thread.0));
    let author = raw.user.or(raw.bot_id);
    let member = MessagingMember { user_id: author.map(|id| id.0), name: raw.username.map(|name| name.0) };
    let attachment = |file: File<'a>| MessagingAttachment {
        filename: file.name.map(|text| text.0),
        content_type: file.mimetype.map(|text| text.0),
        download_url: file.url_private_download.map(|text| text.0),
    };
    let reaction = |reaction: Reaction<'a>| {
        let name = reaction.name.0;
        let by = move |user: Text<'a>| MessagingReaction {
            reaction: name.clone(),
            member: MessagingMember { user_id: Some(user.0), name: None },
        };
        reaction.users.into_iter().map(by).collect::<Vec<_>>()
    };
    let channel: Cow<'a, str> = Cow::Owned(channel.to_owned());
    let object = MessagingMessage {
        id: id.clone().into(),
        created_at: Some(Timestamp(created_at)),
        updated_at: Some(Timestamp(updated_at)),
        attachments: raw.files.into_iter().map(attachment).collect(),
        author_member: (member.user_id.is_some() || member.name.is_some()).then_some(member),
        channels: vec![Reference { id: Some(channel.clone()), ..Reference::default() }],
        channel_id: Some(channel.clone()),
        channel_ids: vec![channel],
        message: raw.text.map(|text| text.0),
        parent_id: parent.clone().map(Into::into),
        parent_message_id: parent.map(Into::into),
        reactions: raw.reactions.into_iter().flat_map(reaction).collect(),
        ..MessagingMessage::default()
    };
    Ok(Mapped {
        id: id.into(),
        updated_at: Some(updated_at),
        created_at: Some(created_at),
        deleted: false,
        revision: Some(revision),
        object,
    })
}
