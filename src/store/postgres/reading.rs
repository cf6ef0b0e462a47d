//! Reading rows from the database's tables, for code that reads without waiting: each call waits on its thread.

use super::Database;
use super::failure::{Failure, told};
use super::layout::{day, home, home_of};
use super::sql::RangeOf;
use crate::store::StoreError;
use crate::store::kv::engine::{Read, Rows, Scan, Span, Tree, Value};
use deadpool_postgres::Client;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use tokio::runtime::Handle;
use tokio_postgres::types::ToSql;

/// Rows of the first part of a range.
const FIRST_ROWS: i64 = 8;
/// By how much a part is larger than the one before it.
const GROWTH: i64 = 8;
/// Rows of a part at most.
const ROWS_MAX: i64 = 512;

/// Rows by tree and key, and none where there is no such row.
type Known = HashMap<(Tree, Vec<u8>), Option<Value>>;

/// Reads through one connection. It belongs to a thread that may wait.
pub(super) struct Reading<'a> {
    client: &'a Client,
    database: &'a Database,
    handle: Handle,
    /// What a transaction has read: its domains are its own, so that it stays true. None where each read is of its own.
    known: Option<RefCell<Known>>,
    /// Why a read failed, whatever was made of it.
    failed: RefCell<Option<Failure>>,
}

impl<'a> Reading<'a> {
    /// Reads anew each time.
    pub(super) fn new(client: &'a Client, database: &'a Database) -> Self {
        Reading { client, database, handle: Handle::current(), known: None, failed: RefCell::default() }
    }

    /// Reads each row once.
    pub(super) fn remembering(self) -> Self {
        Reading { known: Some(RefCell::default()), ..self }
    }

    /// Why a read failed.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failed.borrow().clone()
    }

    /// Waits on this thread until the database has answered, or should have.
    pub(super) fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.handle.block_on(self.database.answered(answer)).map_err(|failure| {
            *self.failed.borrow_mut() = Some(failure.clone());
            told(failure)
        })
    }

    fn ask(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let statement = &self.database.statements[tree.index()].get;
        let home = home(tree, key).unwrap_or_default();
        let day = day(tree, key);
        let row = self.wait(async {
            let statement = self.client.prepare_cached(statement).await?;
            match day {
                Some(day) => self.client.query_opt(&statement, &[&home, &key, &day]).await,
                None => self.client.query_opt(&statement, &[&home, &key]).await,
            }
        })?;
        Ok(row.map(|row| Value::from(row.get::<_, &[u8]>(0))))
    }
}

impl Read for Reading<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let Some(known) = &self.known else { return self.ask(tree, key) };
        let place = (tree, key.to_vec());
        if let Some(row) = known.borrow().get(&place) {
            return Ok(row.clone());
        }
        let row = self.ask(tree, key)?;
        known.borrow_mut().insert(place, row.clone());
        Ok(row)
    }

    fn range(&self, tree: Tree, span: Span, scan: Scan) -> Rows<'_> {
        if span.is_empty() {
            return Box::new(std::iter::empty());
        }
        Box::new(Parts::new(self, tree, span, scan))
    }

    fn ranges(&self, tree: Tree, spans: Vec<Span>) -> Result<Vec<Rows<'_>>, StoreError> {
        let mut parts: Vec<_> = spans.into_iter().map(|span| Parts::new(self, tree, span, Scan::Up)).collect();
        let home = parts.first().and_then(|part| part.home);
        // What has no end, or several homes, is asked for one by one.
        let is_simple =
            |part: &Parts<'_>| part.home == home && part.rest.as_ref().is_some_and(|span| span.to.is_some());
        if let Some(home) = home.filter(|_| parts.iter().all(is_simple)) {
            self.fetch_firsts(tree, home, &mut parts)?;
        }
        Ok(parts.into_iter().map(|part| Box::new(part) as Rows<'_>).collect())
    }
}

impl Reading<'_> {
    /// Asks for the beginnings of several ranges at once.
    fn fetch_firsts(&self, tree: Tree, home: i16, parts: &mut [Parts<'_>]) -> Result<(), StoreError> {
        let spans = || parts.iter().filter_map(|part| part.rest.as_ref());
        let first: Vec<&[u8]> = spans().map(|span| span.from.as_slice()).collect();
        let behind: Vec<&[u8]> = spans().filter_map(|span| span.to.as_deref()).collect();
        let statement = &self.database.statements[tree.index()].firsts;
        let found = self.wait(async {
            let statement = self.client.prepare_cached(statement).await?;
            self.client.query(&statement, &[&first, &behind, &home, &FIRST_ROWS]).await
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
                part.found(rows.into(), span);
            }
        }
        Ok(())
    }
}

/// The rows of a range, a part after the other.
struct Parts<'a> {
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
    fn new(reading: &'a Reading<'a>, tree: Tree, span: Span, scan: Scan) -> Self {
        let home = home_of(tree, &span);
        Parts { reading, tree, home, rest: Some(span), scan, rows: VecDeque::new(), limit: FIRST_ROWS }
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
        let of = RangeOf { scan: *scan, has_end: span.to.is_some(), has_home: home.is_some() };
        let statement = reading.database.statements[tree.index()].range(of);
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
