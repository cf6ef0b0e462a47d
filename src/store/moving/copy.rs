//! The move itself: where it begins or goes on, its transactions, and its end.

use super::verify::Sum;
use super::{MoveError, Part, Side, Watch, bytes, moved, trees};
use crate::store::kv::engine::{Batch, MemoryEngine, Tree, Value};
use crate::store::kv::{alive, moves, read_workspace, successors};
use crate::store::{Checkpoint, Move, MoveState, StoreError, Workspace};
use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};

/// Trees that are named where a target is not empty.
const NAMED_MAX: usize = 6;
/// Bytes of a hash that tell stores apart.
const NAME_BYTES: usize = 16;

/// A move that can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    /// As the target remembers it.
    pub(crate) row: Move,
    /// True if it began earlier.
    pub(crate) is_resumed: bool,
}

/// Begins a move, or takes up the one that the target remembers.
///
/// `new` says who and when; what it is moved from, and how far it is, is found here. Refused where either side is in use,
/// where the source was moved away, and where the target holds anything but this same move.
pub(crate) async fn begin(source: &dyn Side, target: &dyn Side, new: Move) -> Result<Begun, MoveError> {
    unused(source, &new.from).await?;
    unused(target, &new.to).await?;
    let workspaces = source.part(Tree::Workspaces, None).await?.rows;
    let Some((first, _)) = workspaces.first() else { return Err(MoveError::Nothing(new.from)) };
    let new = Move {
        source: hex::encode(&Sha256::digest(first)[..NAME_BYTES]),
        source_leases: leases(source).await?.1,
        state: MoveState::Arriving(Checkpoint::default()),
        ..new
    };
    let left = row(source).await?;
    match row(target).await? {
        Some(known) if known.source == new.source && matches!(known.state, MoveState::Arriving(_)) => {
            is_same(&known, &new, left)?;
            Ok(Begun { row: known, is_resumed: true })
        }
        Some(other) => Err(MoveError::Unsettled { place: new.to, why: other.refusal() }),
        None => {
            if let Some(left) = left {
                return Err(MoveError::Unsettled { place: new.from, why: left.refusal() });
            }
            empty(target, &new.to).await?;
            target.keep(batch(Tree::Meta, [(moves::MOVE.into(), moves::encode(&new)?)])).await?;
            Ok(Begun { row: new, is_resumed: false })
        }
    }
}

/// Sees that a move which has begun is still one of the source as it is.
fn is_same(known: &Move, new: &Move, left: Option<Move>) -> Result<(), MoveError> {
    if let Some(left) = left.filter(|left| left.id != known.id) {
        return Err(MoveError::Unsettled { place: new.from.clone(), why: left.refusal() });
    }
    if known.source_leases != new.source_leases {
        return Err(MoveError::WorkedOn {
            from: new.from.clone(),
            began_at: shown(known.began_at),
            give_up: known.give_up.clone(),
        });
    }
    Ok(())
}

/// Sees that no node lives here.
pub(crate) async fn unused(side: &dyn Side, place: &str) -> Result<(), MoveError> {
    let Some(now) = side.nodes_time().await? else { return Ok(()) };
    let nodes = all(side, Tree::Nodes).await?;
    match alive(&nodes, now)?.into_iter().next() {
        None => Ok(()),
        Some((node, until)) => {
            Err(MoveError::InUse { place: place.to_owned(), node: node.to_string(), until: shown(until) })
        }
    }
}

