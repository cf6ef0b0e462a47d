//! What a listing is asked for: its query, and cursors, which carry one.

use super::Object;
use super::index::Key;
use anyhook_connectors::model::{Zone, parse_time};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use url::form_urlencoded;

/// What a listing is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    UpdatedAt,
    CreatedAt,
    Id,
}

/// What is listed, apart from where a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) sort: Sort,
    pub(super) descending: bool,
    pub(super) gte_ms: Option<i64>,
    pub(super) lt_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Offset(usize),
    After(Key),
}

/// A listing as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) selection: Selection,
    pub(super) start: Start,
    pub(super) limit: usize,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum QueryError {
    Invalid(String),
    BeyondWindow(String),
    CursorExpired,
}

fn invalid(message: impl Into<String>) -> QueryError {
    QueryError::Invalid(message.into())
}

impl Query {
    /// Reads the query of a URL, with times of this zone if they are local.
    pub(super) fn parse(object: Object, query: &str, limit_max: u32, zone: Option<Zone>) -> Result<Self, QueryError> {
        let time = |name: &str, text: &str| time(name, text, zone);
        let mut selection = Selection { sort: Sort::UpdatedAt, descending: false, gte_ms: None, lt_ms: None };
        let mut start = Start::Offset(0);
        let mut limit = limit_max;
        let mut cursor = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (name.as_ref(), value.as_ref()) {
                ("updated_gte", at) => selection.gte_ms = Some(ceil_ms(time("updated_gte", at)?)),
                ("updated_gt", at) => selection.gte_ms = Some(time("updated_gt", at)?.timestamp_millis() + 1),
                ("updated_lt", at) => selection.lt_ms = Some(ceil_ms(time("updated_lt", at)?)),
                ("sort", "updated_at") => selection.sort = Sort::UpdatedAt,
                ("sort", "created_at") => selection.sort = Sort::CreatedAt,
                ("sort", "id") => selection.sort = Sort::Id,
                ("sort", _) => return Err(invalid("sort must be updated_at, created_at or id")),
                ("order", "asc") => selection.descending = false,
                ("order", "desc") => selection.descending = true,
                ("order", _) => return Err(invalid("order must be asc or desc")),
                ("limit", text) => {
                    limit = text
                        .parse()
                        .ok()
                        .filter(|limit| (1..=limit_max).contains(limit))
                        .ok_or_else(|| invalid(format!("limit must be a number from 1 to {limit_max}")))?;
                }
                ("offset", text) => {
                    start = Start::Offset(text.parse().map_err(|_| invalid("offset must be a number"))?);
                }
                ("cursor", text) => cursor = Some(read_cursor(object, text)?),
                (other, _) => return Err(invalid(format!("{other} is no parameter of this listing"))),
            }
        }
        if let Some((from_cursor, after)) = cursor {
            selection = from_cursor;
            start = Start::After(after);
        }
        Ok(Query { selection, start, limit: limit as usize })
    }
}

fn time(name: &str, text: &str, zone: Option<Zone>) -> Result<DateTime<Utc>, QueryError> {
    let (at, like) = match zone {
        None => (parse_time(text), "2026-01-31T09:30:00.000Z"),
        Some(zone) => (zone.read(text).map(|at| last_shown(zone, at)), "2026-01-31T09:30:00.000"),
    };
    at.ok_or_else(|| invalid(format!("{name} must be a time such as {like}")))
}

/// The later of two instants at which the clocks of a zone show the same.
fn last_shown(zone: Zone, at: DateTime<Utc>) -> DateTime<Utc> {
    let later = at + TimeDelta::hours(1);
    if zone.local(later) == zone.local(at) { later } else { at }
}

/// The first whole millisecond that is not before `at`.
fn ceil_ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis() + i64::from(!at.timestamp_subsec_nanos().is_multiple_of(1_000_000))
}

pub(super) fn write_cursor(object: Object, selection: Selection, after: Key) -> String {
    let bound = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
    URL_SAFE_NO_PAD.encode(format!(
        "1 {} {} {} {} {} {} {}",
        object.plural(),
        selection.sort as u8,
        u8::from(selection.descending),
        bound(selection.gte_ms),
        bound(selection.lt_ms),
        after.0,
        after.1
    ))
}

fn read_cursor(object: Object, text: &str) -> Result<(Selection, Key), QueryError> {
    decode_cursor(object, text).ok_or_else(|| invalid("cursor is none that this listing gave"))
}

fn decode_cursor(object: Object, text: &str) -> Option<(Selection, Key)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let parts: Vec<&str> = text.split(' ').collect();
    let &["1", name, sort, descending, gte, lt, ms, number] = parts.as_slice() else { return None };
    let bound = |text: &str| if text == "-" { Some(None) } else { text.parse().ok().map(Some) };
    let sort = match sort {
        "0" => Sort::UpdatedAt,
        "1" => Sort::CreatedAt,
        "2" => Sort::Id,
        _ => return None,
    };
    let selection = Selection { sort, descending: descending == "1", gte_ms: bound(gte)?, lt_ms: bound(lt)? };
    (name == object.plural()).then_some((selection, (ms.parse().ok()?, number.parse().ok()?)))
}
