//! Tables: which one a tree is, what leads its keys, and how its rows lie.
//!
//! Every table's primary key is led by `home`: two bytes out of the id that a key begins with. Ids of what belongs to a
//! connection carry its home, so that a database which is spread over machines by that column keeps together what is
//! written together. Trees that are looked through as a whole have one home.

use crate::ids::HOME;
use crate::store::kv::engine::{Span, Tree};
use crate::store::kv::index_owner_at;

/// Bytes of an id.
const ID_BYTES: usize = 12;
/// Where a call's time stands in its key: behind the workspace.
const CALL_TIME_AT: usize = ID_BYTES;
const SECONDS_PER_DAY: i64 = 86_400;

/// How a table's rows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Written once, or seldom.
    Plain,
    /// Written over all the time: pages leave room, so that a new version stays beside the old one and no index is
    /// touched; and rows that fit into a page stay there as they are, since compressing a leaf of the ledger each time
    /// costs more than all else of its write.
    Hot,
    /// Compressed already, and large.
    Bytes,
    /// Partitioned by day, so that what is old goes by dropping a table.
    Dated(Dated),
}

/// Which day a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dated {
    /// The one in its key.
    Key,
    /// The one it is written on.
    Now,
}

/// How a tree's rows lie.
pub(super) fn shape(tree: Tree) -> Shape {
    match tree {
        Tree::LogHeads
        | Tree::Deliveries
        | Tree::FeedMarks
        | Tree::FeedStates
        | Tree::Progress
        | Tree::CallCounters
        | Tree::NotificationCounts
        | Tree::Insights
        | Tree::Kept
        | Tree::Jobs
        | Tree::Ledger => Shape::Hot,
        Tree::Spool => Shape::Bytes,
        Tree::LogPages => Shape::Dated(Dated::Now),
        Tree::Calls => Shape::Dated(Dated::Key),
        _ => Shape::Plain,
    }
}

/// Where the id stands in a key that says where the row is at home; none for trees with one home.
fn owner_at(tree: Tree, key: &[u8]) -> Option<usize> {
    match tree {
        Tree::Meta
        | Tree::Workspaces
        | Tree::Kept
        | Tree::Due
        | Tree::Leases
        | Tree::Nodes
        | Tree::Pauses
        | Tree::Graves => None,
        Tree::Index => index_owner_at(*key.first()?),
        Tree::CallRings | Tree::CallCounters => Some(1),
        _ => Some(0),
    }
}

/// The home of a row; none where the key does not reach as far as the id.
pub(super) fn home(tree: Tree, key: &[u8]) -> Option<i16> {
    let Some(owner) = owner_at(tree, key) else { return Some(0) };
    key.get(owner..)?.get(HOME)?.try_into().ok().map(i16::from_be_bytes)
}

/// The home of all rows of a range; none where they have several.
pub(super) fn home_of(tree: Tree, span: &Span) -> Option<i16> {
    let Some(owner) = owner_at(tree, &span.from) else {
        // The keys of a tree with several homes may begin with anything.
        return (tree != Tree::Index || !span.from.is_empty()).then_some(0);
    };
    let from = home(tree, &span.from)?;
    let lead = owner + ID_BYTES;
    let prefix = span.from.get(..lead)?;
    let last = Span::prefix(prefix).to;
    let is_one = match (&span.to, &last) {
        (Some(to), Some(last)) => to <= last,
        (None, None) => true,
        _ => false,
    };
    is_one.then_some(from)
}

/// The day since 1970 of a row, where its key says.
pub(super) fn day(tree: Tree, key: &[u8]) -> Option<i32> {
    if shape(tree) != Shape::Dated(Dated::Key) {
        return None;
    }
    let seconds = key.get(CALL_TIME_AT..CALL_TIME_AT + 8)?.try_into().ok().map(u64::from_be_bytes)?;
    let seconds = (seconds ^ (1 << 63)).cast_signed();
    i32::try_from(seconds.div_euclid(SECONDS_PER_DAY)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_id_are_at_home_in_one_place() {
        let id = [9, 9, 9, 9, 1, 2, 7, 7, 7, 7, 7, 7];
        assert_eq!(home(Tree::Feeds, &id), Some(0x0102));
        assert_eq!(home(Tree::CallRings, &[&[2][..], &id, &[0]].concat()), Some(0x0102));
        assert_eq!(home(Tree::Due, &[1, 0, 5]), Some(0));
        assert_eq!(home(Tree::Feeds, &id[..5]), None);
        assert_eq!(home_of(Tree::Ledger, &Span::prefix(&id)), Some(0x0102));
        assert_eq!(home_of(Tree::Ledger, &Span::after(&id, Some(b"r-7"))), Some(0x0102));
        assert_eq!(home_of(Tree::Ledger, &Span { from: id.to_vec(), to: None }), None);
        assert_eq!(home_of(Tree::Feeds, &Span::prefix(&[])), None);
        assert_eq!(home_of(Tree::Index, &Span::prefix(&[])), None);
        assert_eq!(home_of(Tree::Workspaces, &Span::prefix(&[])), Some(0));
    }

    #[test]
    fn a_calls_day_is_in_its_key() {
        let seconds = 20_000_u64 * 86_400 + 5;
        let key = [&[0; 12][..], &(seconds ^ (1 << 63)).to_be_bytes(), &[0; 4], b"rest"].concat();
        assert_eq!(day(Tree::Calls, &key), Some(20_000));
        assert_eq!(day(Tree::LogPages, &key), None);
    }
}
