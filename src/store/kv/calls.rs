//! Rows of the audit trail: two rings per webhook, feed or connection, one of successes and one of failures.
//!
//! The row itself stands by workspace and time, so that a list is one scan. The rings say where it stands
//! (`call_rings.rs`), and the counters where they begin and end. The counters also say that the scope still exists:
//! without them its rows are found by nobody, until they are cleaned up.

use super::call_rings::{self, RING_BYTES, RingKey};
use super::engine::{Place, Read, Scan, Span, Tree, Value};
use super::keys::{self, Grave, ID_BYTES, TIME_BYTES};
use super::rows::{Reader, Writer, from_json, to_json};
use super::txn::Txn;
use crate::ids::{ConnectionId, FeedId, WebhookId};
use crate::store::{ApiCall, StoreError};
use chrono::{DateTime, Utc};

pub(super) const WHAT: &str = "api call";
pub(super) const FORMAT: u8 = 1;
/// Bytes of a scope.
pub(super) const SCOPE_BYTES: usize = 1 + ID_BYTES;
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

/// Where a scope's counters stand.
pub(super) fn place(scope: Scope) -> Place {
    (Tree::CallCounters, scope.0.to_vec())
}

pub(super) fn counters(read: &dyn Read, scope: Scope) -> Result<Option<Counters>, StoreError> {
    read.get(Tree::CallCounters, &scope.0)?.map(|row| Counters::decode(&row)).transpose()
}

/// The id of a row: scope, time of making, and the rest of its ring's key.
fn id(ring: &RingKey, at: DateTime<Utc>) -> String {
    let (scope, rest) = ring.split_at(SCOPE_BYTES);
    hex::encode([scope, &keys::time(at), rest].concat())
}

/// A row, with its id.
pub(super) fn read(ring: &RingKey, row: &[u8]) -> Result<ApiCall, StoreError> {
    let mut call: ApiCall = from_json(WHAT, row)?;
    if call.id.is_empty() {
        call.id = id(ring, call.at);
    }
    Ok(call)
}

/// The ring's key that an id names; none where it is no such id.
pub(super) fn ring_of_id(id: &str) -> Option<RingKey> {
    let bytes = hex::decode(id).ok().filter(|bytes| bytes.len() == RING_BYTES + TIME_BYTES)?;
    [&bytes[..SCOPE_BYTES], &bytes[SCOPE_BYTES + TIME_BYTES..]].concat().try_into().ok()
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
    let is_full = ring.next - ring.first >= max;
    let written = [Some(ring.next), Some(ring.first).filter(|_| is_full)].into_iter().flatten();
    txn.expect(&|| written.clone().map(|row| call_rings::place(&call_rings::key(scope, class, row))).collect())?;
    add(txn, &call_rings::key(scope, class, ring.next), &call)?;
    ring.next += 1;
    for _ in 0..DRIVEN_OUT_MAX {
        if ring.next - ring.first > max {
            if let Some(key) = call_rings::drive_out(txn, &call_rings::key(scope, class, ring.first))? {
                txn.remove(Tree::Calls, key);
            }
            ring.first += 1;
        }
    }
    txn.put(Tree::CallCounters, scope.0, counters.encode());
    Ok(())
}

/// Its id is kept only where its key does not tell it.
fn add(txn: &mut Txn<'_>, ring: &RingKey, call: &ApiCall) -> Result<(), StoreError> {
    let key = call_rings::add(txn, ring, call.workspace_id, call.at)?;
    txn.put(Tree::Calls, key, to_json(WHAT, call)?);
    Ok(())
}

/// Folds an empty run into the scope's last row: it moves to the new time, its count grows, its id stays.
fn fold_into(txn: &mut Txn<'_>, scope: Scope, counters: Counters, call: &ApiCall) -> Result<bool, StoreError> {
    let Some(sequence) = counters.rings[0].next.checked_sub(1) else { return Ok(false) };
    let ring = call_rings::key(scope, 0, sequence);
    let Some(key) = call_rings::find(txn, &ring)? else { return Ok(false) };
    let Some(row) = txn.get(Tree::Calls, &key)? else { return Ok(false) };
    let known = read(&ring, &row)?;
    txn.remove(Tree::Calls, key);
    call_rings::forget_single(txn, &ring)?;
    let folded = ApiCall { id: known.id, count: known.count + call.count, ..call.clone() };
    add(txn, &ring, &folded)?;
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
        if let Some(ring) = key.get(ID_BYTES + TIME_BYTES..).and_then(|ring| ring.try_into().ok()) {
            call_rings::forget_before(txn, ring, before)?;
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

/// Removes rows of a forgotten scope, and answers how many: a few more than asked for, where they go together.
pub(super) fn clean(txn: &mut Txn<'_>, scope: &[u8], rows_max: usize) -> Result<usize, StoreError> {
    let (mut rings, mut rows) = (Vec::new(), Vec::new());
    for ring in txn.prefix(Tree::CallRings, scope) {
        if rings.len() + rows.len() >= rows_max {
            break;
        }
        let (key, row) = ring?;
        rows.extend(call_rings::keys_of(&key, &row)?);
        rings.push(key);
    }
    rows.iter().for_each(|key| txn.remove(Tree::Calls, key.as_slice()));
    rings.iter().for_each(|key| txn.remove(Tree::CallRings, &**key));
    Ok(rings.len() + rows.len())
}
