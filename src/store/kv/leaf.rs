//! A leaf of the ledger: some hundred records of one feed in one row, sorted by id.
//!
//! ```text
//! format u8 | oldest updated_at i64 | per record: id length u16, id, updated_at i64, version u64, flags u8
//! ```

use super::engine::Value;
use super::rows::{Reader, damaged};
use crate::store::{LedgerEntry, StoreError};

pub(super) const WHAT: &str = "ledger";
pub(super) const FORMAT: u8 = 1;
/// Records of a leaf.
const RECORDS_MAX: usize = 128;
/// Bytes of a leaf, where ids are long.
const BYTES_MAX: usize = 32 << 10;
/// Bytes of a record beside its id.
const RECORD_BYTES: usize = 19;
const IS_DELETED: u8 = 1;

/// A record as the ledger remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known<'a> {
    pub(super) id: &'a [u8],
    pub(super) entry: LedgerEntry,
}

/// The smallest `updated_at` in a leaf, in milliseconds.
pub(super) fn oldest(row: &[u8]) -> Result<i64, StoreError> {
    Ok(Reader::new(WHAT, FORMAT, row)?.u64()?.cast_signed())
}

/// The records of a leaf, sorted by id.
pub(super) fn decode(row: &[u8]) -> Result<Vec<Known<'_>>, StoreError> {
    let mut reader = Reader::new(WHAT, FORMAT, row)?;
    reader.u64()?;
    let mut rest = reader.rest();
    let mut known = Vec::with_capacity(RECORDS_MAX);
    while !rest.is_empty() {
        let (record, behind) = decode_one(rest).ok_or_else(|| damaged(WHAT))?;
        known.push(record);
        rest = behind;
    }
    Ok(known)
}

fn decode_one(bytes: &[u8]) -> Option<(Known<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (id, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let (updated_at_ms, rest) = rest.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let (flags, rest) = rest.split_first()?;
    let entry = LedgerEntry {
        updated_at_ms: i64::from_be_bytes(*updated_at_ms),
        version: u64::from_be_bytes(*version),
        is_deleted: flags & IS_DELETED != 0,
    };
    Some((Known { id, entry }, rest))
}

/// The row of a leaf.
pub(super) fn encode(known: &[Known<'_>]) -> Result<Value, StoreError> {
    let oldest = known.iter().map(|known| known.entry.updated_at_ms).min().unwrap_or(i64::MAX);
    let mut row = Vec::with_capacity(9 + known.iter().map(bytes).sum::<usize>());
    row.push(FORMAT);
    row.extend_from_slice(&oldest.to_be_bytes());
    for Known { id, entry } in known {
        let length = u16::try_from(id.len())
            .map_err(|_| StoreError::Unreadable("a record's id is longer than 65,535 bytes".into()))?;
        row.extend_from_slice(&length.to_be_bytes());
        row.extend_from_slice(id);
        row.extend_from_slice(&entry.updated_at_ms.to_be_bytes());
        row.extend_from_slice(&entry.version.to_be_bytes());
        row.push(if entry.is_deleted { IS_DELETED } else { 0 });
    }
    Ok(Value::from(row))
}

fn bytes(known: &Known<'_>) -> usize {
    RECORD_BYTES + known.id.len()
}

/// Cuts records into leaves. Where all that is new comes behind what was there, full leaves stay full; else they are
/// halved, so that there is room in both.
pub(super) fn cut<'k, 'a>(known: &'k [Known<'a>], is_append: bool) -> Vec<&'k [Known<'a>]> {
    let leaves = known.len().div_ceil(RECORDS_MAX).max(1);
    let records_max = if is_append { RECORDS_MAX } else { known.len().div_ceil(leaves).max(1) };
    let (mut cut, mut start, mut size) = (Vec::with_capacity(leaves), 0, 0);
    for (index, record) in known.iter().enumerate() {
        if index > start && (index - start == records_max || size + bytes(record) > BYTES_MAX) {
            cut.push(&known[start..index]);
            (start, size) = (index, 0);
        }
        size += bytes(record);
    }
    if start < known.len() {
        cut.push(&known[start..]);
    }
    cut
}

/// Records known before, less those older than `forget_before_ms`, with new ones in their place or between them. Both
/// are sorted by id.
pub(super) fn merge<'a>(old: &[Known<'a>], new: &[Known<'a>], forget_before_ms: Option<i64>) -> Vec<Known<'a>> {
    let is_kept = |known: &Known<'_>| forget_before_ms.is_none_or(|before| known.entry.updated_at_ms >= before);
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut old = old.iter().peekable();
    for new in new {
        while let Some(known) = old.next_if(|known| known.id < new.id) {
            merged.extend(is_kept(known).then_some(*known));
        }
        old.next_if(|known| known.id == new.id);
        merged.push(*new);
    }
    merged.extend(old.filter(|known| is_kept(known)).copied());
    merged
}
