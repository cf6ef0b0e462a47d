//! The row of an insight.

use super::engine::Value;
use super::rows::{Reader, Writer, open};
use crate::store::{ChangeCounts, Figures, Lags, StoreError};

pub(super) const WHAT: &str = "insight";
/// Format 1 knows of no kinds of changes.
pub(super) const FORMAT: u8 = 2;

pub(super) fn encode(figures: &Figures) -> Value {
    let Figures { runs, failed_runs, requests, changes, kinds, deliveries, records, failures, lags } = *figures;
    let mut row = Writer::new(FORMAT);
    let known =
        [runs, failed_runs, requests, changes, deliveries, records, failures, lags.count, lags.sum_ms, lags.max_ms];
    let kinds = [kinds.created, kinds.updated, kinds.deleted];
    known.into_iter().chain(lags.classes).chain(kinds).for_each(|number| row.u64(number));
    row.finish()
}

pub(super) fn decode(row: &[u8]) -> Result<Figures, StoreError> {
    let (format, _) = open(WHAT, FORMAT, row)?;
    let mut row = Reader::new(WHAT, FORMAT, row)?;
    let mut figures = Figures {
        runs: row.u64()?,
        failed_runs: row.u64()?,
        requests: row.u64()?,
        changes: row.u64()?,
        kinds: ChangeCounts::default(),
        deliveries: row.u64()?,
        records: row.u64()?,
        failures: row.u64()?,
        lags: Lags { count: row.u64()?, sum_ms: row.u64()?, max_ms: row.u64()?, classes: Default::default() },
    };
    for class in &mut figures.lags.classes {
        *class = row.u64()?;
    }
    if format >= 2 {
        figures.kinds = ChangeCounts { created: row.u64()?, updated: row.u64()?, deleted: row.u64()? };
    }
    Ok(figures)
}
