//! Listing: a query read, a page cut.

use super::Object;
use super::faults::Plan;
use super::index::{Index, Key};
use super::table::Table;
use anyhook_connectors::model::parse_time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use url::form_urlencoded;

/// Bytes of a page set aside per record, so that writing it seldom grows the buffer.
const RECORD_BYTES_GUESS: usize = 512;

/// What a listing is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    UpdatedAt,
    CreatedAt,
    Id,
}

/// What is listed, apart from where a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Selection {
    sort: Sort,
    descending: bool,
    gte_ms: Option<i64>,
    lt_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Offset(usize),
    After(Key),
}

/// A listing as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Query {
    selection: Selection,
    start: Start,
    limit: usize,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum QueryError {
    Invalid(String),
    CursorExpired,
}

fn invalid(message: impl Into<String>) -> QueryError {
    QueryError::Invalid(message.into())
}

impl Query {
    /// Reads the query of a URL.
    pub(super) fn parse(object: Object, query: &str, limit_max: u32) -> Result<Self, QueryError> {
        let mut selection = Selection { sort: Sort::UpdatedAt, descending: false, gte_ms: None, lt_ms: None };
        let mut start = Start::Offset(0);
        let mut limit = limit_max;
        let mut cursor = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (name.as_ref(), value.as_ref()) {
                ("updated_gte", at) => selection.gte_ms = Some(ceil_ms(time("updated_gte", at)?)),
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

fn time(name: &str, text: &str) -> Result<DateTime<Utc>, QueryError> {
    parse_time(text).ok_or_else(|| invalid(format!("{name} must be a time such as 2026-01-31T09:30:00.000Z")))
}

/// The first whole millisecond that is not before `at`.
fn ceil_ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis() + i64::from(!at.timestamp_subsec_nanos().is_multiple_of(1_000_000))
}

fn write_cursor(object: Object, selection: Selection, after: Key) -> String {
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

/// A page, serialised.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) body: Vec<u8>,
    pub(super) records: usize,
}

/// Cuts one page out of a table.
pub(super) fn list(table: &Table, query: &Query, plan: &Plan) -> Result<Listed, QueryError> {
    if plan.expired_cursor && matches!(query.start, Start::After(_)) {
        return Err(QueryError::CursorExpired);
    }
    let mut selection = query.selection;
    if plan.ignored_filter {
        (selection.gte_ms, selection.lt_ms) = (None, None);
    }
    let filtered = selection.gte_ms.is_some() || selection.lt_ms.is_some();
    let cut = if filtered && selection.sort != Sort::UpdatedAt {
        scan(table, &selection, query, plan)
    } else {
        seek(table, &selection, query, plan)
    };
    Ok(write(table, &query.selection, &cut, plan))
}

/// The keys of a page.
struct Cut {
    keys: Vec<Key>,
    more: bool,
    total: usize,
}

fn index_of(table: &Table, sort: Sort) -> &Index {
    match sort {
        Sort::UpdatedAt => &table.by_updated,
        Sort::CreatedAt => &table.by_created,
        Sort::Id => &table.by_id,
    }
}

/// By ranks alone: no record outside the page is looked at.
fn seek(table: &Table, selection: &Selection, query: &Query, plan: &Plan) -> Cut {
    let index = index_of(table, selection.sort);
    let low = selection.gte_ms.map_or(0, |ms| index.rank((ms, 0)));
    let high = selection.lt_ms.map_or(index.len(), |ms| index.rank((ms, 0))).max(low);
    let total = high - low;
    let passed = match query.start {
        Start::Offset(offset) => offset.min(total),
        Start::After(key) if selection.descending => total - (index.rank(key).clamp(low, high) - low),
        Start::After((ms, number)) => index.rank((ms, number + 1)).clamp(low, high) - low,
    };
    let passed = step_back(passed, plan);
    let count = query.limit.min(total - passed);
    let keys = if selection.descending {
        index.range_descending(high - passed - count, high - passed)
    } else {
        index.from(low + passed).take(count).collect()
    };
    Cut { keys, more: passed + count < total, total }
}

/// A filter by one field and an order by another: every record is looked at.
fn scan(table: &Table, selection: &Selection, query: &Query, plan: &Plan) -> Cut {
    let wanted = |ms: i64| selection.gte_ms.is_none_or(|low| ms >= low) && selection.lt_ms.is_none_or(|high| ms < high);
    let mut keys: Vec<Key> = index_of(table, selection.sort)
        .from(0)
        .filter(|(_, number)| table.listed(*number).is_some_and(|version| wanted(version.updated_ms)))
        .collect();
    if selection.descending {
        keys.reverse();
    }
    let total = keys.len();
    let passed = match query.start {
        Start::Offset(offset) => offset.min(total),
        Start::After(after) if selection.descending => keys.partition_point(|key| *key >= after),
        Start::After(after) => keys.partition_point(|key| *key <= after),
    };
    let passed = step_back(passed, plan);
    keys.drain(..passed);
    keys.truncate(query.limit);
    Cut { more: passed + keys.len() < total, keys, total }
}

fn step_back(passed: usize, plan: &Plan) -> usize {
    passed - usize::from(plan.duplicated_ids && passed > 0)
}

fn write(table: &Table, selection: &Selection, cut: &Cut, plan: &Plan) -> Listed {
    let mut body = Vec::with_capacity(128 + cut.keys.len() * RECORD_BYTES_GUESS);
    body.extend_from_slice(b"{\"data\":[");
    let mut records = 0;
    for (_, number) in &cut.keys {
        let Some(version) = table.listed(*number) else { continue };
        if records > 0 {
            body.push(b',');
        }
        if records == 0 && plan.bad_record {
            let id = table.object.id(*number);
            body.extend_from_slice(format!(r#"{{"id":"{id}","updated_at":"never"}}"#).as_bytes());
        } else {
            body.extend_from_slice(&version.json);
        }
        records += 1;
    }
    let next = match cut.keys.last() {
        Some(last) if cut.more => format!("\"{}\"", write_cursor(table.object, *selection, *last)),
        _ => "null".to_owned(),
    };
    let tail = format!("],\"has_more\":{},\"next_cursor\":{next},\"total\":{}}}", cut.more, cut.total);
    body.extend_from_slice(tail.as_bytes());
    Listed { body, records }
}
