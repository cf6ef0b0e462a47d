//! Cleaning up: what was deleted is found by nobody from then on, but its many rows go little by little.

use super::calls;
use super::engine::{Read, Scan, Span, Tree};
use super::keys::Grave;
use super::rows::damaged;
use super::txn::Txn;
use crate::store::StoreError;

/// Rows that one call removes at most, whatever it is asked for: they are one transaction.
const ROWS_MAX: usize = 2_000;

/// Removes rows of what was deleted; true while there are more.
pub(super) fn clean_up(txn: &mut Txn<'_>, rows_max: usize) -> Result<bool, StoreError> {
    let mut left = rows_max.min(ROWS_MAX);
    while left > 0 {
        let Some((grave, _)) = txn.first(Tree::Graves, Span::prefix(&[]), Scan::Up)? else {
            return Ok(false);
        };
        let removed = clean(txn, &grave, left)?;
        if removed < left {
            txn.remove(Tree::Graves, &*grave);
            left -= removed.max(1);
        } else {
            left = 0;
        }
    }
    Ok(txn.prefix(Tree::Graves, &[]).next().is_some())
}

/// Removes up to `rows_max` rows of one grave.
fn clean(txn: &mut Txn<'_>, grave: &[u8], rows_max: usize) -> Result<usize, StoreError> {
    let (kind, id) = grave.split_first().ok_or_else(|| damaged("grave"))?;
    match *kind {
        kind if kind == Grave::Feed as u8 => {
            let mut removed = 0;
            for tree in [Tree::LogPages, Tree::Ledger, Tree::Progress, Tree::SweepRows, Tree::Deletions, Tree::Kept] {
                removed += remove(txn, tree, id, rows_max - removed)?;
            }
            Ok(removed)
        }
        kind if kind == Grave::Spool as u8 => remove(txn, Tree::Spool, id, rows_max),
        kind if kind == Grave::Arrivals as u8 => remove(txn, Tree::Arrivals, id, rows_max),
        kind if kind == Grave::Sweep as u8 => remove(txn, Tree::SweepRows, id, rows_max),
        kind if kind == Grave::Insights as u8 => remove(txn, Tree::Insights, id, rows_max),
        kind if kind == Grave::Calls as u8 => calls::clean(txn, id, rows_max),
        _ => Err(damaged("grave")),
    }
}

fn remove(txn: &mut Txn<'_>, tree: Tree, prefix: &[u8], rows_max: usize) -> Result<usize, StoreError> {
    let keys = txn.prefix(tree, prefix).take(rows_max).map(|row| row.map(|(key, _)| key));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    keys.iter().for_each(|key| txn.remove(tree, &**key));
    Ok(keys.len())
}
