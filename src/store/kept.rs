//! Pages that are read by everyone and kept for a while, so that what was delivered can be sent again.
//!
//! They stand before the log's beginning: for whoever reads the log they are gone, and they are none of its bytes.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Marks of a feed at most; beyond that pages share one.
const MARKS_MAX: usize = 64;

/// Marks that pages of one age are divided by.
const MARKS_PER_LIFE: i32 = 32;

/// How long pages are kept that everyone has read, and how many bytes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Now, by our clock.
    pub at: DateTime<Utc>,
    /// How long a page is kept once it is read.
    pub life: TimeDelta,
    /// Stored bytes kept at most per feed; the oldest page goes first.
    pub bytes_max: u64,
}

impl Keep {
    /// Keeps nothing.
    pub fn nothing(at: DateTime<Utc>) -> Self {
        Keep { at, life: TimeDelta::zero(), bytes_max: 0 }
    }
}

/// Pages before one were read by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMark {
    /// Pages before this one.
    pub before: u64,
    /// When the first of them left the log.
    pub from: DateTime<Utc>,
    /// When the last of them did.
    pub at: DateTime<Utc>,
}

/// What is kept of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The oldest page that is still there.
    pub oldest: u64,
    /// Stored bytes from there to the log's beginning.
    pub bytes: u64,
    /// When they left the log, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<KeptMark>,
    /// What was delivered up to then may be gone; none while nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<DateTime<Utc>>,
}

impl Kept {
    /// Of a log that begins there and of whose earlier pages nothing is known: all of it may have been delivered just
    /// now.
    pub fn unknown(start: u64, now: DateTime<Utc>) -> Self {
        Kept { oldest: start, gone_at: (start > 0).then_some(now), ..Kept::default() }
    }

    /// Pages before `before` have left the log.
    pub fn left(&mut self, before: u64, keep: &Keep) {
        let is_full = self.marks.len() >= MARKS_MAX;
        match self.marks.last_mut() {
            Some(last) if is_full || keep.at - last.from < keep.life / MARKS_PER_LIFE => {
                (last.before, last.at) = (before, keep.at.max(last.at));
            }
            _ => self.marks.push(KeptMark { before, from: keep.at, at: keep.at }),
        }
    }

    /// Whether the oldest page is to go.
    pub fn has_surplus(&self, keep: &Keep) -> bool {
        let is_old = self.marks.first().is_some_and(|mark| keep.at - mark.at >= keep.life);
        self.bytes > keep.bytes_max || is_old
    }

    /// The oldest page is gone.
    pub fn dropped(&mut self, bytes: u64) {
        if let Some(mark) = self.marks.first() {
            self.gone_at = self.gone_at.max(Some(mark.at));
        }
        self.oldest += 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        let oldest = self.oldest;
        self.marks.retain(|mark| mark.before > oldest);
    }

    /// The first page that may hold what was delivered since; none where some of that may be gone.
    pub fn first_since(&self, since: DateTime<Utc>) -> Option<u64> {
        if self.gone_at.is_some_and(|gone| gone >= since) {
            return None;
        }
        let passed = self.marks.iter().filter(|mark| mark.at < since).map(|mark| mark.before);
        Some(passed.max().unwrap_or_default().max(self.oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn keep(second: i64, bytes_max: u64) -> Keep {
        Keep { at: at(second), life: TimeDelta::seconds(320), bytes_max }
    }

    #[test]
    fn pages_go_by_bytes_and_by_age_and_it_is_known_since_when_all_is_there() {
        let mut kept = Kept { bytes: 30, ..Kept::default() };
        kept.left(2, &keep(100, 99));
        kept.left(3, &keep(200, 99));
        assert!(!kept.has_surplus(&keep(419, 30)));
        assert!(kept.has_surplus(&keep(419, 29)) && kept.has_surplus(&keep(420, 30)));
        assert_eq!(kept.first_since(at(0)), Some(0));
        assert_eq!(kept.first_since(at(101)), Some(2));
        assert_eq!(kept.first_since(at(201)), Some(3));
        kept.dropped(10);
        assert_eq!((kept.oldest, kept.bytes, kept.gone_at), (1, 20, Some(at(100))));
        assert_eq!((kept.first_since(at(100)), kept.first_since(at(101))), (None, Some(2)));
        kept.dropped(10);
        kept.dropped(10);
        assert_eq!((kept.marks.len(), kept.gone_at, kept.first_since(at(201))), (0, Some(at(200)), Some(3)));
        assert_eq!(Kept::unknown(7, at(5)).first_since(at(5)), None);
        assert_eq!(Kept::unknown(0, at(5)).first_since(at(5)), Some(0));
    }

    #[test]
    fn pages_that_leave_together_share_a_mark_and_none_grows_for_ever() {
        let mut kept = Kept::default();
        for second in 0..1_000 {
            kept.left(u64::try_from(second).unwrap() + 1, &keep(second, 0));
        }
        assert_eq!(kept.marks.len(), MARKS_MAX);
        let mut kept = Kept::default();
        for second in 0..100 {
            kept.left(u64::try_from(second).unwrap() + 1, &keep(second, 0));
        }
        assert_eq!(kept.marks.len(), 10, "a thirty-second of their life");
        assert!(kept.marks.iter().all(|mark| mark.at - mark.from < TimeDelta::seconds(10)));
    }
}