async fn empty(target: &dyn Side, to: &str) -> Result<(), MoveError> {
    let mut held = Vec::new();
    for tree in Tree::ALL {
        if !target.part(*tree, None).await?.rows.is_empty() {
            held.push(tree.name());
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    let more = if held.len() > NAMED_MAX { " and more" } else { "" };
    held.truncate(NAMED_MAX);
    Err(MoveError::Occupied { to: to.to_owned(), held: format!("{}{more}", held.join(", ")) })
}

/// The first workspaces that a store holds.
pub(crate) async fn workspaces(side: &dyn Side) -> Result<Vec<Workspace>, StoreError> {
    let rows = side.part(Tree::Workspaces, None).await?.rows;
    rows.iter().map(|(_, row)| read_workspace(row)).collect()
}

/// Copies all rows from where the move stands, and answers how many bytes and rows that were. The next part is read while
/// one is written, so that two of them are in memory at most.
pub(crate) async fn copy(
    source: &dyn Side,
    target: &dyn Side,
    mut row: Move,
    watch: &dyn Watch,
) -> Result<Sum, StoreError> {
    let MoveState::Arriving(mut at) = row.state.clone() else { return Ok(Sum::default()) };
    let mut copied = Sum::default();
    let skipped = at.tree.clone();
    let rest = trees().skip_while(|tree| skipped.as_deref().is_some_and(|name| tree.name() != name));
    for tree in rest {
        let after = at.after.take().filter(|_| at.tree.as_deref() == Some(tree.name()));
        let after = after.map(hex::decode).transpose().map_err(|_| damaged())?;
        let mut part = source.part(tree, after.as_deref()).await?;
        while !part.rows.is_empty() {
            let Part { rows, last } = part;
            let rows: Vec<_> = moved(tree, rows).collect();
            let (count, size) = (rows.len() as u64, rows.iter().map(|(key, value)| bytes(key, value)).sum::<u64>());
            at = Checkpoint {
                tree: Some(tree.name().to_owned()),
                after: Some(hex::encode(&last)),
                rows: at.rows + count,
            };
            row.state = MoveState::Arriving(at.clone());
            let mut batch = batch(tree, rows);
            put(&mut batch, Tree::Meta, [(moves::MOVE.into(), moves::encode(&row)?)]);
            let (_, next) = tokio::try_join!(target.keep(batch), source.part(tree, Some(&last)))?;
            part = next;
            watch.went(tree, count, size);
            copied.rows += count;
            copied.bytes += size;
        }
    }
    Ok(copied)
}

/// Ends a move whose sides are equal: the source is left, and the target may be worked on. In this order, so that at no
/// moment both may be; a move that is broken off in between goes on from there.
pub(crate) async fn finish(
    source: &dyn Side,
    target: &dyn Side,
    row: &Move,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (leases, _) = leases(source).await?;
    let left = Move { state: MoveState::Left(now), ..row.clone() };
    source.keep(batch(Tree::Meta, [(moves::MOVE.into(), moves::encode(&left)?)])).await?;
    let mut last = Batch::default();
    put(&mut last, Tree::Leases, successors(&leases)?.into_iter().map(|(key, row)| (key.into(), row)));
    last.trees[Tree::Meta.index()].insert(moves::MOVE.to_vec(), None);
    last.len += 1;
    target.keep(last).await
}

/// The move that a store remembers.
async fn row(side: &dyn Side) -> Result<Option<Move>, StoreError> {
    side.move_row().await?.map(|row| moves::decode(&row)).transpose()
}

/// A store's leases, and a name for how they are.
async fn leases(side: &dyn Side) -> Result<(MemoryEngine, String), StoreError> {
    let leases = all(side, Tree::Leases).await?;
    let mut hash = Sha256::new();
    for (key, row) in successors(&leases)? {
        hash.update(key);
        hash.update(&row);
    }
    Ok((leases, hex::encode(&hash.finalize()[..NAME_BYTES])))
}

/// All rows of a tree that has few.
async fn all(side: &dyn Side, tree: Tree) -> Result<MemoryEngine, StoreError> {
    let mut engine = MemoryEngine::default();
    let mut part = side.part(tree, None).await?;
    while !part.rows.is_empty() {
        engine.apply(batch(tree, part.rows));
        part = side.part(tree, Some(&part.last)).await?;
    }
    Ok(engine)
}

fn batch(tree: Tree, rows: impl IntoIterator<Item = (Value, Value)>) -> Batch {
    let mut batch = Batch::default();
    put(&mut batch, tree, rows);
    batch
}

fn put(batch: &mut Batch, tree: Tree, rows: impl IntoIterator<Item = (Value, Value)>) {
    for (key, value) in rows {
        let before = batch.trees[tree.index()].insert(key.to_vec(), Some(value));
        batch.len += usize::from(before.is_none());
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn damaged() -> StoreError {
    StoreError::Unreadable("the checkpoint of the move is damaged".into())
}
