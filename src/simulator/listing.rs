//! Cutting a page out of a table.

use super::index::{Index, Key};
use super::plan::Plan;
use super::query::{Query, QueryError, Selection, Sort, Start, write_cursor};
use super::table::{Table, Version};
use super::wear::worn;

/// Bytes of a page set aside per record, so that writing it seldom grows the buffer.
const RECORD_BYTES_GUESS: usize = 512;

/// A page, serialised.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) body: Vec<u8>,
    pub(super) records: usize,
    /// The numbers of the records listed, where more follow.
    pub(super) followed: Vec<u64>,
}

/// Cuts one page out of a table.
pub(super) fn list(table: &Table, query: &Query, plan: &Plan, now_ms: i64) -> Result<Listed, QueryError> {
    if plan.expired_cursor && matches!(query.start, Start::After(_)) {
        return Err(QueryError::CursorExpired);
    }
    check_window(query, plan)?;
    let mut selection = query.selection;
    if plan.ignored_filter {
        (selection.gte_ms, selection.lt_ms) = (None, None);
    }
    let view = View { table, as_of_ms: plan.behind_ms.map(|ms| now_ms.saturating_sub_unsigned(ms)) };
    let filtered = selection.gte_ms.is_some() || selection.lt_ms.is_some();
    let mut cut = if view.as_of_ms.is_some() || (filtered && selection.sort != Sort::UpdatedAt) {
        scan(&view, &selection, query, plan)
    } else {
        seek(table, &selection, query, plan)
    };
    if plan.empty_page && cut.more && matches!(query.start, Start::Offset(_)) {
        cut.keys.clear();
    }
    Ok(write(&view, &query.selection, &cut, plan, now_ms))
}

fn check_window(query: &Query, plan: &Plan) -> Result<(), QueryError> {
    match (query.start, plan.result_window) {
        (Start::Offset(offset), Some(window)) if offset + query.limit > window as usize => {
            Err(QueryError::BeyondWindow(format!("offset and limit reach beyond the first {window} results")))
        }
        _ => Ok(()),
    }
}

/// A table as an answer shows it.
struct View<'a> {
    table: &'a Table,
    /// Where it comes from a copy that is behind.
    as_of_ms: Option<i64>,
}

impl<'a> View<'a> {
    fn version(&self, number: u64) -> Option<&'a Version> {
        match self.as_of_ms {
            None => self.table.listed(number),
            Some(at_ms) => self.table.as_of(number, at_ms),
        }
    }

    /// All records in their order.
    fn sorted(&self, sort: Sort) -> Vec<Key> {
        let keys = index_of(self.table, sort).from(0);
        if self.as_of_ms.is_none() {
            return keys.collect();
        }
        let key = |number| self.version(number).map(|version| key_of(version, number, sort));
        let mut keys: Vec<Key> = keys.filter_map(|(_, number)| key(number)).collect();
        keys.sort_unstable();
        keys
    }
}

fn key_of(version: &Version, number: u64, sort: Sort) -> Key {
    match sort {
        Sort::UpdatedAt => (version.updated_ms, number),
        Sort::CreatedAt => (version.created_ms, number),
        Sort::Id => (0, number),
    }
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

/// A filter by one field and an order by another, or a copy that is behind: every record is looked at.
fn scan(view: &View<'_>, selection: &Selection, query: &Query, plan: &Plan) -> Cut {
    let wanted = |ms: i64| selection.gte_ms.is_none_or(|low| ms >= low) && selection.lt_ms.is_none_or(|high| ms < high);
    let is_wanted = |number| view.version(number).is_some_and(|version| wanted(version.updated_ms));
    let mut keys = view.sorted(selection.sort);
    keys.retain(|(_, number)| is_wanted(*number));
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

fn write(view: &View<'_>, selection: &Selection, cut: &Cut, plan: &Plan, now_ms: i64) -> Listed {
    let object = view.table.object;
    let mut body = Vec::with_capacity(128 + cut.keys.len() * RECORD_BYTES_GUESS);
    body.extend_from_slice(b"{\"data\":[");
    let mut records = 0;
    for (_, number) in &cut.keys {
        let Some(version) = view.version(*number) else { continue };
        if records > 0 {
            body.push(b',');
        }
        if records == 0 && plan.bad_record {
            let id = object.id(*number);
            body.extend_from_slice(format!(r#"{{"id":"{id}","updated_at":"never"}}"#).as_bytes());
        } else {
            body.extend_from_slice(&worn(&version.json, plan, now_ms, *number));
        }
        records += 1;
    }
    let next = match cut.keys.last() {
        Some(last) if cut.more => format!("\"{}\"", write_cursor(object, *selection, *last)),
        _ => "null".to_owned(),
    };
    let tail = format!("],\"has_more\":{},\"next_cursor\":{next},\"total\":{}}}", cut.more, cut.total);
    body.extend_from_slice(tail.as_bytes());
    let followed = cut.keys.iter().filter(|_| cut.more).map(|(_, number)| *number).collect();
    Listed { body, records, followed }
}
