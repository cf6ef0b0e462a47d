//! Rows of the audit trail: two rings per webhook, feed or connection, one of successes and one of failures.
//!
//! The row itself stands by workspace and time, so that a list is one scan. A ring's row says where it stands, and the
//! counters say where the rings begin and end. The counters also say that the scope still exists: without them its rows
//! are found by nobody, until they are cleaned up.

use super::engine::{Read, Scan, Span, Tree, Value};
use super::keys::{self, Grave, ID_BYTES, TIME_BYTES};
use super::rows::{Reader, Writer, damaged, from_json, to_json};
use super::txn::Txn;
use crate::ids::{ConnectionId, FeedId, WebhookId, WorkspaceId};
use crate::store::{ApiCall, StoreError};
use chrono::{DateTime, Utc};

pub(super) const WHAT: &str = "api call";
pub(super) const FORMAT: u8 = 1;
/// Bytes of a scope.
pub(super) const SCOPE_BYTES: usize = 1 + ID_BYTES;
/// Bytes of a ring's key: scope, class, sequence.
pub(super) const RING_BYTES: usize = SCOPE_BYTES + 1 + 8;
/// Rows beyond the bound that one new row drives out, after the bound was lowered.
const DRIVEN_OUT_MAX: u64 = 4;

/// Rows that one call forgets because of their age: they are one transaction.
const FORGOTTEN_MAX: usize = 2_000;

/// What rows are bounded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Scope(pub(super) [u8; SCOPE_BYTES]);

impl Scope {
    fn new(kind: u8, id: &[u8; ID_BYTES]) -> Self {
        let mut scope = [kind; SCOPE_BYTES];
        scope[1..].copy_from_slice(id);
        Scope(scope)
    }

    pub(super) fn feed(id: FeedId) -> Self {
        Scope::new(1, id.as_bytes())
    }

    pub(super) fn webhook(id: WebhookId) -> Self {
        Scope::new(2, id.as_bytes())
    }

    pub(super) fn connection(id: ConnectionId) -> Self {
        Scope::new(3, id.as_bytes())
    }
}

/// Whether a row may be folded into the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Nothing,
    /// Runs that found nothing are, and rows of what was passed over.
    EmptyRuns,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ring {
    pub(super) first: u64,
    pub(super) next: u64,
}

/// Where a scope's rings begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counters {
    /// Successes, failures.
    pub(super) rings: [Ring; 2],
    /// True if the last row is an empty run.
    pub(super) is_foldable: bool,
}

impl Counters {
    pub(super) fn encode(self) -> Value {
        let mut row = Writer::new(FORMAT);
        for ring in self.rings {
            row.u64(ring.first);
            row.u64(ring.next);
        }
        row.u8(u8::from(self.is_foldable));
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut row = Reader::new("call counter", FORMAT, row)?;
        let mut ring = || Ok(Ring { first: row.u64()?, next: row.u64()? });
        let rings = [ring()?, ring()?];
        Ok(Counters { rings, is_foldable: row.bool()? })
    }
}

pub(super) fn counters(read: &dyn Read, scope: Scope) -> Result<Option<Counters>, StoreError> {
    read.get(Tree::CallCounters, &scope.0)?.map(|row| Counters::decode(&row)).transpose()
}

/// The key of a row, from where its ring's row says it stands.
pub(super) fn row_key(place: &[u8], ring: &[u8]) -> Vec<u8> {
    [place, ring].concat()
}

fn ring_key(scope: Scope, class: u8, sequence: u64) -> Vec<u8> {
    [&scope.0[..], &[class], &sequence.to_be_bytes()].concat()
}

fn place(workspace: WorkspaceId, at: DateTime<Utc>) -> Vec<u8> {
    [&workspace.as_bytes()[..], &keys::time(at)].concat()
}

/// Where the row of a ring's row stands.
pub(super) fn find(read: &dyn Read, ring: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(row) = read.get(Tree::CallRings, ring)? else { return Ok(None) };
    Reader::new(WHAT, FORMAT, &row).map(|row| Some(row_key(row.rest(), ring)))
}

/// The id of a row: scope, time of making, and the rest of its ring's key.
fn id(ring: &[u8], at: DateTime<Utc>) -> String {
    let (scope, rest) = ring.split_at(SCOPE_BYTES);
    hex::encode([scope, &keys::time(at), rest].concat())
}

/// A row, with its id.
pub(super) fn read(ring: &[u8], row: &[u8]) -> Result<ApiCall, StoreError> {
    let mut call: ApiCall = from_json(WHAT, row)?;
    if call.id.is_empty() {
        call.id = id(ring, call.at);
    }
    Ok(call)
}

