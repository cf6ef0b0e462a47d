//! How long a feed waits for its next poll where its interval is a range. Pure.
//!
//! After a run with changes the wait halves, or falls to the mean time between the changes that the run found where that
//! is less, so that a burst is followed from its first run on. After an empty run it grows by half. So it settles near
//! half the time between changes, and reaches the longest where there are none.

use crate::store::{FeedSettings, NextWhy};

/// The shortest and the longest wait, in milliseconds; both are the same where the interval is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    shortest_ms: u64,
    longest_ms: u64,
}

/// What a run that ended well has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Changes that it found.
    pub changes: u64,
    /// The time in which they came about: since the run before, in milliseconds.
    pub since_ms: u64,
    /// True if someone had asked for it.
    pub is_asked: bool,
}

impl Bounds {
    /// At least a millisecond; an end before the beginning is taken as that.
    pub fn new(shortest_ms: u64, longest_ms: u64) -> Self {
        let shortest_ms = shortest_ms.max(1);
        Bounds { shortest_ms, longest_ms: longest_ms.max(shortest_ms) }
    }

    /// Those of a feed; none where it is not polled.
    pub fn of(settings: &FeedSettings) -> Option<Self> {
        Some(Bounds::new(settings.interval_ms?, settings.longest_ms()?))
    }

    /// True where there is nothing to adapt.
    pub fn is_fixed(self) -> bool {
        self.shortest_ms == self.longest_ms
    }

    /// The wait as it stands: the shortest where there was none yet.
    pub fn current(self, wait_ms: Option<u64>) -> u64 {
        self.clamp(wait_ms.unwrap_or(self.shortest_ms))
    }

    /// The wait after a run, and why it is so.
    pub fn next(self, wait_ms: Option<u64>, seen: Seen) -> (u64, NextWhy) {
        let wait = self.current(wait_ms);
        if self.is_fixed() {
            return (self.shortest_ms, NextWhy::Fixed);
        }
        if seen.is_asked {
            return (self.shortest_ms, NextWhy::Asked);
        }
        match seen.since_ms.checked_div(seen.changes) {
            Some(between) => (self.clamp((wait / 2).min(between)), NextWhy::Changes),
            None => (self.clamp(wait.saturating_add((wait / 2).max(1))), NextWhy::Quiet),
        }
    }

    /// The wait where all that would be asked is this many times what there is room for: that much longer.
    pub fn slowed(self, wait_ms: u64, demand: f64) -> u64 {
        if self.is_fixed() || demand <= 1.0 {
            return self.clamp(wait_ms);
        }
        // Waits are far below 2^53, and a cast of what is too large saturates.
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let slowed = (wait_ms as f64 * demand).ceil() as u64;
        self.clamp(slowed)
    }

