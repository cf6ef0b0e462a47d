//! The sandbox's objects, and what each is in the unified model.
//!
//! The structs borrow from the answer, which the bound `'de: 'a` says once for all fields. A field that may be missing is
//! an `Option`; one that is missing though the vendor always sends it makes the record a bad one, which is set aside and
//! shown.

mod company;
mod contact;
mod deal;
mod ticket;

use crate::contract::{BadRecord, ConnectorError, Record, RecordError};
use crate::json::{self, Mapped, Text};
use crate::model::{self, Email, ObjectType, Reference, Telephone};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads the records of a page: those that can be read, and those that cannot.
pub(super) fn read_all<'a>(
    object_type: ObjectType,
    raws: &[&'a RawValue],
) -> Result<(Vec<Record<'a>>, Vec<BadRecord>), ConnectorError> {
    match object_type {
        ObjectType::CrmCompany => Ok(json::read_records(raws, company::company)),
        ObjectType::CrmContact => Ok(json::read_records(raws, contact::contact)),
        ObjectType::CrmDeal => Ok(json::read_records(raws, deal::deal)),
        ObjectType::TicketingTicket => Ok(json::read_records(raws, ticket::ticket)),
        other => Err(ConnectorError::unsupported(other.as_str())),
    }
}

/// Reads one record.
pub(super) fn read_one(object_type: ObjectType, raw: &RawValue) -> Result<Record<'_>, ConnectorError> {
    let record = match object_type {
        ObjectType::CrmCompany => json::read_record(raw, company::company),
        ObjectType::CrmContact => json::read_record(raw, contact::contact),
        ObjectType::CrmDeal => json::read_record(raw, deal::deal),
        ObjectType::TicketingTicket => json::read_record(raw, ticket::ticket),
        other => return Err(ConnectorError::unsupported(other.as_str())),
    };
    record.map_err(|error| ConnectorError::malformed(error.to_string()))
}

fn time(field: &str, text: &Text<'_>) -> Result<DateTime<Utc>, RecordError> {
    model::parse_time(&text.0).ok_or_else(|| RecordError(format!("{field} is no RFC 3339 time")))
}

fn list<'a>(item: Option<Text<'a>>) -> Vec<Cow<'a, str>> {
    item.into_iter().map(|text| text.0).collect()
}

fn texts(items: Vec<Text<'_>>) -> Vec<Cow<'_, str>> {
    items.into_iter().map(|text| text.0).collect()
}

fn work_email(email: Text<'_>) -> Email<'_> {
    Email { email: email.0, kind: Some("WORK") }
}

fn telephone<'a>(number: Text<'a>, kind: &'static str) -> Telephone<'a> {
    Telephone { telephone: number.0, kind: Some(kind) }
}

fn named(name: Text<'_>) -> Vec<Reference<'_>> {
    vec![Reference { name: Some(name.0), ..Reference::default() }]
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Address<'a> {
    city: Option<Text<'a>>,
    country_code: Option<Text<'a>>,
    line1: Option<Text<'a>>,
    postal_code: Option<Text<'a>>,
}

fn address(raw: Address<'_>) -> model::Address<'_> {
    model::Address {
        address1: raw.line1.map(|text| text.0),
        city: raw.city.map(|text| text.0),
        country_code: raw.country_code.map(|text| text.0),
        postal_code: raw.postal_code.map(|text| text.0),
        ..model::Address::default()
    }
}

fn mapped<'a, T>(
    id: Text<'a>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted: bool,
    object: T,
) -> Mapped<'a, T> {
    Mapped { id: id.0, updated_at: Some(updated_at), created_at: Some(created_at), deleted, revision: None, object }
}
