//! Where the rows of a ring stand in the audit trail: a row for sixteen of them, since each delivery adds one and drives
//! another out. Places of rows that have gone may stay until all of their part are gone.
//!
//! ```text
//! format u8 = 2 | workspace | per row in the order of their sequences: time, or 0xff where there is no row
//! ```
//!
//! Format 1 has the workspace and time of one row alone, under that row's own sequence. It is read, and goes as its rows
//! are driven out.

use super::calls::{SCOPE_BYTES, Scope};
use super::engine::{Place, Read, Tree, Value};
use super::keys::{self, TIME_BYTES, under};
use super::rows::{Reader, Writer, damaged};
use super::txn::Txn;
use crate::ids::WorkspaceId;
use crate::store::StoreError;
use chrono::{DateTime, Utc};

pub(super) const WHAT: &str = "call ring";
pub(super) const FORMAT: u8 = 2;
/// Rows of a part.
const ROWS: u64 = 16;
/// Stands where there is no row: no time is written so.
const NONE: [u8; TIME_BYTES] = [u8::MAX; TIME_BYTES];
/// Bytes before the sequence in a ring's key.
const CLASS_BYTES: usize = SCOPE_BYTES + 1;
/// Bytes of a ring's key: scope, class, sequence.
pub(super) const RING_BYTES: usize = CLASS_BYTES + 8;

/// A row's key in its ring.
pub(super) type RingKey = [u8; RING_BYTES];

pub(super) fn key(scope: Scope, class: u8, sequence: u64) -> RingKey {
    let mut key = [class; RING_BYTES];
    key[..SCOPE_BYTES].copy_from_slice(&scope.0);
    key[CLASS_BYTES..].copy_from_slice(&sequence.to_be_bytes());
    key
}

fn sequence(ring: &RingKey) -> u64 {
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&ring[CLASS_BYTES..]);
    u64::from_be_bytes(sequence)
}

fn with_sequence(ring: &RingKey, sequence: u64) -> RingKey {
    let mut key = *ring;
    key[CLASS_BYTES..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The key of the part that a row belongs to, and the row's place in it.
fn part_of(ring: &RingKey) -> (RingKey, usize) {
    let index = sequence(ring) % ROWS;
    (with_sequence(ring, sequence(ring) - index), index as usize)
}

/// The key of a row, from where it stands.
fn row_key(place: &[u8], ring: &RingKey) -> Vec<u8> {
    [place, ring].concat()
}

/// Where rows that follow each other stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) workspace: WorkspaceId,
    pub(super) times: Vec<[u8; TIME_BYTES]>,
}

impl Part {
    pub(super) fn encode(&self) -> Value {
        let mut row = Writer::new(FORMAT);
        row.raw(self.workspace.as_bytes());
        self.times.iter().for_each(|time| row.raw(time));
        row.finish()
    }

    /// A row of format 1 is a part of one.
    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut row = Reader::new(WHAT, FORMAT, row)?;
        let workspace = WorkspaceId::from_bytes(row.array()?);
        let (times, rest) = row.rest().as_chunks();
        if rest.is_empty() { Ok(Part { workspace, times: times.to_vec() }) } else { Err(damaged(WHAT)) }
    }

    fn place(&self, index: usize) -> Option<Vec<u8>> {
        let time = self.times.get(index).filter(|time| **time != NONE)?;
        Some(under(self.workspace.as_bytes(), time))
    }

    fn set(&mut self, index: usize, time: [u8; TIME_BYTES]) {
        if self.times.len() <= index {
            self.times.resize(index + 1, NONE);
        }
        self.times[index] = time;
    }
}

/// Where the part stands that a row belongs to.
pub(super) fn place(ring: &RingKey) -> Place {
    (Tree::CallRings, part_of(ring).0.to_vec())
}

fn load(read: &dyn Read, key: &RingKey) -> Result<Option<Part>, StoreError> {
    read.get(Tree::CallRings, key)?.map(|row| Part::decode(&row)).transpose()
}

/// Notes where a row stands, and answers its key.
pub(super) fn add(
    txn: &mut Txn<'_>,
    ring: &RingKey,
    workspace: WorkspaceId,
    at: DateTime<Utc>,
) -> Result<Vec<u8>, StoreError> {
    let (key, index) = part_of(ring);
    let mut part = load(txn, &key)?.unwrap_or(Part { workspace, times: Vec::new() });
    part.set(index, keys::time(at));
    txn.put(Tree::CallRings, key, part.encode());
    Ok(row_key(&under(workspace.as_bytes(), &keys::time(at)), ring))
}

/// The key of a row of a ring, which may have gone.
pub(super) fn find(read: &dyn Read, ring: &RingKey) -> Result<Option<Vec<u8>>, StoreError> {
    let (key, index) = part_of(ring);
    let place = match load(read, &key)?.and_then(|part| part.place(index)) {
        Some(place) => Some(place),
        None => single(read, ring)?,
    };
    Ok(place.map(|place| row_key(&place, ring)))
}

/// Forgets where the first row of a ring stands, and answers its key: the part goes with its last row.
pub(super) fn drive_out(txn: &mut Txn<'_>, ring: &RingKey) -> Result<Option<Vec<u8>>, StoreError> {
    let (key, index) = part_of(ring);
    let mut place = load(txn, &key)?.and_then(|part| part.place(index));
    if place.is_none() {
        place = single(txn, ring)?;
        forget_single(txn, ring)?;
    }
    if index as u64 == ROWS - 1 {
        txn.remove(Tree::CallRings, key);
    }
    Ok(place.map(|place| row_key(&place, ring)))
}

/// Where a row of format 1 says that its row stands. The first of a part is read as a part.
fn single(read: &dyn Read, ring: &RingKey) -> Result<Option<Vec<u8>>, StoreError> {
    if *ring == part_of(ring).0 {
        return Ok(None);
    }
    Ok(load(read, ring)?.and_then(|part| part.place(0)))
}

/// Removes a row of format 1, where one stands under this sequence.
pub(super) fn forget_single(txn: &mut Txn<'_>, ring: &RingKey) -> Result<(), StoreError> {
    if single(txn, ring)?.is_some() {
        txn.remove(Tree::CallRings, ring);
    }
    Ok(())
}

/// Forgets where a row from before stands, if all of its part are.
pub(super) fn forget_before(txn: &mut Txn<'_>, ring: &RingKey, before: DateTime<Utc>) -> Result<(), StoreError> {
    let (key, _) = part_of(ring);
    let before = keys::time(before);
    if load(txn, &key)?.is_some_and(|part| part.times.iter().all(|time| *time < before || *time == NONE)) {
        txn.remove(Tree::CallRings, key);
    }
    forget_single(txn, ring)
}

/// The keys of the rows that a row of the index tells of; some may have gone.
pub(super) fn keys_of(key: &[u8], row: &[u8]) -> Result<impl Iterator<Item = Vec<u8>>, StoreError> {
    let first = RingKey::try_from(key).map_err(|_| damaged(WHAT))?;
    let part = Part::decode(row)?;
    let from = sequence(&first);
    Ok((0..part.times.len())
        .filter_map(move |index| Some(row_key(&part.place(index)?, &with_sequence(&first, from + index as u64)))))
}
