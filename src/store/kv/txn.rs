//! A transaction: writes that wait above an engine, seen by the reads that follow them.
//!
//! Units of work run in it one after the other. One that fails takes back what it wrote and leaves the others alone.

use super::domain::Domain;
use super::engine::{Batch, Place, Read, Rows, Scan, Span, Tree, Value};
use crate::limits::StoreLimits;
use crate::store::{StoreError, Wake};
use std::cmp::Ordering;
use std::iter::Peekable;
use std::time::Duration;

/// A write to take back: the tree, the key, and what the batch held for it before.
type Undo = (Tree, Vec<u8>, Option<Option<Value>>);

/// A transaction over an engine.
pub(crate) struct Txn<'a> {
    base: &'a dyn Read,
    limits: &'a StoreLimits,
    batch: Batch,
    undo: Vec<Undo>,
    wakes: Vec<Wake>,
    bytes: usize,
    /// Wakes and bytes before the last unit.
    before: (usize, usize),
    held: Option<&'a [Domain]>,
    wanted: Vec<Domain>,
    waited: Duration,
}

impl<'a> Txn<'a> {
    /// An empty transaction, of the only one that writes.
    pub(crate) fn new(base: &'a dyn Read, limits: &'a StoreLimits) -> Self {
        Txn {
            base,
            limits,
            batch: Batch::default(),
            undo: Vec::new(),
            wakes: Vec::new(),
            bytes: 0,
            before: (0, 0),
            held: None,
            wanted: Vec::new(),
            waited: Duration::ZERO,
        }
    }

    /// An empty transaction that has these domains to itself, beside others that write.
    pub(crate) fn holding(base: &'a dyn Read, limits: &'a StoreLimits, held: &'a [Domain]) -> Self {
        Txn { held: Some(held), ..Txn::new(base, limits) }
    }

    /// Sees that a unit has these domains to itself before it reads what it decides on. Where it has not, this fails: the
    /// unit is run again in a transaction that has.
    pub(crate) fn lock(&mut self, domains: &[Domain]) -> Result<(), StoreError> {
        let Some(held) = self.held else { return Ok(()) };
        let before = self.wanted.len();
        self.wanted.extend(domains.iter().filter(|domain| !held.contains(domain)));
        if self.wanted.len() == before { Ok(()) } else { Err(StoreError::Conflict("domain")) }
    }

    /// How long the unit that runs has waited for that, where others may have come first meanwhile.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Says so of the unit that runs next.
    pub(crate) fn set_waited(&mut self, waited: Duration) {
        self.waited = waited;
    }

    /// The domains that the last unit lacked.
    pub(crate) fn wanted(&mut self) -> Vec<Domain> {
        std::mem::take(&mut self.wanted)
    }

    /// Runs a unit of work. Where it fails, nothing of it stays.
    pub(crate) fn unit<T>(
        &mut self,
        work: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.undo.clear();
        self.before = (self.wakes.len(), self.bytes);
        let result = work(self);
        if result.is_err() || !self.wanted.is_empty() {
            self.take_back();
        }
        result
    }

    /// Takes back what the last unit wrote.
    pub(crate) fn take_back(&mut self) {
        let (wakes, bytes) = self.before;
        self.wakes.truncate(wakes);
        self.bytes = bytes;
        while let Some((tree, key, before)) = self.undo.pop() {
            self.restore(tree, key, before);
        }
    }

    fn restore(&mut self, tree: Tree, key: Vec<u8>, before: Option<Option<Value>>) {
        let writes = &mut self.batch.trees[tree.index()];
        match before {
            Some(value) => {
                writes.insert(key, value);
            }
            None => {
                writes.remove(&key);
                self.batch.len -= 1;
            }
        }
    }

    /// Sets a row.
    pub(crate) fn put(&mut self, tree: Tree, key: impl Into<Vec<u8>>, value: impl Into<Value>) {
        self.write(tree, key.into(), Some(value.into()));
    }

