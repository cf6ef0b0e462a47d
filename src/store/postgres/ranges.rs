//! Ranges of rows, read in parts that grow: most who ask want few.

use super::layout::home_of;
use super::reading::Reading;
use super::sql::RangeOf;
use crate::store::StoreError;
use crate::store::kv::engine::{Scan, Span, Tree, Value};
use std::collections::VecDeque;
use tokio_postgres::types::ToSql;

/// Rows of the first part of a range.
const FIRST_ROWS: i64 = 8;
/// Rows of the first part of each of several ranges: of most nothing is wanted.
const FIRSTS_ROWS: i64 = 2;
/// By how much a part is larger than the one before it.
const GROWTH: i64 = 8;
/// Rows of a part at most.
const ROWS_MAX: i64 = 512;

/// The rows of a range, a part after the other.
pub(super) struct Parts<'a> {
    reading: &'a Reading<'a>,
    tree: Tree,
    home: Option<i16>,
    /// What of the range has not been asked for.
    rest: Option<Span>,
    scan: Scan,
    rows: VecDeque<(Value, Value)>,
    limit: i64,
}

impl<'a> Parts<'a> {
    pub(super) fn new(reading: &'a Reading<'a>, tree: Tree, span: Span, scan: Scan) -> Self {
        let home = home_of(tree, &span);
        Parts { reading, tree, home, rest: Some(span), scan, rows: VecDeque::new(), limit: FIRST_ROWS }
    }

    /// A range of which the first row is wanted.
    pub(super) fn of_one(reading: &'a Reading<'a>, tree: Tree, span: Span, scan: Scan) -> Self {
        Parts { limit: 1, ..Parts::new(reading, tree, span, scan) }
    }

    /// Asks for the beginnings of several ranges at once; of those that have no end, or several homes, one by one later.
    pub(super) fn fetch_firsts(reading: &Reading<'_>, tree: Tree, parts: &mut [Self]) -> Result<(), StoreError> {
        let home = parts.first().and_then(|part| part.home);
        let is_simple =
            |part: &Parts<'_>| part.home == home && part.rest.as_ref().is_some_and(|span| span.to.is_some());
        let Some(home) = home.filter(|_| parts.iter().all(is_simple)) else { return Ok(()) };
        reading.may_ask_for_range()?;
        let spans = || parts.iter().filter_map(|part| part.rest.as_ref());
        let first: Vec<&[u8]> = spans().map(|span| span.from.as_slice()).collect();
        let behind: Vec<&[u8]> = spans().filter_map(|span| span.to.as_deref()).collect();
        let statement = &reading.statements(tree).firsts;
        let found = reading.wait(async {
            let statement = reading.client.prepare_cached(statement).await?;
            reading.client.query(&statement, &[&first, &behind, &home, &FIRSTS_ROWS]).await
        })?;
        let mut rows: Vec<Vec<_>> = parts.iter().map(|_| Vec::new()).collect();
        for row in &found {
            let number = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
            if let Some(rows) = number.checked_sub(1).and_then(|index| rows.get_mut(index)) {
                rows.push((Value::from(row.get::<_, &[u8]>(1)), Value::from(row.get::<_, &[u8]>(2))));
            }
        }
        for (part, mut rows) in parts.iter_mut().zip(rows) {
            rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
            if let Some(span) = part.rest.take() {
                part.limit = FIRSTS_ROWS;
                part.found(rows.into(), span);
            }
        }
        Ok(())
    }

    /// Takes the next part of what was asked for as `span`.
    fn found(&mut self, rows: VecDeque<(Value, Value)>, span: Span) {
        let is_more = i64::try_from(rows.len()).is_ok_and(|count| count == self.limit);
        self.rows = rows;
        self.limit = (self.limit * GROWTH).min(ROWS_MAX);
        if let Some((last, _)) = self.rows.back().filter(|_| is_more) {
            self.rest = Some(match self.scan {
                Scan::Up => Span { from: [&last[..], &[0]].concat(), to: span.to },
                Scan::Down => Span { from: span.from, to: Some(last.to_vec()) },
            });
        }
    }

    fn fetch(&mut self, span: Span) -> Result<(), StoreError> {
        let Parts { reading, tree, home, scan, limit, .. } = self;
        reading.may_ask_for_range()?;
        let of = RangeOf { scan: *scan, has_end: span.to.is_some(), has_home: home.is_some() };
        let statement = reading.statements(*tree).range(of);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&span.from, limit];
        parameters.extend(span.to.as_ref().map(|to| to as &(dyn ToSql + Sync)));
        parameters.extend(home.as_ref().map(|home| home as &(dyn ToSql + Sync)));
        let found = reading.wait(async {
            let statement = reading.client.prepare_cached(statement).await?;
            reading.client.query(&statement, &parameters).await
        })?;
        let rows = found.iter().map(|row| (Value::from(row.get::<_, &[u8]>(0)), Value::from(row.get::<_, &[u8]>(1))));
        let rows = rows.collect();
        self.found(rows, span);
        Ok(())
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<(Value, Value), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty()
            && let Some(span) = self.rest.take()
            && let Err(error) = self.fetch(span)
        {
            return Some(Err(error));
        }
        self.rows.pop_front().map(Ok)
    }
}
