//! When a sweep is due, and what its findings may be taken for. Pure.

use crate::limits::PollLimits;
use crate::poll::window;
use crate::store::{FeedSettings, LedgerEntry, Sweep};
use anyhook_connectors::contract::{CursorKind, ObjectSpec};
use chrono::{DateTime, TimeDelta, Utc};

/// How long the ledger remembers that a record is gone, once no listing has it any more.
const TOMBSTONE_AGE: TimeDelta = TimeDelta::days(30);
/// A `Date` header shows whole seconds, and times of the future are wrong ones.
const CLOCK_SLACK: TimeDelta = TimeDelta::seconds(60);

/// True while the feed's deletions have to be swept for.
pub(super) fn is_needed(spec: &ObjectSpec, settings: &FeedSettings, sweep: &Sweep) -> bool {
    settings.tells_deleted && (window::deletes_silently(spec) || sweep.is_wanted)
}

/// True where each run lists everything, and is a sweep by that.
pub(super) fn is_listed_whole(spec: &ObjectSpec) -> bool {
    spec.live.cursor == CursorKind::Nothing
}

/// True if the next sweep is to begin: once as many of the feed's intervals have passed as the last sweep took requests,
/// so that sweeping costs no more than polling does, and at the latest after the longest interval of sweeps.
pub(super) fn is_due(sweep: &Sweep, interval_ms: u64, limits: &PollLimits, now: DateTime<Utc>) -> bool {
    let Some(ended_at) = sweep.ended_at else { return true };
    let longest = limits.sweep_interval_ms.max(interval_ms);
    let wait = interval_ms.saturating_mul(sweep.requests.max(1)).min(longest);
    let passed = now - ended_at;
    // A clock that went back must not put it off.
    passed < TimeDelta::zero() || passed >= TimeDelta::milliseconds(i64::try_from(wait).unwrap_or(i64::MAX / 1024))
}

/// True for a record that may have been changed since the sweep began, or was so shortly before that listings need not
/// show it yet. Times of the future say nothing.
pub(super) fn is_touched(entry: &LedgerEntry, spec: &ObjectSpec, began_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let margin = i64::try_from(spec.late_visibility_ms.saturating_add(spec.granularity_ms)).unwrap_or(i64::MAX / 4);
    let since = began_at - TimeDelta::milliseconds(margin.max(1_000));
    (since.timestamp_millis()..=(now + CLOCK_SLACK).timestamp_millis()).contains(&entry.updated_at_ms)
}

/// True for a deletion from so long ago that nobody will tell of it again.
pub(super) fn is_forgotten(entry: &LedgerEntry, began_at: DateTime<Utc>) -> bool {
    entry.is_deleted && entry.updated_at_ms < (began_at - TOMBSTONE_AGE).timestamp_millis()
}

/// True where so many records are missing that the listing, or the account's rights, are to be suspected first.
pub(super) fn is_too_many(missing: u64, live: u64, limits: &PollLimits) -> bool {
    let percent = u128::from(limits.sweep_missing_percent_max);
    missing > limits.sweep_missing_min && u128::from(missing) * 100 > u128::from(live) * percent
}

/// The share of all hashes that one sweep asks for.
pub(super) fn share(missing: u64, gets_max: u64) -> u64 {
    if missing <= gets_max {
        return u64::MAX;
    }
    let share = u128::from(u64::MAX) * u128::from(gets_max.max(1)) / u128::from(missing);
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_small_collection_is_swept_as_often_as_it_is_polled_and_a_large_one_hourly() {
        let limits = PollLimits::default();
        let due_after = |requests: u64, interval_s: u64| {
            let sweep = Sweep { ended_at: Some(at(0)), requests, ..Sweep::default() };
            (0..100_000).find(|second| is_due(&sweep, interval_s * 1_000, &limits, at(*second))).unwrap()
        };
        assert_eq!(due_after(0, 60), 60);
        assert_eq!(due_after(1, 60), 60);
        assert_eq!(due_after(5, 60), 300);
        assert_eq!(due_after(10_000, 60), 3_600);
        assert_eq!(due_after(10, 7_200), 7_200, "never more often than it is polled");
        let sweep = Sweep { ended_at: Some(at(9_000)), ..Sweep::default() };
        assert!(is_due(&sweep, 60_000, &limits, at(0)), "our clock went back");
        assert!(is_due(&Sweep::default(), 60_000, &limits, at(0)));
    }

    #[test]
    fn a_few_may_be_missing_or_a_small_share() {
        let limits = PollLimits::default();
        assert!(!is_too_many(20, 20, &limits));
        assert!(is_too_many(21, 21, &limits));
        assert!(!is_too_many(30, 100, &limits));
        assert!(is_too_many(31, 100, &limits));
    }

    #[test]
    fn shares_of_several_sweeps_make_a_whole() {
        assert_eq!(share(10, 10), u64::MAX);
        assert!(share(40, 10).abs_diff(u64::MAX / 4) <= 1);
        assert!(share(u64::MAX, 0) <= 1);
    }
}
