//! The ledger: what a feed remembers of its records, packed in leaves.
//!
//! A leaf's key is the feed and the lowest id that may stand in it; its ids end where the next leaf begins. The lowest
//! leaf of a feed has the empty id, so that a leaf's key never changes.

use super::engine::{Read, Scan, Span, Tree, Value};
use super::keys::{ID_BYTES, under};
use super::leaf::{self, Known};
use super::rows::damaged;
use super::txn::Txn;
use crate::ids::FeedId;
use crate::store::{LedgerEntry, StoreError};

/// Leaves that a commit looks through for what is to be forgotten, beside those it touches. A page adds about one leaf,
/// so that a window never grows for long.
const SWEEP_LEAVES: usize = 4;

/// Where an id stands: the leaf, if there is one, and where the next one begins.
struct Spot {
    key: Vec<u8>,
    row: Option<Value>,
    end: Option<Value>,
}

impl Spot {
    fn find(read: &dyn Read, feed: FeedId, id: &[u8]) -> Result<Self, StoreError> {
        let mut to = under(feed.as_bytes(), id);
        to.push(0);
        let span = Span { from: feed.as_bytes().to_vec(), to: Some(to) };
        let before = read.first(Tree::Ledger, span, Scan::Down)?;
        let (key, row) = match before {
            Some((key, row)) => (key.to_vec(), Some(row)),
            None => (feed.as_bytes().to_vec(), None),
        };
        let mut behind = Span::prefix(feed.as_bytes());
        behind.from = [&key[..], &[0]].concat();
        let end = read.first(Tree::Ledger, behind, Scan::Up)?.map(|(key, _)| key);
        Ok(Spot { key, row, end })
    }

    fn holds(&self, id: &[u8]) -> bool {
        self.end.as_ref().is_none_or(|end| id < &end[ID_BYTES..])
    }

    fn records(&self) -> Result<Vec<Known<'_>>, StoreError> {
        self.row.as_ref().map_or(Ok(Vec::new()), |row| leaf::decode(row))
    }
}

/// What the ledger holds of these records, in their order.
pub(super) fn look_up(read: &dyn Read, feed: FeedId, ids: &[&str]) -> Result<Vec<Option<LedgerEntry>>, StoreError> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_unstable_by_key(|index| ids[*index]);
    let mut found = vec![None; ids.len()];
    let mut rest = order.as_slice();
    while let Some(first) = rest.first() {
        let spot = Spot::find(read, feed, ids[*first].as_bytes())?;
        let count = rest.partition_point(|index| spot.holds(ids[*index].as_bytes())).max(1);
        let (here, behind) = rest.split_at(count);
        let known = spot.records()?;
        for index in here {
            let place = known.binary_search_by(|known| known.id.cmp(ids[*index].as_bytes()));
            found[*index] = place.ok().map(|place| known[place].entry);
        }
        rest = behind;
    }
    Ok(found)
}

/// Sets what is known of these records, and forgets older ones where that costs nothing.
pub(super) fn set(
    txn: &mut Txn<'_>,
    feed: FeedId,
    entries: &[(String, LedgerEntry)],
    forget_before_ms: Option<i64>,
) -> Result<(), StoreError> {
    let mut new: Vec<_> = entries.iter().map(|(id, entry)| Known { id: id.as_bytes(), entry: *entry }).collect();
    new.sort_unstable_by_key(|known| known.id);
    let mut rest = new.as_slice();
    while let Some(first) = rest.first() {
        let spot = Spot::find(txn, feed, first.id)?;
        let (here, behind) = rest.split_at(rest.partition_point(|new| spot.holds(new.id)).max(1));
        let old = spot.records()?;
        let is_append = old.last().is_none_or(|last| last.id < first.id);
        let merged = leaf::merge(&old, here, forget_before_ms);
        write(txn, feed, &spot.key, &merged, is_append)?;
        rest = behind;
    }
    Ok(())
}

/// Forgets these records.
pub(super) fn forget(txn: &mut Txn<'_>, feed: FeedId, ids: &[String]) -> Result<(), StoreError> {
    let mut ids: Vec<_> = ids.iter().map(String::as_bytes).collect();
    ids.sort_unstable();
    let mut rest = ids.as_slice();
    while let Some(first) = rest.first() {
        let spot = Spot::find(txn, feed, first)?;
        let (here, behind) = rest.split_at(rest.partition_point(|id| spot.holds(id)).max(1));
        let mut known = spot.records()?;
        known.retain(|known| here.binary_search(&known.id).is_err());
        if spot.row.is_some() {
            write(txn, feed, &spot.key, &known, true)?;
        }
        rest = behind;
    }
    Ok(())
}

/// Records in the order of their ids, behind `after`: whole leaves, until there are `limit` records.
pub(super) fn after(
    read: &dyn Read,
    feed: FeedId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, LedgerEntry)>, StoreError> {
    let mut span = Span::prefix(feed.as_bytes());
    if let Some(after) = after {
        span.from = Spot::find(read, feed, after.as_bytes())?.key;
    }
    let mut found = Vec::with_capacity(limit);
    for row in read.range(Tree::Ledger, span, Scan::Up) {
        let (_, row) = row?;
        let behind = |known: &Known<'_>| after.is_none_or(|after| known.id > after.as_bytes());
        for known in leaf::decode(&row)?.into_iter().filter(behind) {
            let id = std::str::from_utf8(known.id).map_err(|_| damaged(leaf::WHAT))?;
            found.push((id.to_owned(), known.entry));
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Writes records in the place of the leaf with this key.
fn write(txn: &mut Txn<'_>, feed: FeedId, key: &[u8], known: &[Known<'_>], is_append: bool) -> Result<(), StoreError> {
    if known.is_empty() {
        txn.remove(Tree::Ledger, key);
        return Ok(());
    }
    for (number, records) in leaf::cut(known, is_append).into_iter().enumerate() {
        let row = leaf::encode(records)?;
        let key = if number == 0 { key.to_vec() } else { under(feed.as_bytes(), records[0].id) };
        txn.put(Tree::Ledger, key, row);
    }
    Ok(())
}

/// Looks through the next few leaves behind `swept` for records that may be forgotten, and answers how far it came;
/// empty at the end, to begin again.
pub(super) fn sweep(
    txn: &mut Txn<'_>,
    feed: FeedId,
    swept: &[u8],
    forget_before_ms: i64,
) -> Result<Vec<u8>, StoreError> {
    let after = (!swept.is_empty()).then_some(swept);
    let span = Span::after(feed.as_bytes(), after);
    let leaves: Vec<_> = txn.range(Tree::Ledger, span, Scan::Up).take(SWEEP_LEAVES).collect::<Result<_, _>>()?;
    for (key, row) in &leaves {
        if leaf::oldest(row)? < forget_before_ms {
            let kept = leaf::merge(&leaf::decode(row)?, &[], Some(forget_before_ms));
            write(txn, feed, key, &kept, true)?;
        }
    }
    let last = leaves.last().filter(|_| leaves.len() == SWEEP_LEAVES);
    Ok(last.map_or(Vec::new(), |(key, _)| key[ID_BYTES..].to_vec()))
}
