//! Every version of every record, as far back as the bound allows.

use super::Object;
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// One change.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// Its number, counted from 1.
    pub seq: u64,
    /// What changed.
    pub object: Object,
    /// Which record.
    pub id: String,
    /// How.
    pub change: Change,
    /// When, by the vendor's clock.
    pub at: Timestamp,
    /// The record after it, serialised; as it was last where a deletion left nothing.
    pub record: Bytes,
}

/// The changes, oldest first.
#[derive(Debug)]
pub struct History {
    entries: VecDeque<HistoryEntry>,
    max: usize,
    next_seq: u64,
}

impl History {
    pub(super) fn new(max: u32) -> Self {
        History { entries: VecDeque::new(), max: max.max(1) as usize, next_seq: 1 }
    }

    pub(super) fn push(&mut self, object: Object, id: String, change: Change, at: Timestamp, record: Bytes) -> u64 {
        if self.entries.len() >= self.max {
            self.entries.pop_front();
        }
        let seq = self.next_seq;
        self.entries.push_back(HistoryEntry { seq, object, id, change, at, record });
        self.next_seq += 1;
        seq
    }

    /// The changes after this number.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = &HistoryEntry> {
        let skip = usize::try_from(seq.saturating_sub(self.dropped())).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }

    /// How many changes are no longer remembered.
    pub fn dropped(&self) -> u64 {
        self.next_seq - 1 - self.entries.len() as u64
    }

    /// The changes after this number as JSON.
    pub(super) fn page(&self, seq: u64, limit: usize) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Row<'a> {
            seq: u64,
            object: Object,
            id: &'a str,
            change: Change,
            at: Timestamp,
            record: &'a RawValue,
        }
        #[derive(Serialize)]
        struct Answer<'a> {
            data: Vec<Row<'a>>,
            dropped: u64,
            last_seq: u64,
        }
        let data = self
            .after(seq)
            .take(limit)
            .map(|entry| {
                Ok(Row {
                    seq: entry.seq,
                    object: entry.object,
                    id: &entry.id,
                    change: entry.change,
                    at: entry.at,
                    record: serde_json::from_slice(&entry.record)?,
                })
            })
            .collect::<serde_json::Result<_>>()?;
        serde_json::to_vec(&Answer { data, dropped: self.dropped(), last_seq: self.next_seq - 1 })
    }
}
