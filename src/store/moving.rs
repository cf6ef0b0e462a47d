//! Moving everything from one store to another: rows as they are, a tree after the other, while nobody works on either.
//!
//! begin -> copy, a part and its checkpoint in one transaction -> verify both sides by reading them -> finish
//!
//! A move that is broken off at any moment goes on by beginning it again. Leases and nodes are not moved: they say who
//! works where. Each shard's epoch goes on in the new store, one behind the old store's, so that no fence which was ever
//! shown, here or there, is good a second time: a store that is moved away and back, and a node that sleeps through both,
//! must not come to the same number.

mod copy;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use copy::{Begun, begin, copy, finish, unused, workspaces};
pub(crate) use verify::{Sum, sums};

use super::StoreError;
use super::kv::engine::{Batch, Tree, Value};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

/// Why a move is refused. Nothing was written.
#[derive(Debug, Error)]
pub(crate) enum MoveError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source is no store that has been worked on.
    #[error("{0} holds nothing that could be moved")]
    Nothing(String),
    /// Rows are there that are not of this move.
    #[error("{to} is not empty, but holds {held}: move to a store that holds nothing")]
    Occupied {
        /// The target.
        to: String,
        /// What it holds.
        held: String,
    },
    /// A move keeps one of them.
    #[error("{place} cannot be used: {why}")]
    Unsettled {
        /// Which store.
        place: String,
        /// Which move, and what to do.
        why: String,
    },
    /// A node works on one of them.
    #[error(
        "{place} is in use by node {node}: stop all nodes and try again. One that was killed counts as living until {until}"
    )]
    InUse {
        /// Which store.
        place: String,
        /// A node that lives.
        node: String,
        /// Until when it does at least.
        until: String,
    },
    /// A node has worked on the source since the move began.
    #[error(
        "{from} has been worked on since this move began, at {began_at}: what was copied is out of date. Give the move up by \
         {give_up}, and begin anew"
    )]
    WorkedOn {
        /// The source.
        from: String,
        /// When the move began.
        began_at: String,
        /// What takes the copy away.
        give_up: String,
    },
}

/// Some rows of a tree.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Keys and values; none at the end of the tree.
    pub(crate) rows: Vec<(Value, Value)>,
    /// The place of the last of them, in the engine's own terms.
    pub(crate) last: Vec<u8>,
}

/// One side of a move: an engine's rows as they are, with nobody else at work there for as long as this is open.
#[async_trait]
pub(crate) trait Side: Send + Sync {
    /// The rows of a tree behind a place that an earlier part ended at, in an order that stays the same. A part has at most
    /// `store.move_rows_max` rows of together `store.move_bytes_max` bytes, or one row.
    async fn part(&self, tree: Tree, after: Option<&[u8]>) -> Result<Part, StoreError>;

    /// The row of the move that this store remembers.
    async fn move_row(&self) -> Result<Option<Value>, StoreError>;

    /// Writes rows, all or nothing. They are durable when this returns.
    async fn keep(&self, batch: Batch) -> Result<(), StoreError>;

    /// What the clock shows by which nodes live here; none where no node can have this store open beside us.
    async fn nodes_time(&self) -> Result<Option<DateTime<Utc>>, StoreError>;
}

/// Is told how things go.
pub(crate) trait Watch: Sync {
    /// So many rows more were copied, or read, of this tree.
    fn went(&self, tree: Tree, rows: u64, bytes: u64);
}

/// What is moved: all trees but those that say who works where.
pub(crate) fn trees() -> impl Iterator<Item = Tree> {
    Tree::ALL.iter().copied().filter(|tree| !matches!(tree, Tree::Leases | Tree::Nodes))
}

/// Leaves out the row of the move itself, which is each store's own.
fn moved(tree: Tree, rows: Vec<(Value, Value)>) -> impl Iterator<Item = (Value, Value)> {
    rows.into_iter().filter(move |(key, _)| tree != Tree::Meta || **key != *super::kv::moves::MOVE)
}

/// Rows as they are counted: a key and its value.
fn bytes(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}
