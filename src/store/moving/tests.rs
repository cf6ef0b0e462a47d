//! The rules of a move over memory: broken off anywhere it goes on, and what it ends with.

use super::{Begun, MoveError, Part, Side, Watch, begin, copy, finish, sums};
use crate::limits::StoreLimits;
use crate::store::kv::check_fence;
use crate::store::kv::engine::{Batch, MemoryEngine, Read, Scan, Span, Tree, Value};
use crate::store::kv::moves::MOVE;
use crate::store::kv::txn::Txn;
use crate::store::{Checkpoint, Duty, Fence, Move, MoveState, ShardId, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Mutex;

/// A store in memory as one side of a move. It may be lost at a write.
#[derive(Default)]
struct MemorySide {
    engine: Mutex<MemoryEngine>,
    /// Writes until it is lost; none for never.
    fuel: Mutex<Option<u32>>,
}

const ROWS_MAX: usize = 3;

#[async_trait]
impl Side for MemorySide {
    async fn part(&self, tree: Tree, after: Option<&[u8]>) -> Result<Part, StoreError> {
        let engine = self.engine.lock().unwrap();
        let rows = engine.range(tree, Span::after(&[], after), Scan::Up).take(ROWS_MAX);
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(Part { last: rows.last().map(|(key, _)| key.to_vec()).unwrap_or_default(), rows })
    }

    async fn move_row(&self) -> Result<Option<Value>, StoreError> {
        self.engine.lock().unwrap().get(Tree::Meta, MOVE)
    }

    async fn keep(&self, batch: Batch) -> Result<(), StoreError> {
        if let Some(fuel) = self.fuel.lock().unwrap().as_mut() {
            *fuel = fuel.checked_sub(1).ok_or(StoreError::Unavailable("lost".into()))?;
        }
        self.engine.lock().unwrap().apply(batch);
        Ok(())
    }

    async fn nodes_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(None)
    }
}

struct Nobody;

impl Watch for Nobody {
    fn went(&self, _tree: Tree, _rows: u64, _bytes: u64) {}
}

impl MemorySide {
    fn put(&self, rows: &[(Tree, &[u8], &[u8])]) {
        let limits = StoreLimits::default();
        let mut engine = self.engine.lock().unwrap();
        let batch = {
            let mut txn = Txn::new(&*engine, &limits);
            rows.iter().for_each(|(tree, key, value)| txn.put(*tree, *key, *value));
            txn.finish().0
        };
        engine.apply(batch);
    }

    /// A store with a few rows in some trees.
    fn filled() -> Self {
        let side = MemorySide::default();
        side.put(&[
            (Tree::Meta, b"store_key", b"a key"),
            (Tree::Workspaces, &[4; 12], b"{}"),
            (Tree::Leases, &[1, 0, 3], &LEASE),
        ]);
        for number in 0..20_u8 {
            side.put(&[(Tree::Ledger, &[number], &[1; 9]), (Tree::Spool, &[number, 0], &[])]);
        }
        side
    }

    fn rows(&self, tree: Tree) -> Vec<(Value, Value)> {
        self.engine.lock().unwrap().range(tree, Span::prefix(&[]), Scan::Up).map(Result::unwrap).collect()
    }
}

/// A lease in epoch 7 that a node holds.
const LEASE: [u8; 22] = [2, 0, 0, 0, 0, 0, 0, 0, 7, 1, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5];

fn new(id: &str) -> Move {
    Move {
        id: id.into(),
        from: "here".into(),
        to: "there".into(),
        give_up: "throwing it away".into(),
        began_at: DateTime::UNIX_EPOCH,
        source: String::new(),
        source_leases: String::new(),
        state: MoveState::Arriving(Checkpoint::default()),
    }
}

/// All of a move, as the command does it.
async fn moved(source: &MemorySide, target: &MemorySide) -> Result<Begun, MoveError> {
    let begun = begin(source, target, new("one")).await?;
    copy(source, target, begun.row.clone(), &Nobody).await?;
    assert_eq!(sums(source, &Nobody).await?, sums(target, &Nobody).await?);
    finish(source, target, &begun.row, DateTime::UNIX_EPOCH).await?;
    Ok(begun)
}

#[tokio::test]
async fn lost_at_any_write_it_goes_on_to_the_same_end() {
    let whole = {
        let (source, target) = (MemorySide::filled(), MemorySide::default());
        moved(&source, &target).await.unwrap();
        Tree::ALL.iter().map(|tree| target.rows(*tree)).collect::<Vec<_>>()
    };
    let mut losses = 0;
    for fuel in 0.. {
        let (source, target) = (MemorySide::filled(), MemorySide::default());
        *target.fuel.lock().unwrap() = Some(fuel);
        if moved(&source, &target).await.is_ok() {
            break;
        }
        losses += 1;
        *target.fuel.lock().unwrap() = None;
        let begun = moved(&source, &target).await.unwrap();
        assert_eq!(begun.is_resumed, fuel > 0);
        for (tree, rows) in Tree::ALL.iter().zip(&whole) {
            assert_eq!(&target.rows(*tree), rows, "{tree:?} after a loss at write {fuel}");
        }
        assert!(source.move_row().await.unwrap().is_some(), "the source knows that it was left");
    }
    // One that begins, 1 + 1 + 7 + 7 that copy, one that ends.
    assert_eq!(losses, 18);
}

#[tokio::test]
async fn epochs_go_on_in_the_new_store() {
    let (source, target) = (MemorySide::filled(), MemorySide::default());
    moved(&source, &target).await.unwrap();
    let engine = target.engine.lock().unwrap();
    for epoch in 0..=7 {
        let fence = Fence { duty: Duty::Poll, shard: ShardId(3), epoch };
        assert_eq!(check_fence(&*engine, fence), Err(StoreError::Fenced(fence)), "it was shown to the source");
    }
    assert_eq!(engine.range(Tree::Leases, Span::prefix(&[]), Scan::Up).count(), 128);
}

#[tokio::test]
async fn a_lost_source_mark_is_made_good_before_the_target_is_free() {
    let (source, target) = (MemorySide::filled(), MemorySide::default());
    *source.fuel.lock().unwrap() = Some(0);
    moved(&source, &target).await.unwrap_err();
    assert!(target.move_row().await.unwrap().is_some(), "nobody may work there yet");
    *source.fuel.lock().unwrap() = None;
    moved(&source, &target).await.unwrap();
    assert!(target.move_row().await.unwrap().is_none());
}

#[tokio::test]
async fn sums_tell_apart_what_differs() {
    let one = MemorySide::filled();
    let before = sums(&one, &Nobody).await.unwrap();
    // Where a key ends and its value begins counts, and in which tree they are.
    one.put(&[(Tree::Pauses, b"ab", b"c")]);
    let first = sums(&one, &Nobody).await.unwrap();
    let other = MemorySide::filled();
    other.put(&[(Tree::Pauses, b"a", b"bc")]);
    let second = sums(&other, &Nobody).await.unwrap();
    let differing = |a: &[(Tree, super::Sum)], b: &[(Tree, super::Sum)]| -> Vec<Tree> {
        a.iter().zip(b).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect()
    };
    assert_eq!(differing(&before, &first), [Tree::Pauses]);
    assert_eq!(differing(&first, &second), [Tree::Pauses]);
    let sum = |sums: &[(Tree, super::Sum)]| sums.iter().find(|(tree, _)| *tree == Tree::Pauses).unwrap().1;
    assert_eq!((sum(&first).rows, sum(&first).bytes), (sum(&second).rows, sum(&second).bytes));
}
