//! Rows: a format version, then JSON for what changes seldom and compact fields for what changes with every page.
//!
//! Compact fields are big-endian; texts have their length before them, optional ones a byte that says whether they are.

use super::engine::{Read, Tree, Value};
use super::keys;
use super::txn::Txn;
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// The format of JSON rows that this build writes. Older ones are read.
const JSON_FORMAT: u8 = 1;

/// A row that is not what was written.
pub(super) fn damaged(what: &'static str) -> StoreError {
    StoreError::Unreadable(format!("a {what} row is damaged: restore the store from a backup"))
}

/// JSON that is not what was expected. Where it is JSON, it is likelier that a newer build wrote it than that it is damaged.
pub(super) fn misread(what: &'static str, error: &serde_json::Error) -> StoreError {
    match error.classify() {
        Category::Data => StoreError::Unreadable(format!(
            "a {what} row holds what this build does not know: start the newer build that wrote it"
        )),
        _ => damaged(what),
    }
}

/// Sees that a row's format is known, and answers it with the rest.
pub(super) fn open<'a>(what: &'static str, newest: u8, row: &'a [u8]) -> Result<(u8, &'a [u8]), StoreError> {
    match row.split_first() {
        Some((&format, rest)) if (1..=newest).contains(&format) => Ok((format, rest)),
        Some((&format, _)) if format > newest => Err(StoreError::Unreadable(format!(
            "a {what} row has format {format}, which is newer than this build: start the build that wrote it"
        ))),
        _ => Err(damaged(what)),
    }
}

/// A JSON row.
pub(super) fn to_json<T: Serialize>(what: &'static str, row: &T) -> Result<Value, StoreError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(JSON_FORMAT);
    serde_json::to_writer(&mut bytes, row)
        .map_err(|error| StoreError::Unreadable(format!("a {what} row cannot be written: {error}")))?;
    Ok(Value::from(bytes))
}

/// Reads a JSON row.
pub(super) fn from_json<T: DeserializeOwned>(what: &'static str, row: &[u8]) -> Result<T, StoreError> {
    let (_, json) = open(what, JSON_FORMAT, row)?;
    serde_json::from_slice(json).map_err(|error| misread(what, &error))
}

/// The JSON row of a key.
pub(super) fn load<T: DeserializeOwned>(
    read: &dyn Read,
    tree: Tree,
    key: &[u8],
    what: &'static str,
) -> Result<Option<T>, StoreError> {
    read.get(tree, key)?.map(|row| from_json(what, &row)).transpose()
}

/// Sets a JSON row.
pub(super) fn save<T: Serialize>(
    txn: &mut Txn<'_>,
    tree: Tree,
    key: &[u8],
    what: &'static str,
    row: &T,
) -> Result<(), StoreError> {
    let value = to_json(what, row)?;
    txn.put(tree, key, value);
    Ok(())
}

/// Writes compact fields.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A row of this format.
    pub(super) fn new(format: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(format);
        Writer(bytes)
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.raw(text.as_bytes());
    }

    pub(super) fn time(&mut self, at: DateTime<Utc>) {
        self.raw(&keys::time(at));
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn finish(self) -> Value {
        Value::from(self.0)
    }
}

/// Reads compact fields.
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The fields of a row whose format is at most `newest`.
    pub(super) fn new(what: &'static str, newest: u8, row: &'a [u8]) -> Result<Self, StoreError> {
        let (_, rest) = open(what, newest, row)?;
        Ok(Reader { what, rest })
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| damaged(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        self.take(N)?.try_into().map_err(|_| damaged(self.what))
    }

    pub(super) fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, StoreError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, StoreError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn bool(&mut self) -> Result<bool, StoreError> {
        Ok(self.u8()? != 0)
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        let count = self.u32()? as usize;
        let bytes = self.take(count)?.to_vec();
        String::from_utf8(bytes).map_err(|_| damaged(self.what))
    }

    pub(super) fn time(&mut self) -> Result<DateTime<Utc>, StoreError> {
        keys::read_time(self.take(keys::TIME_BYTES)?).ok_or_else(|| damaged(self.what))
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }
}
