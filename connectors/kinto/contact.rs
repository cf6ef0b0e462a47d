//! A record as a contact.
//!
//! Kinto's records have no fixed fields. Those that are called as in the unified object, and a few common names besides,
//! are taken where they have the form expected; everything else is in the raw object alone.

use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{CrmContact, Email, Telephone, Timestamp};
use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A field that may hold anything.
type Free<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Record<'a> {
    id: Text<'a>,
    /// Milliseconds since the epoch.
    last_modified: i64,
    /// True in tombstones, which have nothing but this, an id and a time.
    #[serde(borrow)]
    deleted: Free<'a>,
    #[serde(borrow)]
    company: Free<'a>,
    #[serde(borrow)]
    department: Free<'a>,
    #[serde(borrow)]
    email: Free<'a>,
    #[serde(borrow)]
    emails: Free<'a>,
    #[serde(borrow)]
    first_name: Free<'a>,
    #[serde(borrow)]
    image_url: Free<'a>,
    #[serde(borrow)]
    last_name: Free<'a>,
    #[serde(borrow)]
    link_urls: Free<'a>,
    #[serde(borrow)]
    mobile: Free<'a>,
    #[serde(borrow)]
    name: Free<'a>,
    #[serde(borrow)]
    phone: Free<'a>,
    #[serde(borrow)]
    title: Free<'a>,
    #[serde(borrow)]
    user_id: Free<'a>,
}

fn text(field: Free<'_>) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(field?.get()).ok().map(|text| text.0).filter(|text| !text.is_empty())
}

fn texts(field: Free<'_>) -> Vec<Cow<'_, str>> {
    let items: Option<Vec<Text<'_>>> = field.and_then(|raw| serde_json::from_str(raw.get()).ok());
    items.unwrap_or_default().into_iter().map(|text| text.0).collect()
}

fn telephone<'a>(field: Free<'a>, kind: Option<&'static str>) -> Option<Telephone<'a>> {
    text(field).map(|telephone| Telephone { telephone, kind })
}

pub(super) fn contact(record: Record<'_>) -> Result<Mapped<'_, CrmContact<'_>>, RecordError> {
    let updated_at = DateTime::from_timestamp_millis(record.last_modified)
        .ok_or_else(|| RecordError("last_modified is no time in milliseconds".to_owned()))?;
    let emails = text(record.email).into_iter().chain(texts(record.emails));
    let telephones = [telephone(record.phone, None), telephone(record.mobile, Some("MOBILE"))];
    let object = CrmContact {
        id: record.id.0.clone(),
        updated_at: Some(Timestamp(updated_at)),
        company: text(record.company),
        department: text(record.department),
        emails: emails.map(|email| Email { email, kind: None }).collect(),
        first_name: text(record.first_name),
        image_url: text(record.image_url),
        last_name: text(record.last_name),
        link_urls: texts(record.link_urls),
        name: text(record.name),
        telephones: telephones.into_iter().flatten().collect(),
        title: text(record.title),
        user_id: text(record.user_id),
        ..CrmContact::default()
    };
    Ok(Mapped {
        id: record.id.0,
        updated_at: Some(updated_at),
        created_at: None,
        deleted: record.deleted.is_some_and(|deleted| deleted.get() == "true"),
        revision: Some(Cow::Owned(record.last_modified.to_string())),
        object,
    })
}
