//! Ids of native deliveries, by which repeats are known for a while.
//!
//! A connection has a row an id with the time it came, a row a time to forget the oldest by, and their count.

use super::engine::{Read, Tree};
use super::keys::{self, ID_BYTES, TIME_BYTES};
use super::rows::{Reader, Writer, damaged};
use super::txn::Txn;
use crate::ids::ConnectionId;
use crate::store::{DeliveryKey, StoreError};
use chrono::{DateTime, TimeDelta, Utc};

const WHAT: &str = "native delivery";
const FORMAT: u8 = 1;

/// The oldest that one delivery makes forgotten at most.
const FORGOTTEN_MAX: usize = 8;

/// What a row is, behind the connection in its key.
#[repr(u8)]
enum Row {
    Count = 0,
    Id = 1,
    Time = 2,
}

fn key(connection: ConnectionId, row: Row, rest: &[&[u8]]) -> Vec<u8> {
    keys::under(connection.as_bytes(), &keys::join(row as u8, rest))
}

fn count(read: &dyn Read, connection: ConnectionId) -> Result<u64, StoreError> {
    match read.get(Tree::Arrivals, &key(connection, Row::Count, &[]))? {
        Some(row) => Reader::new(WHAT, FORMAT, &row)?.u64(),
        None => Ok(0),
    }
}

/// Remembers a delivery; false where it is remembered already.
pub(super) fn remember(
    txn: &mut Txn<'_>,
    connection: ConnectionId,
    delivery: &DeliveryKey,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let id = key(connection, Row::Id, &[delivery]);
    if txn.get(Tree::Arrivals, &id)?.is_some() {
        return Ok(false);
    }
    txn.put(Tree::Arrivals, id, Writer::new(FORMAT).finish());
    txn.put(Tree::Arrivals, key(connection, Row::Time, &[&keys::time(now), delivery]), Writer::new(FORMAT).finish());
    let held = (count(txn, connection)? + 1).saturating_sub(forget(txn, connection, now)?);
    let mut row = Writer::new(FORMAT);
    row.u64(held);
    txn.put(Tree::Arrivals, key(connection, Row::Count, &[]), row.finish());
    Ok(true)
}

/// Forgets some of what is too old, or too much.
fn forget(txn: &mut Txn<'_>, connection: ConnectionId, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let limits = txn.limits();
    let kept = TimeDelta::milliseconds(i64::try_from(limits.arrivals_kept_ms).unwrap_or(i64::MAX / 4));
    let surplus = (count(txn, connection)? + 1).saturating_sub(limits.arrivals_max);
    let prefix = key(connection, Row::Time, &[]);
    let oldest = txn.prefix(Tree::Arrivals, &prefix).take(FORGOTTEN_MAX).map(|row| row.map(|(key, _)| key.to_vec()));
    let oldest: Vec<_> = oldest.collect::<Result<_, _>>()?;
    let mut forgotten = 0;
    for row in oldest {
        let rest = row.get(ID_BYTES + 1..).ok_or_else(|| damaged(WHAT))?;
        let (time, delivery) = rest.split_at_checked(TIME_BYTES).ok_or_else(|| damaged(WHAT))?;
        let at = keys::read_time(time).ok_or_else(|| damaged(WHAT))?;
        if at + kept > now && forgotten >= surplus {
            break;
        }
        txn.remove(Tree::Arrivals, key(connection, Row::Id, &[delivery]));
        txn.remove(Tree::Arrivals, row);
        forgotten += 1;
    }
    Ok(forgotten)
}
