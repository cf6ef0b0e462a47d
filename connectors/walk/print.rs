//! Fingerprints by which a walk knows pages and records again.

use crate::contract::{Order, Page, Record};
use std::hash::{DefaultHasher, Hash, Hasher};

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A fingerprint of a whole page.
pub(super) fn fingerprint(page: &Page<'_>) -> u64 {
    let records: Vec<_> = page.records.iter().map(|record| (&record.id, record.updated_at, &record.revision)).collect();
    let bad: Vec<_> = page.bad.iter().map(|bad| (&bad.id, &bad.raw)).collect();
    hash((records, bad))
}

/// A fingerprint of a record as it is now: one that changed is another.
pub(super) fn print(record: &Record<'_>) -> u64 {
    hash((&record.id, record.updated_at))
}

/// A fingerprint of each record at its place: where the order is by time, a record that changes moves.
pub(super) fn prints<'p>(page: &'p Page<'_>, order: Order) -> impl Iterator<Item = u64> + use<'p> {
    let by_time = matches!(order, Order::UpdatedAscending | Order::UpdatedDescending);
    let records = page.records.iter().map(move |record| hash((&record.id, record.updated_at.filter(|_| by_time))));
    records.chain(page.bad.iter().map(|bad| hash(&bad.raw)))
}

/// One of these is the page's last record: which of the good and the bad ones came later is not known.
pub(super) fn last_prints(page: &Page<'_>, order: Order) -> Vec<u64> {
    let prints: Vec<u64> = prints(page, order).collect();
    let (good, bad) = prints.split_at(page.records.len().min(prints.len()));
    good.last().into_iter().chain(bad.last()).copied().collect()
}
