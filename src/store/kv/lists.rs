//! Lists: ids behind an index, rows in the order of their keys, what is due, and a part of a list in its order.

use super::engine::{Read, Scan, Span, Tree};
use super::keys::{self, DueKind, FromKey, ID_BYTES, TIME_BYTES, join};
use super::rows::{damaged, from_json};
use crate::store::{ListOrder, ListPage, ListSort, ShardId, StoreError};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Ids at the end of index rows that begin with `prefix`, in their order, behind `after`.
pub(super) fn ids<T: FromKey>(
    read: &dyn Read,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<T>, StoreError> {
    let rows = read.range(Tree::Index, Span::after(prefix, after), Scan::Up).take(limit);
    rows.map(|row| T::from_key(&row?.0).ok_or_else(|| damaged("index"))).collect()
}

/// JSON rows in the order of their keys, behind `after`.
pub(super) fn rows<T: DeserializeOwned>(
    read: &dyn Read,
    tree: Tree,
    what: &'static str,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<T>, StoreError> {
    let rows = read.range(tree, Span::after(&[], after), Scan::Up).take(limit);
    rows.map(|row| from_json(what, &row?.1)).collect()
}

/// A feed or webhook that is due. They sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: DateTime<Utc>,
    pub(super) shard: ShardId,
    pub(super) id: [u8; ID_BYTES],
}

/// What of these shards is due until then, soonest first, and behind it the next one that is not. No shard is read
/// further than it has to be.
pub(super) fn due(
    read: &dyn Read,
    kind: DueKind,
    shards: &[ShardId],
    until: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Due>, StoreError> {
    let spans = shards.iter().map(|shard| Span::prefix(&join(kind as u8, &[&keys::shard(*shard)])));
    let mut scans = read.ranges(Tree::Due, spans.collect())?;
    let mut next = BinaryHeap::new();
    let mut draw = |next: &mut BinaryHeap<_>, from: usize| {
        if let Some((key, _)) = scans[from].next().transpose()? {
            next.push(Reverse((read_due(shards[from], &key).ok_or_else(|| damaged("due"))?, from)));
        }
        Ok(())
    };
    (0..shards.len()).try_for_each(|from| draw(&mut next, from))?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(Reverse((due, from))) = next.pop()
    {
        found.push(due);
        if due.at > until {
            break;
        }
        draw(&mut next, from)?;
    }
    Ok(found)
}

fn read_due(shard: ShardId, key: &[u8]) -> Option<Due> {
    let (at, id) = key.get(3..)?.split_at_checked(TIME_BYTES)?;
    Some(Due { at: keys::read_time(at)?, shard, id: id.try_into().ok()? })
}

/// What a row is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey {
    Name(String, String),
    Time(DateTime<Utc>),
}

impl SortKey {
    /// What a row of these is sorted by.
    pub(super) fn of(
        sort: ListSort,
        name: impl FnOnce() -> (String, String),
        created_at: DateTime<Utc>,
        updated_at: DateTime<Utc>,
    ) -> Self {
        match sort {
            ListSort::Name => {
                let (first, second) = name();
                SortKey::Name(first, second)
            }
            ListSort::UpdatedAt => SortKey::Time(updated_at),
            ListSort::CreatedAt => SortKey::Time(created_at),
        }
    }
}

/// The part of a list that a page asks for. Only keys and ids of what matched are held, not the rows.
pub(super) fn part<Id: Ord + Copy>(mut matches: Vec<(SortKey, Id)>, page: &ListPage) -> Vec<Id> {
    matches.sort_unstable_by(|a, b| match page.order {
        ListOrder::Ascending => a.cmp(b),
        ListOrder::Descending => b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)),
    });
    matches.into_iter().skip(page.offset).take(page.limit).map(|(_, id)| id).collect()
}
