//! Moves of everything from one store to another, as both of them remember it.

use super::StoreError;
use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A move, in the store that is moved to while it has not ended, and in the one that was moved from since it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Tells it from others.
    pub id: String,
    /// The store that is moved from, for people; without a password.
    pub from: String,
    /// The store that is moved to, for people; without a password.
    pub to: String,
    /// What takes away all that came of it, where it is given up.
    pub give_up: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Tells what is moved from what any other store holds.
    pub source: String,
    /// The source's leases when it began: they are others once a node has worked there.
    pub source_leases: String,
    /// How far it is.
    pub state: MoveState,
}

/// How far a move is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveState {
    /// In the store that is moved to: all rows before this place are there.
    Arriving(Checkpoint),
    /// In the store that was moved from: it has ended, at this time.
    Left(DateTime<Utc>),
}

/// A place in the rows of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The tree that is copied; none before the first.
    pub tree: Option<String>,
    /// The last place in it that has been copied, in hexadecimal and the source's own terms.
    pub after: Option<String>,
    /// Rows copied so far.
    pub rows: u64,
}

impl Move {
    /// Why a store that remembers this move is not to be worked on, and what to do.
    pub fn refusal(&self) -> String {
        let Move { from, to, give_up, began_at, state, .. } = self;
        let shown = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match state {
            MoveState::Arriving(_) => format!(
                "a move from {from} to here began at {} and has not ended: finish it by the same anyhook migrate, or give it \
                 up by {give_up} and go on with {from}",
                shown(began_at)
            ),
            MoveState::Left(at) => format!(
                "everything in {from} was moved to {to} at {}: start with that store. Where the move is to be forgotten and \
                 nothing runs on {to}, start here once with --set store.reopen_moved=true",
                shown(at)
            ),
        }
    }
}

/// What a store knows of moves.
#[async_trait]
pub trait Moves {
    /// The move because of which nobody may work here.
    ///
    /// - While there is one, no node gets shards, and no first workspace is made.
    async fn unsettled_move(&self) -> Result<Option<Move>, StoreError>;

    /// Forgets that everything was moved away, and answers the move. One that has not ended stays.
    async fn reopen_moved(&self) -> Result<Option<Move>, StoreError>;
}
