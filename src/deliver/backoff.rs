//! When a batch is tried again.

use crate::limits::Limits;
use chrono::{DateTime, NaiveDateTime, Utc};

/// How often a batch was attempted, the attempt that has just failed included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Attempts in all.
    pub attempts: u32,
    /// Those of them that came at once, beside the schedule.
    pub quick: u32,
    /// True if the last one did.
    pub was_quick: bool,
}

/// What a failed attempt says of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hint {
    /// The least wait that the destination asked for, in milliseconds.
    pub floor_ms: Option<u64>,
    /// True if it said that it is overloaded.
    pub slow: bool,
    /// True if no connection came about, or it ended before an answer began: that may be over in a moment.
    pub unreached: bool,
}

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// In milliseconds, by the schedule.
    Step(u64),
    /// In milliseconds, beside the schedule.
    Quick(u64),
}

impl Wait {
    /// The wait in milliseconds.
    pub fn ms(self) -> u64 {
        match self {
            Wait::Step(ms) | Wait::Quick(ms) => ms,
        }
    }
}

/// The wait before the next attempt; none when the schedule is exhausted.
///
/// - The n-th wait of the schedule is drawn from zero to twice its value (`draw(max)` answers from 0 up to and including
///   `max`), so that webhooks that failed together do not come back together. A value that is greater than any that can
///   be set now counts for that.
/// - What the destination asked for is the least, up to a limit; where it said that it is overloaded, so is the
///   schedule's value.
/// - Who could not be reached is tried again at once, one time for each wait of the schedule, without using it up.
pub fn next_wait(
    limits: &Limits,
    schedule_ms: &[u64],
    tried: Tried,
    hint: Hint,
    draw: impl FnOnce(u64) -> u64,
) -> Option<Wait> {
    let quick_max = limits.deliver.quick_retry_ms;
    if hint.unreached && !tried.was_quick && quick_max > 0 {
        let least = quick_max / 5;
        return Some(Wait::Quick(least + draw(quick_max - least)));
    }
    let step = tried.attempts.checked_sub(1)?.checked_sub(tried.quick)?;
    let mean = (*schedule_ms.get(usize::try_from(step).ok()?)?).min(mean_max_ms(limits));
    let drawn = draw(mean.saturating_mul(2));
    let floor = hint.floor_ms.unwrap_or(0).min(limits.deliver.retry_after_max_ms);
    Some(Wait::Step(drawn.max(floor).max(if hint.slow { mean } else { 0 })))
}

/// The longest wait that can come about by any schedule: a stored time further away than that was written by a clock
/// that was wrong.
pub fn wait_max_ms(limits: &Limits) -> u64 {
    let deliver = &limits.deliver;
    mean_max_ms(limits).saturating_mul(2).max(deliver.retry_after_max_ms).max(deliver.quick_retry_ms)
}

/// The greatest value of any schedule, the server's or one that is set by API.
fn mean_max_ms(limits: &Limits) -> u64 {
    let of_server = limits.deliver.retry_schedule_ms.iter().copied().max().unwrap_or(0);
    of_server.max(limits.api.retry_wait_max_ms)
}

/// Reads Retry-After (RFC 9110, 10.2.3): seconds, or an HTTP date. In milliseconds from `now`; none if it is neither.
pub fn retry_after_ms(value: &str, now: DateTime<Utc>) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    u64::try_from((http_date(value)? - now).num_milliseconds().max(0)).ok()
}

