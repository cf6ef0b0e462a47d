//! One object's records: what they are now, and what listings show of them.

use super::Object;
use super::index::Index;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Changes a table holds back from its listings at most; beyond it the oldest show early.
const PENDING_MAX: usize = 100_000;

/// A record at one time, serialised.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) deleted: bool,
    pub(super) json: Bytes,
}

#[derive(Debug, Default)]
struct Entry {
    /// What a read by id gives.
    current: Option<Version>,
    /// What listings give.
    listed: Option<Version>,
    /// Since when.
    listed_at_ms: i64,
    /// What they gave before.
    before: Option<Version>,
}

struct Pending {
    show_at_ms: i64,
    number: u64,
    version: Option<Version>,
}

/// The records of one object.
pub(super) struct Table {
    pub(super) object: Object,
    entries: BTreeMap<u64, Entry>,
    pub(super) by_updated: Index,
    pub(super) by_created: Index,
    pub(super) by_id: Index,
    pending: VecDeque<Pending>,
    next_number: u64,
    revision: u64,
}

impl Table {
    pub(super) fn new(object: Object) -> Self {
        Table {
            object,
            entries: BTreeMap::new(),
            by_updated: Index::default(),
            by_created: Index::default(),
            by_id: Index::default(),
            pending: VecDeque::new(),
            next_number: 1,
            revision: 0,
        }
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Moves with each change that listings show.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// The record as a read by id gives it.
    pub(super) fn current(&self, number: u64) -> Option<&Version> {
        self.entries.get(&number)?.current.as_ref()
    }

    /// The record as listings give it.
    pub(super) fn listed(&self, number: u64) -> Option<&Version> {
        self.entries.get(&number)?.listed.as_ref()
    }

    /// The record as listings gave it at this time, as far as that is known: its last change alone is remembered.
    pub(super) fn as_of(&self, number: u64, at_ms: i64) -> Option<&Version> {
        let entry = self.entries.get(&number)?;
        if entry.listed_at_ms <= at_ms { entry.listed.as_ref() } else { entry.before.as_ref() }
    }

    /// Records after this number as they are now, divided by commas, and the last one's number if there are more.
    pub(super) fn state(&self, after: u64, rows: usize) -> (Vec<u8>, Option<u64>) {
        let mut current = self
            .entries
            .range(after.saturating_add(1)..)
            .filter_map(|(number, entry)| Some((*number, entry.current.as_ref()?)));
        let page: Vec<(u64, &Version)> = current.by_ref().take(rows).collect();
        let body = page.iter().map(|(_, version)| version.json.as_ref()).collect::<Vec<_>>().join(&b',');
        (body, page.last().map(|(number, _)| *number).filter(|_| current.next().is_some()))
    }

    /// A record that is not deleted, by chance.
    pub(super) fn any_live(&self, random: &mut fastrand::Rng) -> Option<u64> {
        const TRIES: usize = 16;
        if self.by_id.len() == 0 {
            return None;
        }
        (0..TRIES).find_map(|_| {
            let (_, number) = self.by_id.key_at(random.usize(..self.by_id.len()))?;
            self.current(number).is_some_and(|version| !version.deleted).then_some(number)
        })
    }

    /// Puts a record, or takes it away. Listings show it from `show_at_ms` on.
    pub(super) fn put(&mut self, number: u64, version: Option<Version>, now_ms: i64, show_at_ms: i64) {
        self.entries.entry(number).or_default().current = version.clone();
        if show_at_ms <= now_ms {
            self.settle(i64::MAX);
            self.show(number, version, now_ms);
            return;
        }
        let last = self.pending.back().map_or(show_at_ms, |pending| pending.show_at_ms);
        self.pending.push_back(Pending { show_at_ms: show_at_ms.max(last), number, version });
        if self.pending.len() > PENDING_MAX {
            self.show_oldest();
        }
    }

    /// Shows what has been held back until now.
    pub(super) fn settle(&mut self, now_ms: i64) {
        while self.pending.front().is_some_and(|pending| pending.show_at_ms <= now_ms) {
            self.show_oldest();
        }
    }

    fn show_oldest(&mut self) {
        if let Some(pending) = self.pending.pop_front() {
            self.show(pending.number, pending.version, pending.show_at_ms);
        }
    }

    fn show(&mut self, number: u64, version: Option<Version>, now_ms: i64) {
        self.revision += 1;
        let entry = self.entries.entry(number).or_default();
        if let Some(old) = &entry.listed {
            self.by_updated.remove((old.updated_ms, number));
            if version.is_none() {
                self.by_created.remove((old.created_ms, number));
                self.by_id.remove((0, number));
            }
        }
        if let Some(new) = &version {
            self.by_updated.insert((new.updated_ms, number));
            self.by_created.insert((new.created_ms, number));
            self.by_id.insert((0, number));
        }
        entry.before = std::mem::replace(&mut entry.listed, version);
        entry.listed_at_ms = now_ms;
        if entry.listed.is_none() && entry.current.is_none() {
            self.entries.remove(&number);
        }
    }
}