/// The ring's key that an id names; none where it is no such id.
pub(super) fn ring_of_id(id: &str) -> Option<Vec<u8>> {
    let bytes = hex::decode(id).ok().filter(|bytes| bytes.len() == RING_BYTES + TIME_BYTES)?;
    Some([&bytes[..SCOPE_BYTES], &bytes[SCOPE_BYTES + TIME_BYTES..]].concat())
}

/// Adds a row.
pub(super) fn record(txn: &mut Txn<'_>, scope: Scope, call: ApiCall, fold: Fold) -> Result<(), StoreError> {
    let mut counters = counters(txn, scope)?.unwrap_or_default();
    let is_empty_run = fold == Fold::EmptyRuns && !call.is_failure() && call.records == 0;
    if is_empty_run && counters.is_foldable && fold_into(txn, scope, counters, &call)? {
        return Ok(());
    }
    counters.is_foldable = is_empty_run;
    let (class, max) = match call.is_failure() {
        false => (0, txn.limits().calls_ok_max),
        true => (1, txn.limits().calls_failed_max),
    };
    let ring = &mut counters.rings[usize::from(class)];
    add(txn, ring_key(scope, class, ring.next), &call)?;
    ring.next += 1;
    for _ in 0..DRIVEN_OUT_MAX {
        if ring.next - ring.first > max {
            remove(txn, &ring_key(scope, class, ring.first))?;
            ring.first += 1;
        }
    }
    txn.put(Tree::CallCounters, scope.0, counters.encode());
    Ok(())
}

/// Its id is kept only where its key does not tell it.
fn add(txn: &mut Txn<'_>, ring: Vec<u8>, call: &ApiCall) -> Result<(), StoreError> {
    let place = place(call.workspace_id, call.at);
    txn.put(Tree::Calls, row_key(&place, &ring), to_json(WHAT, call)?);
    let mut row = Writer::new(FORMAT);
    row.raw(&place);
    txn.put(Tree::CallRings, ring, row.finish());
    Ok(())
}

fn remove(txn: &mut Txn<'_>, ring: &[u8]) -> Result<(), StoreError> {
    if let Some(key) = find(txn, ring)? {
        txn.remove(Tree::Calls, key);
        txn.remove(Tree::CallRings, ring);
    }
    Ok(())
}

/// Folds an empty run into the scope's last row: it moves to the new time, its count grows, its id stays.
fn fold_into(txn: &mut Txn<'_>, scope: Scope, counters: Counters, call: &ApiCall) -> Result<bool, StoreError> {
    let Some(sequence) = counters.rings[0].next.checked_sub(1) else { return Ok(false) };
    let ring = ring_key(scope, 0, sequence);
    let Some(key) = find(txn, &ring)? else { return Ok(false) };
    let row = txn.get(Tree::Calls, &key)?.ok_or_else(|| damaged(WHAT))?;
    let known = read(&ring, &row)?;
    txn.remove(Tree::Calls, key);
    let folded = ApiCall { id: known.id, count: known.count + call.count, ..call.clone() };
    add(txn, ring, &folded)?;
    Ok(true)
}

/// Removes rows from before, a workspace after the other; true where the bound was reached.
pub(super) fn forget_before(txn: &mut Txn<'_>, before: DateTime<Utc>, rows_max: usize) -> Result<bool, StoreError> {
    let rows_max = rows_max.min(FORGOTTEN_MAX);
    let workspaces = txn.prefix(Tree::Workspaces, &[]).map(|row| row.map(|(key, _)| key));
    let workspaces = workspaces.collect::<Result<Vec<_>, _>>()?;
    let mut old = Vec::new();
    for workspace in workspaces {
        let span = Span { from: workspace.to_vec(), to: Some([&workspace[..], &keys::time(before)].concat()) };
        for row in txn.range(Tree::Calls, span, Scan::Up).take(rows_max - old.len()) {
            old.push(row?.0);
        }
    }
    for key in &old {
        // Behind workspace and time stands the key of the ring's row.
        if let Some(ring) = key.get(ID_BYTES + TIME_BYTES..) {
            txn.remove(Tree::CallRings, ring);
        }
        txn.remove(Tree::Calls, &**key);
    }
    Ok(old.len() == rows_max)
}

/// Makes a scope's rows be found by nobody. They are left to be cleaned up.
pub(super) fn forget(txn: &mut Txn<'_>, scope: Scope) {
    txn.remove(Tree::CallCounters, scope.0);
    txn.put(Tree::Graves, Grave::Calls.key(&scope.0), &[]);
}

/// Removes rows of a forgotten scope, and answers how many.
pub(super) fn clean(txn: &mut Txn<'_>, scope: &[u8], rows_max: usize) -> Result<usize, StoreError> {
    let rings = txn.prefix(Tree::CallRings, scope).take(rows_max).map(|row| row.map(|(key, _)| key));
    let rings = rings.collect::<Result<Vec<_>, _>>()?;
    rings.iter().try_for_each(|ring| remove(txn, ring))?;
    Ok(rings.len())
}
