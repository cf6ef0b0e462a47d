//! Reading rows from the database's tables, for code that reads without waiting: each call waits on its thread.
//!
//! A way to the database and back costs far more than a row. So rows that are expected are asked for together; and units
//! of work, which can be run again, are run until they lack a row, and wait until what all of them lack has been fetched
//! at once ([`super::running`]).

use super::Database;
use super::failure::{Failure, told};
use super::fetching;
use super::layout::{day, home};
use super::ranges::Parts;
use super::sql::Statements;
use crate::store::StoreError;
use crate::store::kv::engine::{Place, Read, Rows, Scan, Span, Tree, Value};
use deadpool_postgres::Client;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// What a unit gets that is to be run again. Nobody else sees it.
const LACKING: StoreError = StoreError::Conflict("row");

/// Reads through one connection. It belongs to a thread that may wait.
pub(super) struct Reading<'a> {
    pub(super) client: &'a Client,
    database: &'a Database,
    /// Rows, and places where there is none.
    known: RefCell<HashMap<Place, Option<Value>>>,
    /// True if what is read stays as it is: that of a transaction which has its domains to itself.
    is_steady: bool,
    /// False while nothing is to be waited for.
    asks: Cell<bool>,
    /// What would have been asked for.
    lacked: RefCell<Vec<Place>>,
    /// True if a range would have been asked for.
    lacks_range: Cell<bool>,
    /// Why a read failed, whatever was made of it.
    failed: RefCell<Option<Failure>>,
}

/// What a unit lacked to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacked {
    Nothing,
    /// Rows that can be fetched with those of others.
    Rows,
    /// A range, which it has to ask for itself.
    Range,
}

impl<'a> Reading<'a> {
    /// Reads anew each time, but for what was expected.
    pub(super) fn new(client: &'a Client, database: &'a Database) -> Self {
        Reading {
            client,
            database,
            known: RefCell::default(),
            is_steady: false,
            asks: Cell::new(true),
            lacked: RefCell::default(),
            lacks_range: Cell::new(false),
            failed: RefCell::default(),
        }
    }

    /// Reads each row once, as a transaction may.
    pub(super) fn steady(self) -> Self {
        Reading { is_steady: true, ..self }
    }

    /// Whether to ask for what is not known, or to tell what is lacked.
    pub(super) fn set_asks(&self, asks: bool) {
        self.asks.set(asks);
    }

    /// What was lacked since `rows` were; ranges are forgotten.
    pub(super) fn lacked_since(&self, rows: usize) -> Lacked {
        let lacks_range = self.lacks_range.replace(false);
        match self.lacked_rows() > rows {
            true => Lacked::Rows,
            false if lacks_range => Lacked::Range,
            false => Lacked::Nothing,
        }
    }

    /// How many rows are lacked.
    pub(super) fn lacked_rows(&self) -> usize {
        self.lacked.borrow().len()
    }

    /// Takes what is lacked, each place once.
    pub(super) fn take_lacked(&self) -> Vec<Place> {
        let mut places = self.lacked.take();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// What has been read.
    pub(super) fn places(&self) -> Vec<Place> {
        self.known.borrow().keys().cloned().collect()
    }

    /// Takes what was fetched; where no row was, there is none.
    pub(super) fn learn(&self, places: Vec<Place>, rows: Vec<(Place, Value)>) {
        let mut known = self.known.borrow_mut();
        known.extend(places.into_iter().map(|place| (place, None)));
        known.extend(rows.into_iter().map(|(place, row)| (place, Some(row))));
    }

    /// Asks for rows, all at once.
    pub(super) fn fetch(&self, places: Vec<Place>) -> Result<(), StoreError> {
        let rows = self.wait(fetching::fetch(self.client, &self.database.statements, &places))?;
        self.learn(places, rows);
        Ok(())
    }

    /// The statements of a tree's table.
    pub(super) fn statements(&self, tree: Tree) -> &'a Statements {
        &self.database.statements[tree.index()]
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
        // Not by tokio's `block_on`: where a runtime's first future waits on this very thread, it would take its wakes.
        futures_executor::block_on(self.database.answered(answer)).map_err(|failure| {
            // Those that follow only tell that the transaction has failed.
            self.failed.borrow_mut().get_or_insert_with(|| failure.clone());
            told(failure)
        })
    }

    /// An error where a range is not to be asked for now.
    pub(super) fn may_ask_for_range(&self) -> Result<(), StoreError> {
        if self.asks.get() {
            return Ok(());
        }
        self.lacks_range.set(true);
        Err(LACKING)
    }

    fn ask(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let statement = &self.statements(tree).get;
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
        let place = (tree, key.to_vec());
        if let Some(row) = self.known.borrow().get(&place) {
            return Ok(row.clone());
        }
        if !self.asks.get() {
            self.lacked.borrow_mut().push(place);
            return Err(LACKING);
        }
        let row = self.ask(tree, key)?;
        if self.is_steady {
            self.known.borrow_mut().insert(place, row.clone());
        }
        Ok(row)
    }

    fn expect(&self, places: &dyn Fn() -> Vec<Place>) -> Result<(), StoreError> {
        let mut places = places();
        places.retain(|place| !self.known.borrow().contains_key(place));
        match (places.is_empty(), self.asks.get()) {
            (true, _) => Ok(()),
            (false, true) => self.fetch(places),
            (false, false) => {
                self.lacked.borrow_mut().extend(places);
                Err(LACKING)
            }
        }
    }

    fn range(&self, tree: Tree, span: Span, scan: Scan) -> Rows<'_> {
        if span.is_empty() {
            return Box::new(std::iter::empty());
        }
        Box::new(Parts::new(self, tree, span, scan))
    }

    fn first(&self, tree: Tree, span: Span, scan: Scan) -> Result<Option<(Value, Value)>, StoreError> {
        if span.is_empty() { Ok(None) } else { Parts::of_one(self, tree, span, scan).next().transpose() }
    }

    fn ranges(&self, tree: Tree, spans: Vec<Span>) -> Result<Vec<Rows<'_>>, StoreError> {
        let mut parts: Vec<_> = spans.into_iter().map(|span| Parts::new(self, tree, span, Scan::Up)).collect();
        Parts::fetch_firsts(self, tree, &mut parts)?;
        Ok(parts.into_iter().map(|part| Box::new(part) as Rows<'_>).collect())
    }
}
