//! The row of a move that keeps nodes from a store.

use super::engine::{Read, Tree, Value};
use super::rows::{from_json, load, to_json};
use super::txn::Txn;
use super::{Domain, Pace, Units};
use crate::store::{Move, MoveState, Moves, StoreError};
use async_trait::async_trait;

pub(super) const WHAT: &str = "move";
/// Its key among what there is one of. It is no part of what is moved.
pub(crate) const MOVE: &[u8] = b"move";

/// The row of a move.
pub(crate) fn encode(row: &Move) -> Result<Value, StoreError> {
    to_json(WHAT, row)
}

/// The move of a row.
pub(crate) fn decode(row: &[u8]) -> Result<Move, StoreError> {
    from_json(WHAT, row)
}

fn unsettled(read: &dyn Read) -> Result<Option<Move>, StoreError> {
    load(read, Tree::Meta, MOVE, WHAT)
}

/// Fails where a move keeps nodes from this store.
pub(super) fn check(read: &dyn Read) -> Result<(), StoreError> {
    unsettled(read)?.map_or(Ok(()), |row| Err(StoreError::Unavailable(row.refusal())))
}

fn reopen(txn: &mut Txn<'_>) -> Result<Option<Move>, StoreError> {
    let left = unsettled(txn)?.filter(|row| matches!(row.state, MoveState::Left(_)));
    if left.is_some() {
        txn.remove(Tree::Meta, MOVE);
    }
    Ok(left)
}

#[async_trait]
impl<U: Units> Moves for U {
    async fn unsettled_move(&self) -> Result<Option<Move>, StoreError> {
        self.read(unsettled).await
    }

    async fn reopen_moved(&self) -> Result<Option<Move>, StoreError> {
        self.write(Domain::Store, Pace::Now, reopen).await
    }
}
