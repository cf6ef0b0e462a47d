//! A log page: what one commit adds to a feed's log, as the bytes that are stored.
//!
//! ```text
//! version u8 | meta length u32 | meta JSON | records u32 | objects length u32 | raws length u32
//! | per record: change u8, object end u32, raw end u32 | lz4 block of objects then raws
//! ```
//! Integers are little-endian. Objects stand as `[a,b,…]` joined by commas, so that a run of records, or the whole page,
//! is a slice of it; raws likewise. Ends are offsets behind a record's last byte.

use anyhook_connectors::contract::Change;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// The format this build writes. Older ones are read.
const FORMAT: u8 = 1;

/// How the changes of a page were found; a payload's type follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// By polling.
    Virtual,
    /// Pushed by the vendor.
    Native,
    /// By listing history.
    Listed,
    /// They are notifications; such a page is not stored.
    Told,
}

/// What is known of a page as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageMeta {
    /// How its changes were found.
    pub found: Found,
    /// When it was made, by our clock.
    pub made_at: DateTime<Utc>,
    /// The lower bound of the run that found it: where a webhook that fell behind has to read from again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// The token of the run that found it, where the feed's cursor is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// True for the last page of a listing.
    #[serde(default)]
    pub is_last: bool,
}

/// Why stored bytes are no log page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogPageError {
    /// Written by a newer build.
    #[error("a log page has format {0}, which is newer than this build: start the build that wrote it")]
    Newer(u8),
    /// Not what was written.
    #[error("a log page is damaged: {0}")]
    Damaged(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    change: Change,
    object_end: u32,
    raw_end: u32,
}

/// Collects the changes of one page.
#[derive(Debug, Clone, Default)]
pub struct LogPageBuilder {
    entries: Vec<Entry>,
    objects: Vec<u8>,
    raws: Vec<u8>,
}

impl LogPageBuilder {
    /// Adds a change. `object` and `raw` are compact JSON; `raw` is given for all records of a page or for none.
    pub fn push(&mut self, change: Change, object: &[u8], raw: Option<&[u8]>) {
        append(&mut self.objects, object);
        if let Some(raw) = raw {
            append(&mut self.raws, raw);
        }
        self.entries.push(Entry {
            change,
            object_end: u32::try_from(self.objects.len()).unwrap_or(u32::MAX),
            raw_end: u32::try_from(self.raws.len()).unwrap_or(u32::MAX),
        });
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True while it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of its objects and raws, before compression.
    pub fn bytes(&self) -> usize {
        self.objects.len() + self.raws.len()
    }

    /// The stored form.
    pub fn encode(&self, meta: &PageMeta) -> Result<EncodedPage, serde_json::Error> {
        let meta_json = serde_json::to_vec(meta)?;
        let mut out = Vec::with_capacity(32 + meta_json.len() + self.entries.len() * 9 + self.bytes() / 2);
        out.push(FORMAT);
        put_u32(&mut out, meta_json.len());
        out.extend_from_slice(&meta_json);
        put_u32(&mut out, self.entries.len());
        put_u32(&mut out, self.objects.len());
        put_u32(&mut out, self.raws.len());
        for entry in &self.entries {
            out.push(change_code(entry.change));
            out.extend_from_slice(&entry.object_end.to_le_bytes());
            out.extend_from_slice(&entry.raw_end.to_le_bytes());
        }
        if self.raws.is_empty() {
            out.extend_from_slice(&lz4_flex::block::compress(&self.objects));
        } else {
            out.extend_from_slice(&lz4_flex::block::compress(&[&self.objects[..], &self.raws].concat()));
        }
        Ok(EncodedPage { records: u32::try_from(self.entries.len()).unwrap_or(u32::MAX), bytes: out })
    }
}

impl LogPageBuilder {
    /// The page as it would be read, without being stored.
    pub fn into_page(self, meta: PageMeta) -> LogPage {
        LogPage { meta, entries: self.entries, objects: self.objects.into(), raws: self.raws.into() }
    }
}

/// A page as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPage {
    /// How many changes it holds.
    pub records: u32,
    /// The stored form.
    pub bytes: Vec<u8>,
}

/// A page as it is read.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// What is known of it as a whole.
    pub meta: PageMeta,
    entries: Vec<Entry>,
    objects: Bytes,
    raws: Bytes,
}

impl LogPage {
    /// Reads the stored form. Never panics, whatever the bytes are; never takes more memory than `bytes_max` for its
    /// objects and raws.
    pub fn decode(stored: &[u8], bytes_max: usize) -> Result<Self, LogPageError> {
        let mut rest = Reader(stored);
        let meta = read_meta(&mut rest)?;
        let (records, objects_bytes, raws_bytes) = (rest.u32()?, rest.u32()?, rest.u32()?);
        let table = rest.take(records.checked_mul(9).ok_or(LogPageError::Damaged("too many records"))?)?;
        let entries = table.chunks_exact(9).map(entry).collect::<Result<Vec<_>, _>>()?;
        if objects_bytes.saturating_add(raws_bytes) > bytes_max {
            return Err(LogPageError::Damaged("larger than a page may be"));
        }
        let body = lz4_flex::block::decompress(rest.0, objects_bytes + raws_bytes)
            .map_err(|_| LogPageError::Damaged("compression"))?;
        if body.len() != objects_bytes + raws_bytes || !ends_fit(&entries, objects_bytes, raws_bytes) {
            return Err(LogPageError::Damaged("lengths"));
        }
        let body = Bytes::from(body);
        Ok(LogPage { meta, entries, objects: body.slice(..objects_bytes), raws: body.slice(objects_bytes..) })
    }

