//! One object's records: what they are now, and what listings show of them.

use super::Object;
use super::index::Index;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Changes a table holds back from its listings at most; beyond it some show early.
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
    /// Which change of the table they show.
    listed_change: u64,
    /// When the last change that is held back shows.
    show_at_ms: i64,
}

/// A change that listings do not show yet.
struct Pending {
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
    /// By when they show, and which change of the table they are.
    pending: BTreeMap<(i64, u64), Pending>,
    changes: u64,
    next_number: u64,
    revision: u64,
    /// When a change last showed.
    shown_ms: i64,
}

impl Table {
    pub(super) fn new(object: Object) -> Self {
        Table {
            object,
            entries: BTreeMap::new(),
            by_updated: Index::default(),
            by_created: Index::default(),
            by_id: Index::default(),
            pending: BTreeMap::new(),
            changes: 0,
            next_number: 1,
            revision: 0,
            shown_ms: 0,
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

    /// When a change last showed; the epoch before the first.
    pub(super) fn shown_ms(&self) -> i64 {
        self.shown_ms
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

    /// Puts a record, or takes it away. Listings show it from `show_at_ms` on, and never before what it was earlier.
    pub(super) fn put(&mut self, number: u64, version: Option<Version>, now_ms: i64, show_at_ms: i64) {
        self.changes += 1;
        let entry = self.entries.entry(number).or_default();
        entry.current = version.clone();
        if show_at_ms <= now_ms {
            self.show(number, version, self.changes, now_ms);
            return;
        }
        entry.show_at_ms = entry.show_at_ms.max(show_at_ms);
        self.pending.insert((entry.show_at_ms, self.changes), Pending { number, version });
        if self.pending.len() > PENDING_MAX {
            self.show_next(now_ms);
        }
    }

    /// Shows what has been held back until now.
    pub(super) fn settle(&mut self, now_ms: i64) {
        while self.pending.first_key_value().is_some_and(|((show_at_ms, _), _)| *show_at_ms <= now_ms) {
            self.show_next(now_ms);
        }
    }

    fn show_next(&mut self, now_ms: i64) {
        if let Some(((show_at_ms, change), pending)) = self.pending.pop_first() {
            self.show(pending.number, pending.version, change, show_at_ms.min(now_ms));
        }
    }

    fn show(&mut self, number: u64, version: Option<Version>, change: u64, now_ms: i64) {
        if self.entries.get(&number).is_none_or(|entry| entry.listed_change > change) {
            return; // what came after it shows already
        }
        self.revision += 1;
        self.shown_ms = now_ms;
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
        (entry.listed_at_ms, entry.listed_change) = (now_ms, change);
        if entry.listed.is_none() && entry.current.is_none() {
            self.entries.remove(&number);
        }
    }
}
