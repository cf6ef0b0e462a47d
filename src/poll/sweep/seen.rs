//! Which ids were listed, as hashes in a range that memory has room for. Pure.

use anyhook_connectors::contract::Page;
use xxhash_rust::xxh3::xxh3_64;

/// The hash that stands for an id. Two ids of one hash hide each other: a deletion is seen late or not at all by that,
/// and none is made up.
pub(super) fn hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// The hashes of the ids that a page lists, those of unreadable records among them; none where one has no id.
pub(super) fn hashes(page: &Page<'_>) -> Option<Vec<u64>> {
    let bad = page.bad.iter().map(|bad| bad.id.as_deref().map(hash));
    page.records.iter().map(|record| Some(hash(&record.id))).chain(bad).collect()
}

/// Hashes from a lower bound on, up to where there is room. What is added beyond the room makes the range shorter, so
/// that of what is in the range nothing is left out.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    from: u64,
    to: u64,
    max: usize,
    hashes: Vec<u64>,
}

impl Seen {
    /// Nothing seen yet, of hashes from `from` on, with room for `max`.
    pub(super) fn new(from: u64, max: usize) -> Self {
        Seen { from, to: u64::MAX, max: max.max(2), hashes: Vec::new() }
    }

    /// Adds hashes.
    pub(super) fn add(&mut self, hashes: &[u64]) {
        for hash in hashes {
            if !self.covers(*hash) {
                continue;
            }
            self.hashes.push(*hash);
            if self.hashes.len() > self.max {
                self.make_room();
            }
        }
    }

    /// At least a quarter of the room is free again.
    fn make_room(&mut self) {
        self.sort();
        if self.hashes.len() > self.max / 4 * 3 {
            self.hashes.truncate((self.max / 2).max(1));
            self.to = self.hashes.last().copied().unwrap_or(self.to);
        }
    }

    /// Makes [`Seen::holds`] answer.
    pub(super) fn sort(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
    }

    /// True for a hash within the range.
    pub(super) fn covers(&self, hash: u64) -> bool {
        (self.from..=self.to).contains(&hash)
    }

    /// True for a hash that was added, once they are sorted.
    pub(super) fn holds(&self, hash: u64) -> bool {
        self.hashes.binary_search(&hash).is_ok()
    }

    /// Where the next range begins; none behind the last.
    pub(super) fn next(&self) -> Option<u64> {
        self.to.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_and_leave_nothing_out() {
        let all: Vec<u64> = (0..10_000u64).map(|number| hash(&number.to_string())).collect();
        for max in [2, 3, 100, 9_999, 20_000] {
            let (mut from, mut held, mut passes) = (Some(0), 0, 0);
            while let Some(start) = from {
                let mut seen = Seen::new(start, max);
                all.chunks(77).for_each(|page| seen.add(page));
                all.chunks(100).take(3).for_each(|page| seen.add(page));
                seen.sort();
                assert!(seen.hashes.len() <= max, "{} for {max}", seen.hashes.len());
                held += all.iter().filter(|hash| seen.covers(**hash) && seen.holds(**hash)).count();
                let missing = all.iter().filter(|hash| seen.covers(**hash) && !seen.holds(**hash)).count();
                assert_eq!(missing, 0, "{max}");
                (from, passes) = (seen.next(), passes + 1);
            }
            assert_eq!(held, all.len(), "{max}: each in one pass");
            assert_eq!(passes == 1, max == 20_000, "{max}");
        }
    }
}