    /// What is known of a stored page as a whole, without its records.
    pub fn meta_of(stored: &[u8]) -> Result<PageMeta, LogPageError> {
        read_meta(&mut Reader(stored))
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What happened to the record at `index`.
    pub fn change(&self, index: usize) -> Option<Change> {
        self.entries.get(index).map(|entry| entry.change)
    }

    /// The unified object at `index`: compact JSON.
    pub fn object(&self, index: usize) -> Bytes {
        self.slice(&self.objects, index..index + 1, |entry| entry.object_end)
    }

    /// The vendor's object at `index`: compact JSON; empty where raws are not kept.
    pub fn raw(&self, index: usize) -> Bytes {
        self.slice(&self.raws, index..index + 1, |entry| entry.raw_end)
    }

    /// The unified objects of a run of records, joined by commas.
    pub fn objects(&self, range: Range<usize>) -> Bytes {
        self.slice(&self.objects, range, |entry| entry.object_end)
    }

    /// Bytes it takes in memory.
    pub fn bytes(&self) -> usize {
        self.objects.len() + self.raws.len() + self.entries.len() * size_of::<Entry>()
    }

    fn slice(&self, of: &Bytes, range: Range<usize>, end_of: impl Fn(&Entry) -> u32) -> Bytes {
        if of.is_empty() || range.is_empty() || range.end > self.entries.len() {
            return Bytes::new();
        }
        let start = match range.start {
            0 => 0,
            first => end_of(&self.entries[first - 1]) as usize + 1,
        };
        let end = end_of(&self.entries[range.end - 1]) as usize;
        of.slice(start.min(end)..end)
    }
}

fn read_meta(rest: &mut Reader<'_>) -> Result<PageMeta, LogPageError> {
    match rest.take(1)?[0] {
        FORMAT => {}
        newer if newer > FORMAT => return Err(LogPageError::Newer(newer)),
        _ => return Err(LogPageError::Damaged("unknown format")),
    }
    let meta_bytes = rest.u32()?;
    serde_json::from_slice(rest.take(meta_bytes)?).map_err(|_| LogPageError::Damaged("meta"))
}

fn append(to: &mut Vec<u8>, json: &[u8]) {
    if !to.is_empty() {
        to.push(b',');
    }
    to.extend_from_slice(json);
}

fn put_u32(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn change_code(change: Change) -> u8 {
    match change {
        Change::Created => 1,
        Change::Updated => 2,
        Change::Deleted => 3,
    }
}

fn entry(row: &[u8]) -> Result<Entry, LogPageError> {
    let change = match row[0] {
        1 => Change::Created,
        2 => Change::Updated,
        3 => Change::Deleted,
        _ => return Err(LogPageError::Damaged("change")),
    };
    let mut rest = Reader(&row[1..]);
    let mut next = || rest.u32().map(|end| u32::try_from(end).unwrap_or(u32::MAX));
    Ok(Entry { change, object_end: next()?, raw_end: next()? })
}

fn ends_fit(entries: &[Entry], objects_bytes: usize, raws_bytes: usize) -> bool {
    entries.is_sorted_by_key(|entry| entry.object_end)
        && entries.is_sorted_by_key(|entry| entry.raw_end)
        && entries
            .last()
            .is_none_or(|last| last.object_end as usize <= objects_bytes && last.raw_end as usize <= raws_bytes)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], LogPageError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(LogPageError::Damaged("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<usize, LogPageError> {
        let bytes = self.take(4)?;
        let mut number = [0; 4];
        number.copy_from_slice(bytes);
        Ok(u32::from_le_bytes(number) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meta() -> PageMeta {
        PageMeta { found: Found::Virtual, made_at: DateTime::UNIX_EPOCH, from: None, token: None, is_last: false }
    }

    proptest! {
        #[test]
        fn what_was_pushed_is_read(objects in prop::collection::vec("[a-z]{1,9}", 0..40), with_raw: bool, cut in 0..40usize) {
            let mut builder = LogPageBuilder::default();
            for object in &objects {
                builder.push(Change::Updated, object.as_bytes(), with_raw.then_some(b"raw"));
            }
            let page = LogPage::decode(&builder.encode(&meta()).unwrap().bytes, 1 << 20).unwrap();
            prop_assert_eq!(page.len(), objects.len());
            prop_assert_eq!(LogPage::meta_of(&builder.encode(&meta()).unwrap().bytes).unwrap(), meta());
            for (index, object) in objects.iter().enumerate() {
                prop_assert_eq!(page.object(index), object.as_bytes());
                prop_assert_eq!(page.raw(index), if with_raw { &b"raw"[..] } else { &b""[..] });
            }
            let cut = cut.min(objects.len());
            prop_assert_eq!(page.objects(cut..objects.len()), objects[cut..].join(","));
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = LogPage::decode(&[&[FORMAT][..], &bytes].concat(), 1 << 20);
        }
    }

    #[test]
    fn a_newer_format_says_so() {
        assert_eq!(LogPage::decode(&[FORMAT + 1], 1).unwrap_err(), LogPageError::Newer(FORMAT + 1));
    }
}