    /// Removes a row, if there is one.
    pub(crate) fn remove(&mut self, tree: Tree, key: impl Into<Vec<u8>>) {
        self.write(tree, key.into(), None);
    }

    fn write(&mut self, tree: Tree, key: Vec<u8>, value: Option<Value>) {
        let bytes = value.as_ref().map_or(0, |value| value.len());
        let before = self.batch.trees[tree.index()].insert(key.clone(), value);
        if before.is_none() {
            self.batch.len += 1;
        }
        self.bytes += bytes;
        self.undo.push((tree, key, before));
    }

    /// Tells others, once this is durable.
    pub(crate) fn wake(&mut self, wake: Wake) {
        if self.wakes.last() != Some(&wake) {
            self.wakes.push(wake);
        }
    }

    /// What the store may take.
    pub(crate) fn limits(&self) -> &'a StoreLimits {
        self.limits
    }

    /// Rows that are to be written.
    pub(crate) fn len(&self) -> usize {
        self.batch.len
    }

    /// Bytes that have been written so far, those that were written over among them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is to be written, and whom to tell then.
    pub(crate) fn finish(self) -> (Batch, Vec<Wake>) {
        (self.batch, self.wakes)
    }
}

impl Read for Txn<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError> {
        match self.batch.trees[tree.index()].get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(tree, key),
        }
    }

    fn first(&self, tree: Tree, span: Span, scan: Scan) -> Result<Option<(Value, Value)>, StoreError> {
        let is_untouched =
            span.is_empty() || self.batch.trees[tree.index()].range::<[u8], _>(span.bounds()).next().is_none();
        if is_untouched { self.base.first(tree, span, scan) } else { self.range(tree, span, scan).next().transpose() }
    }

    fn expect(&self, places: &dyn Fn() -> Vec<Place>) -> Result<(), StoreError> {
        let is_written = |(tree, key): &Place| self.batch.trees[tree.index()].contains_key(key);
        self.base.expect(&|| places().into_iter().filter(|place| !is_written(place)).collect())
    }

    fn range(&self, tree: Tree, span: Span, scan: Scan) -> Rows<'_> {
        if span.is_empty() {
            return Box::new(std::iter::empty());
        }
        let writes = self.batch.trees[tree.index()].range::<[u8], _>(span.bounds());
        let mut own: Own<'_> = match scan {
            Scan::Up => (Box::new(writes) as Box<dyn Iterator<Item = _>>).peekable(),
            Scan::Down => (Box::new(writes.rev()) as Box<dyn Iterator<Item = _>>).peekable(),
        };
        let is_untouched = own.peek().is_none();
        let base = self.base.range(tree, span, scan);
        if is_untouched { base } else { Box::new(Merge { own, base: base.peekable(), scan }) }
    }
}

type Own<'a> = Peekable<Box<dyn Iterator<Item = (&'a Vec<u8>, &'a Option<Value>)> + 'a>>;

/// The engine's rows under the transaction's own.
struct Merge<'a> {
    own: Own<'a>,
    base: Peekable<Rows<'a>>,
    scan: Scan,
}

impl Merge<'_> {
    /// How the next own key stands to the engine's next.
    fn order(&mut self) -> Option<Ordering> {
        match (self.own.peek(), self.base.peek()) {
            (None, _) => None,
            (Some(_), None) => Some(Ordering::Less),
            (Some(_), Some(Err(_))) => None,
            (Some((own, _)), Some(Ok((base, _)))) => {
                let order = own.as_slice().cmp(base);
                Some(if self.scan == Scan::Up { order } else { order.reverse() })
            }
        }
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<(Value, Value), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.order() {
                None | Some(Ordering::Greater) => return self.base.next(),
                Some(Ordering::Equal) => {
                    self.base.next();
                }
                Some(Ordering::Less) => {}
            }
            if let Some((key, Some(value))) = self.own.next() {
                return Some(Ok((Value::from(key.as_slice()), value.clone())));
            }
        }
    }
}
