//! Webhooks that HubSpot pushes (developers.hubspot.com, "Webhooks API"): lists of events that say what happened to
//! which id, and no more. What was changed is polled; of what was deleted all that is left to know is said.

use crate::contract::{Arrival, Change, ConnectorError, NativeEvent, Record};
use crate::json::{Id, Text};
use crate::model::{CrmCompany, CrmContact, CrmDeal, ObjectType, Timestamp};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    /// `contact.creation`, or `object.creation` with the type beside it.
    subscription_type: Text<'a>,
    object_type_id: Option<Text<'a>>,
    object_id: Option<Id<'a>>,
    /// Milliseconds since the epoch.
    occurred_at: Option<i64>,
}

impl Event<'_> {
    fn object_type(&self) -> Option<ObjectType> {
        let subject = self.subscription_type.0.split('.').next()?;
        match (subject, self.object_type_id.as_ref().map(|id| id.0.as_ref())) {
            ("contact", _) | ("object", Some("0-1")) => Some(ObjectType::CrmContact),
            ("company", _) | ("object", Some("0-2")) => Some(ObjectType::CrmCompany),
            ("deal", _) | ("object", Some("0-3")) => Some(ObjectType::CrmDeal),
            _ => None,
        }
    }

    fn is_deletion(&self) -> bool {
        matches!(self.subscription_type.0.split_once('.'), Some((_, "deletion" | "privacyDeletion")))
    }
}

pub(super) fn read_event<'a>(event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let events: Vec<Event<'a>> = serde_json::from_slice(event.body)?;
    let mut arrivals = Vec::new();
    let mut polled = Vec::new();
    for event in events {
        let Some(object_type) = event.object_type() else { continue };
        match (event.is_deletion(), event.object_id, event.occurred_at.and_then(DateTime::from_timestamp_millis)) {
            (true, Some(id), Some(at)) => arrivals.push(deletion(object_type, id, at)?),
            _ if polled.contains(&object_type) => {}
            _ => polled.push(object_type),
        }
    }
    arrivals.extend(polled.into_iter().map(Arrival::PollNow));
    Ok(if arrivals.is_empty() { vec![Arrival::Ignore] } else { arrivals })
}

fn deletion<'a>(object_type: ObjectType, id: Id<'a>, at: DateTime<Utc>) -> Result<Arrival<'a>, ConnectorError> {
    let updated_at = Some(Timestamp(at));
    let known = Cow::Borrowed(id.0.as_ref());
    let object = match object_type {
        ObjectType::CrmCompany => serde_json::to_vec(&CrmCompany { id: known, updated_at, ..CrmCompany::default() })?,
        ObjectType::CrmDeal => serde_json::to_vec(&CrmDeal { id: known, updated_at, ..CrmDeal::default() })?,
        _ => serde_json::to_vec(&CrmContact { id: known, updated_at, ..CrmContact::default() })?,
    };
    let record = Record {
        id: id.0,
        updated_at: Some(at),
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
