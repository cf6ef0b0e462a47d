//! Whether the receiver holds what the vendor holds. Pure.

use super::tally::Tally;
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A record as the vendor has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct VendorRecord {
    pub(super) id: String,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) deleted: bool,
}

/// In what the receiver differs from the vendor, by ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// At the vendor, never heard of.
    pub(super) missing: Vec<String>,
    /// Held in another version than the vendor's.
    pub(super) outdated: Vec<String>,
    /// Deleted at the vendor, thought alive here; or the other way round.
    pub(super) undead: Vec<String>,
    /// Records that live at the vendor.
    pub(super) live: usize,
}

impl Difference {
    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.outdated.is_empty() && self.undead.is_empty()
    }
}

/// Compares them, record by record. One that was made and deleted between two polls may never have been heard of.
pub(super) fn difference(vendor: &[VendorRecord], receiver: &Tally) -> Difference {
    let mut difference = Difference::default();
    for record in vendor {
        let held = receiver.updated.get(&record.id);
        let is_deleted = receiver.deleted.contains(&record.id);
        let list = match (record.deleted, held) {
            (true, Some(_)) if !is_deleted => &mut difference.undead,
            (true, _) => continue,
            (false, _) if is_deleted => &mut difference.undead,
            (false, None) => &mut difference.missing,
            (false, Some(at)) if *at != Some(record.updated_at) => &mut difference.outdated,
            (false, Some(_)) => {
                difference.live += 1;
                continue;
            }
        };
        list.push(record.id.clone());
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, second: i64, deleted: bool) -> VendorRecord {
        VendorRecord { id: id.to_owned(), updated_at: at(second), deleted }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn every_way_to_differ_is_told_apart() {
        let mut receiver = Tally::default();
        for (id, second) in [("same", 1), ("old", 1), ("dead", 1), ("gone", 1), ("alive", 1)] {
            receiver.updated.insert(id.to_owned(), Some(at(second)));
        }
        receiver.deleted.extend(["gone".to_owned(), "alive".to_owned()]);
        let vendor = [
            record("same", 1, false),
            record("old", 2, false),
            record("dead", 2, true),
            record("gone", 2, true),
            record("alive", 1, false),
            record("new", 3, false),
            record("short-lived", 3, true),
        ];
        let difference = difference(&vendor, &receiver);
        assert_eq!(difference.missing, ["new"]);
        assert_eq!(difference.outdated, ["old"]);
        assert_eq!(difference.undead, ["dead", "alive"]);
        assert_eq!(difference.live, 1);
        assert!(!difference.is_none());
    }
}