/// Reads an HTTP date in any of the three forms that a recipient has to take (RFC 9110, 5.6.7).
pub fn http_date(value: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc2822(value) {
        return Some(at.with_timezone(&Utc));
    }
    let obsolete = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let at = obsolete.iter().find_map(|form| NaiveDateTime::parse_from_str(value, form).ok());
    at.map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use proptest::prelude::*;

    const SCHEDULE: [u64; 2] = [1000, 5000];

    fn limits() -> Limits {
        let mut limits = Limits::default();
        limits.api.retry_wait_max_ms = 20_000;
        limits.deliver.retry_schedule_ms = SCHEDULE.to_vec();
        (limits.deliver.retry_after_max_ms, limits.deliver.quick_retry_ms) = (60_000, 500);
        limits
    }

    fn after(attempts: u32, hint: Hint, draw: impl FnOnce(u64) -> u64) -> Option<Wait> {
        next_wait(&limits(), &SCHEDULE, Tried { attempts, quick: 0, was_quick: false }, hint, draw)
    }

    #[test]
    fn the_schedule_is_drawn_up_to_twice_its_value_and_ends() {
        let hint = Hint::default();
        assert_eq!(after(1, hint, |max| max), Some(Wait::Step(2000)));
        assert_eq!(after(2, hint, |max| max), Some(Wait::Step(10_000)));
        assert_eq!(after(2, hint, |_| 0), Some(Wait::Step(0)));
        assert_eq!(after(3, hint, |max| max), None);
        assert_eq!(after(0, hint, |max| max), None);
        assert_eq!(next_wait(&limits(), &[], Tried { attempts: 1, quick: 0, was_quick: false }, hint, |max| max), None);
        let longer = [u64::MAX];
        let tried = Tried { attempts: 1, quick: 0, was_quick: false };
        assert_eq!(next_wait(&limits(), &longer, tried, hint, |max| max), Some(Wait::Step(40_000)));
    }

    #[test]
    fn what_the_destination_asks_for_is_the_least() {
        let asked = |floor_ms, slow| Hint { floor_ms, slow, unreached: false };
        assert_eq!(after(1, asked(Some(30_000), true), |_| 7), Some(Wait::Step(30_000)));
        assert_eq!(after(1, asked(Some(1), false), |_| 7), Some(Wait::Step(7)));
        assert_eq!(after(1, asked(Some(u64::MAX), false), |_| 7), Some(Wait::Step(60_000)));
        assert_eq!(after(1, asked(None, true), |_| 7), Some(Wait::Step(1000)));
        assert_eq!(wait_max_ms(&limits()), 60_000);
    }

    #[test]
    fn who_could_not_be_reached_is_tried_again_at_once_for_each_step() {
        let unreached = Hint { unreached: true, ..Hint::default() };
        let next = |attempts, quick, was_quick, hint| {
            next_wait(&limits(), &SCHEDULE, Tried { attempts, quick, was_quick }, hint, |max| max)
        };
        assert_eq!(next(1, 0, false, unreached), Some(Wait::Quick(500)));
        assert_eq!(after(1, unreached, |_| 0), Some(Wait::Quick(100)));
        assert_eq!(next(2, 1, true, unreached), Some(Wait::Step(2000)), "once, and no step is used up");
        assert_eq!(next(3, 1, false, unreached), Some(Wait::Quick(500)));
        assert_eq!(next(4, 2, true, Hint::default()), Some(Wait::Step(10_000)));
        assert_eq!(next(5, 2, false, unreached), Some(Wait::Quick(500)));
        assert_eq!(next(6, 3, true, unreached), None);
        let mut without = limits();
        without.deliver.quick_retry_ms = 0;
        let tried = Tried { attempts: 1, quick: 0, was_quick: false };
        assert_eq!(next_wait(&without, &SCHEDULE, tried, unreached, |max| max), Some(Wait::Step(2000)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap();
        assert_eq!(retry_after_ms("120", now), Some(120_000));
        for date in ["Sun, 22 Nov 2026 10:00:30 GMT", "Sunday, 22-Nov-26 10:00:30 GMT", "Sun Nov 22 10:00:30 2026"] {
            assert_eq!(retry_after_ms(date, now), Some(30_000), "{date}");
        }
        assert_eq!(retry_after_ms("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(0));
        for neither in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after_ms(neither, now), None, "{neither}");
        }
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_longest(
            schedule_ms in prop::collection::vec(any::<u64>(), 0..9),
            (attempts, quick, was_quick) in (0..9u32, 0..9u32, any::<bool>()),
            (floor_ms, slow, unreached) in any::<(Option<u64>, bool, bool)>(),
            draw: u64,
        ) {
            let limits = Limits::default();
            let hint = Hint { floor_ms, slow, unreached };
            let tried = Tried { attempts, quick, was_quick };
            if let Some(wait) = next_wait(&limits, &schedule_ms, tried, hint, |max| draw % (max + 1)) {
                prop_assert!(wait.ms() <= wait_max_ms(&limits));
            }
        }
    }
}
