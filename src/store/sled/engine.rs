//! sled's trees as an engine, and what of them may be seen before it is durable: no page, and no end of a log.

use crate::store::StoreError;
use crate::store::kv::engine::{Batch, Read, Rows, Scan, Span, Tree, Value};
use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use sled::{Db, Transactional};
use std::collections::HashMap;
use std::fs::File;
use std::sync::{PoisonError, RwLock};
use tokio::sync::watch;

/// Rows by tree and key, and none where there was no such row.
type RowsBefore = HashMap<(Tree, Vec<u8>), Option<Value>>;

/// The tree that sled makes by itself.
const DEFAULT_TREE: &str = "__sled__default";

/// sled's trees.
pub(super) struct SledEngine {
    database: Db,
    trees: Vec<sled::Tree>,
    /// Rows as they were before the group that is being committed.
    before: RwLock<RowsBefore>,
    failure: watch::Sender<Option<String>>,
}

/// Rows that say how far there is something to read. Whoever acts on them must not do so before they are durable, since
/// a change may reach nobody that a crash could still undo.
fn says_how_far(tree: Tree) -> bool {
    matches!(tree, Tree::LogHeads | Tree::Jobs)
}

impl SledEngine {
    pub(super) fn new(database: Db) -> Result<Self, sled::Error> {
        let trees = Tree::ALL.iter().map(|tree| database.open_tree(tree.name())).collect::<Result<_, _>>()?;
        Ok(SledEngine { database, trees, before: RwLock::default(), failure: watch::Sender::new(None) })
    }

    /// Fails once the store cannot be used any more.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.why().map_or(Ok(()), Err)
    }

    /// Why the store cannot be used any more.
    pub(super) fn why(&self) -> Option<StoreError> {
        self.failure.borrow().clone().map(StoreError::Unavailable)
    }

    pub(super) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Notes that the store cannot be used any more. The first reason stays.
    pub(super) fn fail(&self, error: &dyn std::fmt::Display) -> StoreError {
        let reason = format!("{error}; see to the disk and start again");
        self.failure.send_if_modified(|known| {
            let is_first = known.is_none();
            if is_first {
                tracing::error!(%reason, "the store has failed and takes nothing more");
                *known = Some(reason.clone());
            }
            is_first
        });
        StoreError::Unavailable(reason)
    }

    pub(super) fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.check()?;
        self.database.size_on_disk().map_err(|error| self.fail(&error))
    }

    /// The rows for those who act on them.
    pub(super) fn durable(&self) -> Durable<'_> {
        Durable(self)
    }

    /// Applies a batch, all or nothing, and makes it durable. `file` is sled's.
    pub(super) fn keep(&self, batch: Batch, file: &File) -> Result<(), StoreError> {
        self.apply(batch)?;
        self.flush()?;
        file.sync_data().map_err(|error| self.fail(&error))?;
        self.show();
        Ok(())
    }

    /// Trees that are there and not known here: a newer build has made them.
    pub(super) fn unknown_trees(&self) -> Vec<String> {
        let names = self.database.tree_names().into_iter().map(|name| String::from_utf8_lossy(&name).into_owned());
        let is_known = |name: &String| name == DEFAULT_TREE || Tree::ALL.iter().any(|tree| tree.name() == name);
        names.filter(|name| !is_known(name)).collect()
    }

    /// Applies a batch, all or nothing. It is not durable yet; readers see how far things go as it was before.
    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.hide(&batch)?;
        let touched = Tree::ALL.iter().zip(batch.trees).filter(|(_, writes)| !writes.is_empty());
        let (trees, writes): (Vec<_>, Vec<_>) =
            touched.map(|(tree, writes)| (self.trees[tree.index()].clone(), writes)).unzip();
        let result = trees[..].transaction(|views: &Vec<TransactionalTree>| {
            // It may be run again by sled, and so only ever says what to write.
            for (view, writes) in views.iter().zip(&writes) {
                for (key, value) in writes {
                    match value {
                        Some(value) => view.insert(key.as_slice(), value)?,
                        None => view.remove(key.as_slice())?,
                    };
                }
            }
            Ok::<(), ConflictableTransactionError<sled::Error>>(())
        });
        result.map_err(|error| match error {
            TransactionError::Abort(error) | TransactionError::Storage(error) => self.fail(&error),
        })
    }

    /// Hands what was applied to the operating system.
    fn flush(&self) -> Result<(), StoreError> {
        self.database.flush().map(drop).map_err(|error| self.fail(&error))
    }

    fn hide(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut before = self.before.write().unwrap_or_else(PoisonError::into_inner);
        for (tree, writes) in Tree::ALL.iter().zip(&batch.trees).filter(|(tree, _)| says_how_far(**tree)) {
            for key in writes.keys() {
                before.insert((*tree, key.clone()), self.get(*tree, key)?);
            }
        }
        Ok(())
    }

    /// What was applied is durable: everyone may see it.
    fn show(&self) {
        self.before.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Read for SledEngine {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.trees[tree.index()].get(key).map_err(|error| self.fail(&error))
    }

    fn range(&self, tree: Tree, span: Span, scan: Scan) -> Rows<'_> {
        if span.is_empty() {
            return Box::new(std::iter::empty());
        }
        let rows = self.trees[tree.index()].range::<&[u8], _>(span.bounds());
        let rows = rows.map(|row| row.map_err(|error| self.fail(&error)));
        match scan {
            Scan::Up => Box::new(rows),
            Scan::Down => Box::new(rows.rev()),
        }
    }
}

/// The rows of an engine, with how far things go only as far as that is durable.
pub(super) struct Durable<'a>(&'a SledEngine);

impl Read for Durable<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError> {
        if !says_how_far(tree) {
            return self.0.get(tree, key);
        }
        // Held while sled is asked, so that no group is applied in between.
        let before = self.0.before.read().unwrap_or_else(PoisonError::into_inner);
        match before.is_empty() {
            true => self.0.get(tree, key),
            false => match before.get(&(tree, key.to_vec())) {
                Some(value) => Ok(value.clone()),
                None => self.0.get(tree, key),
            },
        }
    }

    fn range(&self, tree: Tree, span: Span, scan: Scan) -> Rows<'_> {
        self.0.range(tree, span, scan)
    }
}
