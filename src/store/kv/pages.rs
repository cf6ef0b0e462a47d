//! Pages of bytes under an owner and a sequence, in rows small enough for the engine.
//!
//! sled moves values above some 64 KiB out of its log into files of their own, which costs a file and a barrier each:
//! larger pages are cut over several rows.

use super::engine::{Read, Tree, Value};
use super::keys::{ID_BYTES, chunk};
use super::rows::{Reader, Writer, damaged};
use super::txn::Txn;
use crate::store::StoreError;

pub(super) const WHAT: &str = "page";
pub(super) const FORMAT: u8 = 1;
/// Bytes of a page in one row.
const CHUNK_BYTES_MAX: usize = 60 << 10;

/// Keeps a page. Its first row says how many there are.
pub(super) fn put(
    txn: &mut Txn<'_>,
    tree: Tree,
    owner: &[u8; ID_BYTES],
    sequence: u64,
    page: &[u8],
) -> Result<(), StoreError> {
    let count = page.len().div_ceil(CHUNK_BYTES_MAX).max(1);
    let count = u16::try_from(count).map_err(|_| StoreError::Unreadable("a page is too large to be kept".into()))?;
    let bytes = u32::try_from(page.len()).unwrap_or(u32::MAX);
    txn.put(tree, chunk(owner, sequence, 0), first_row(count, bytes, &page[..page.len().min(CHUNK_BYTES_MAX)]));
    for (number, part) in (1..count).zip(page.chunks(CHUNK_BYTES_MAX).skip(1)) {
        let mut row = Writer::new(FORMAT);
        row.raw(part);
        txn.put(tree, chunk(owner, sequence, number), row.finish());
    }
    Ok(())
}

fn first_row(count: u16, bytes: u32, part: &[u8]) -> Value {
    let mut row = Vec::with_capacity(7 + part.len());
    row.push(FORMAT);
    row.extend_from_slice(&count.to_be_bytes());
    row.extend_from_slice(&bytes.to_be_bytes());
    row.extend_from_slice(part);
    Value::from(row)
}

/// The page with this sequence.
pub(super) fn get(
    read: &dyn Read,
    tree: Tree,
    owner: &[u8; ID_BYTES],
    sequence: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(first) = read.get(tree, &chunk(owner, sequence, 0))? else { return Ok(None) };
    let mut row = Reader::new(WHAT, FORMAT, &first)?;
    let (count, bytes) = (row.u16()?, row.u32()? as usize);
    let mut page = row.rest().to_vec();
    for number in 1..count {
        // A reader may meet a page that is just being forgotten.
        let Some(row) = read.get(tree, &chunk(owner, sequence, number))? else { return Ok(None) };
        page.extend_from_slice(Reader::new(WHAT, FORMAT, &row)?.rest());
    }
    if page.len() == bytes { Ok(Some(page)) } else { Err(damaged(WHAT)) }
}

/// How many bytes a page has; 0 where there is none.
pub(super) fn bytes(read: &dyn Read, tree: Tree, owner: &[u8; ID_BYTES], sequence: u64) -> Result<u64, StoreError> {
    let Some(first) = read.get(tree, &chunk(owner, sequence, 0))? else { return Ok(0) };
    let mut row = Reader::new(WHAT, FORMAT, &first)?;
    row.u16()?;
    row.u32().map(u64::from)
}

/// Forgets a page, and answers how many bytes it had.
pub(super) fn remove(txn: &mut Txn<'_>, tree: Tree, owner: &[u8; ID_BYTES], sequence: u64) -> Result<u64, StoreError> {
    let Some(first) = txn.get(tree, &chunk(owner, sequence, 0))? else { return Ok(0) };
    let mut row = Reader::new(WHAT, FORMAT, &first)?;
    let (count, bytes) = (row.u16()?, row.u32()?);
    for number in 0..count {
        txn.remove(tree, chunk(owner, sequence, number));
    }
    Ok(u64::from(bytes))
}