    fn clamp(self, wait_ms: u64) -> u64 {
        wait_ms.clamp(self.shortest_ms, self.longest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000;
    const RANGE: Bounds = Bounds { shortest_ms: 10 * SECOND, longest_ms: 900 * SECOND };
    const QUIET: Seen = Seen { changes: 0, since_ms: SECOND, is_asked: false };

    fn bounds() -> impl Strategy<Value = Bounds> {
        (0..10_000_000u64, 0..10_000_000u64).prop_map(|(a, b)| Bounds::new(a.min(b), a.max(b)))
    }

    fn seen() -> impl Strategy<Value = Seen> {
        (0..1_000u64, any::<u64>(), any::<bool>()).prop_map(|(changes, since_ms, is_asked)| Seen {
            changes,
            since_ms,
            is_asked,
        })
    }

    fn after(bounds: Bounds, runs: impl IntoIterator<Item = Seen>) -> u64 {
        runs.into_iter().fold(bounds.current(None), |wait, seen| bounds.next(Some(wait), seen).0)
    }

    proptest! {
        #[test]
        fn a_wait_is_always_within_the_bounds(
            bounds in bounds(), wait in prop::option::of(any::<u64>()), seen in seen(), demand in 0.0..1e9f64,
        ) {
            let (next, _) = bounds.next(wait, seen);
            for wait in [next, bounds.slowed(next, demand), bounds.current(wait)] {
                prop_assert!((bounds.shortest_ms..=bounds.longest_ms).contains(&wait), "{wait} {bounds:?}");
            }
            prop_assert!(bounds.slowed(next, demand) >= next);
        }

        #[test]
        fn changes_never_lengthen_a_wait_and_their_absence_never_shortens_it(
            bounds in bounds(), wait in any::<u64>(), changes in 1..1_000u64, since_ms in any::<u64>(),
        ) {
            let wait = bounds.current(Some(wait));
            let seen = Seen { changes, since_ms, is_asked: false };
            prop_assert!(bounds.next(Some(wait), seen).0 <= wait);
            prop_assert!(bounds.next(Some(wait), QUIET).0 >= wait);
        }

        #[test]
        fn more_changes_and_shorter_waits_give_shorter_waits(
            bounds in bounds(), a in any::<u64>(), b in any::<u64>(), few in 0..1_000u64, more in 0..1_000u64,
        ) {
            let seen = |changes| Seen { changes: few.min(more) + changes, since_ms: 60 * SECOND, is_asked: false };
            let wait = |wait, changes| bounds.next(Some(wait), seen(changes)).0;
            prop_assert!(wait(a.min(b), 0) <= wait(a.max(b), 0));
            prop_assert!(wait(a, few.max(more) - few.min(more)) <= wait(a, 0));
        }

        #[test]
        fn it_reaches_either_end(bounds in bounds(), wait in any::<u64>()) {
            let run = |seen: Seen| (0..200).fold(bounds.current(Some(wait)), |wait, _| bounds.next(Some(wait), seen).0);
            prop_assert_eq!(run(QUIET), bounds.longest_ms);
            prop_assert_eq!(run(Seen { changes: 1, since_ms: u64::MAX, is_asked: false }), bounds.shortest_ms);
        }
    }

    #[test]
    fn a_fixed_interval_stays() {
        let fixed = Bounds::new(60 * SECOND, 60 * SECOND);
        for seen in [QUIET, Seen { changes: 9, ..QUIET }, Seen { is_asked: true, ..QUIET }] {
            assert_eq!(fixed.next(Some(5), seen), (60 * SECOND, NextWhy::Fixed));
        }
        assert_eq!(fixed.slowed(60 * SECOND, 4.0), 60 * SECOND);
    }

    #[test]
    fn who_asks_gets_the_shortest() {
        let asked = Seen { is_asked: true, ..QUIET };
        assert_eq!(RANGE.next(Some(900 * SECOND), asked), (10 * SECOND, NextWhy::Asked));
    }

    #[test]
    fn a_burst_is_followed_from_its_first_run_on() {
        let burst = Seen { changes: 30, since_ms: 900 * SECOND, is_asked: false };
        assert_eq!(RANGE.next(Some(900 * SECOND), burst), (30 * SECOND, NextWhy::Changes));
        let single = Seen { changes: 1, ..burst };
        assert_eq!(RANGE.next(Some(900 * SECOND), single), (450 * SECOND, NextWhy::Changes));
    }

    #[test]
    fn it_settles_below_the_time_between_changes() {
        let (mut wait, mut now, mut told) = (RANGE.current(None), 0, 0);
        let mut sum = 0;
        for run in 0..2_000 {
            now += wait;
            let changes = now / (120 * SECOND) - told;
            told += changes;
            wait = RANGE.next(Some(wait), Seen { changes, since_ms: wait, is_asked: false }).0;
            sum += if run >= 1_000 { wait } else { 0 };
        }
        let mean = sum / 1_000;
        assert!((30 * SECOND..120 * SECOND).contains(&mean), "a change every two minutes: {mean} ms");
    }

    #[test]
    fn it_is_slowed_by_what_is_asked_too_much() {
        assert_eq!(RANGE.slowed(20 * SECOND, 0.5), 20 * SECOND);
        assert_eq!(RANGE.slowed(20 * SECOND, 2.5), 50 * SECOND);
        assert_eq!(RANGE.slowed(20 * SECOND, f64::INFINITY), 900 * SECOND);
        assert_eq!(after(RANGE, [QUIET, QUIET]), 22_500);
    }
}
