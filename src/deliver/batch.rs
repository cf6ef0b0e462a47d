//! Cuts the next batch out of a log page.

use super::payload::PayloadType;
use super::project::Projection;
use crate::log::{Found, LogPage};
use crate::store::Position;
use anyhook_connectors::contract::Change;
use bytes::Bytes;

/// What a webhook wants of a page, and how much at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Want {
    /// Which changes; `updated` also stands for created.
    pub event: Change,
    /// Which fields of them.
    pub projection: Projection,
    /// Objects in one batch at most; one at least.
    pub records_max: u32,
    /// Bytes of `data` in one batch at most; a larger object goes alone.
    pub bytes_max: usize,
}

/// A batch.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Its objects joined by commas, without the brackets.
    pub objects: Bytes,
    /// How many they are.
    pub records: u32,
    /// Records of the page that are done with once it is delivered: those before the next one that matches.
    pub next: u32,
    /// True if nothing that matches is left on the page.
    pub is_page_end: bool,
}

impl Cut {
    /// The place behind a batch that begins there.
    pub fn behind(&self, position: Position) -> Position {
        match self.is_page_end {
            true => Position { sequence: position.sequence + 1, offset: 0 },
            false => Position { sequence: position.sequence, offset: self.next },
        }
    }
}

/// Whether a change is for a webhook of this event. Of a listing, everything that is there is; what is gone only where
/// deletions are asked for.
fn matches(event: Change, found: Found, change: Change) -> bool {
    match (event, found) {
        (Change::Deleted, _) => change == Change::Deleted,
        (_, Found::Listed) | (Change::Updated, _) => change != Change::Deleted,
        (Change::Created, _) => change == Change::Created,
    }
}

/// Cuts the batch that begins at record `from`. It may be empty: nothing from there on matches.
///
/// - Without a projection, a contiguous run of records is a slice of the page, not a copy.
/// - Fails only where a stored object is not the JSON it was written as.
pub fn cut(page: &LogPage, from: u32, want: &Want) -> Result<Cut, serde_json::Error> {
    let wanted = |index: &usize| page.change(*index).is_some_and(|change| matches(want.event, page.meta.found, change));
    let mut matching = (from as usize..page.len()).filter(wanted).peekable();
    let mut taken = Taken::default();
    while let Some(&index) = matching.peek() {
        if !taken.add(page, index, want)? {
            break;
        }
        matching.next();
    }
    let next = matching.peek().copied();
    Ok(Cut {
        records: taken.records,
        objects: taken.finish(page),
        next: u32::try_from(next.unwrap_or(page.len())).unwrap_or(u32::MAX),
        is_page_end: next.is_none(),
    })
}

/// The `type` of a batch. `is_page_end` is the batch's.
pub fn payload_type(found: Found, is_last_page: bool, is_page_end: bool) -> PayloadType {
    match found {
        Found::Virtual => PayloadType::Virtual,
        Found::Native => PayloadType::Native,
        Found::Listed if is_last_page && is_page_end => PayloadType::InitialComplete,
        Found::Listed => PayloadType::InitialPartial,
        Found::Told => PayloadType::Notification,
    }
}

/// What a batch holds so far: a run of the page while that will do, else a copy.
#[derive(Default)]
struct Taken {
    records: u32,
    bytes: usize,
    run: std::ops::Range<usize>,
    copy: Option<Vec<u8>>,
}

impl Taken {
    /// Adds a record; false if it does not fit.
    fn add(&mut self, page: &LogPage, index: usize, want: &Want) -> Result<bool, serde_json::Error> {
        if self.records > 0 && self.records >= want.records_max {
            return Ok(false);
        }
        if !want.projection.is_identity() {
            return self.add_projected(page, index, want);
        }
        let object = page.object(index);
        let bytes = self.bytes + object.len() + usize::from(self.records > 0);
        if self.records > 0 && bytes + 2 > want.bytes_max {
            return Ok(false);
        }
        if self.copy.is_none() && self.records > 0 && self.run.end != index {
            self.copy = Some(page.objects(self.run.clone()).to_vec());
        }
        if let Some(copy) = &mut self.copy {
            copy.push(b',');
            copy.extend_from_slice(&object);
        }
        let start = if self.records == 0 { index } else { self.run.start };
        self.run = start..index + 1;
        self.bytes = bytes;
        self.records += 1;
        Ok(true)
    }

    fn add_projected(&mut self, page: &LogPage, index: usize, want: &Want) -> Result<bool, serde_json::Error> {
        let copy = self.copy.get_or_insert_default();
        let before = copy.len();
        if before > 0 {
            copy.push(b',');
        }
        let raw = if want.projection.with_raw() { page.raw(index) } else { Bytes::new() };
        want.projection.write(&page.object(index), &raw, copy)?;
        if self.records > 0 && copy.len() + 2 > want.bytes_max {
            copy.truncate(before);
            return Ok(false);
        }
        self.records += 1;
        Ok(true)
    }

    fn finish(self, page: &LogPage) -> Bytes {
        match self.copy {
            Some(copy) => copy.into(),
            None => page.objects(self.run),
        }
    }
}

#[cfg(test)]
#[path = "batch/tests.rs"]
mod tests;
