//! Cutting a page out of a table.

use super::faults::Plan;
use super::index::{Index, Key};
use super::query::{Query, QueryError, Selection, Sort, Start, write_cursor};
use super::table::Table;

/// Bytes of a page set aside per record, so that writing it seldom grows the buffer.
const RECORD_BYTES_GUESS: usize = 512;

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
