//! Requests for help.

use super::{mapped, texts, time};
use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{TicketingTicket, Timestamp};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Ticket<'a> {
    id: Text<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    #[serde(default)]
    deleted: bool,
    description: Option<Text<'a>>,
    owner_id: Option<Text<'a>>,
    priority: Option<Text<'a>>,
    requester_id: Option<Text<'a>>,
    source: Option<Text<'a>>,
    status: Option<Text<'a>>,
    subject: Option<Text<'a>>,
    #[serde(default)]
    tags: Vec<Text<'a>>,
}

pub(super) fn ticket(raw: Ticket<'_>) -> Result<Mapped<'_, TicketingTicket<'_>>, RecordError> {
    let (created_at, updated_at) = (time("created_at", &raw.created_at)?, time("updated_at", &raw.updated_at)?);
    let status = raw.status.map(|status| if is_closed(&status.0) { "CLOSED" } else { "ACTIVE" });
    let object = TicketingTicket {
        id: raw.id.0.clone(),
        created_at: Some(Timestamp(created_at)),
        updated_at: Some(Timestamp(updated_at)),
        customer_id: raw.requester_id.map(|text| text.0),
        description: raw.description.map(|text| text.0),
        priority: raw.priority.map(|text| text.0),
        source: raw.source.map(|text| text.0),
        status: status.map(Cow::Borrowed),
        subject: raw.subject.map(|text| text.0),
        tags: texts(raw.tags),
        user_id: raw.owner_id.map(|text| text.0),
        ..TicketingTicket::default()
    };
    Ok(mapped(raw.id, created_at, updated_at, raw.deleted, object))
}

fn is_closed(status: &str) -> bool {
    matches!(status, "solved" | "closed")
}
