//! When a batch is tried again.

use crate::limits::DeliverLimits;
use chrono::{DateTime, Utc};

/// How long to wait before the next attempt, in milliseconds; none when the schedule is exhausted.
///
/// - `attempts` have been made. The n-th wait is drawn from zero to twice the schedule's n-th value (`draw(max)` answers
///   from 0 up to and including `max`), so that webhooks that failed together do not come back together.
/// - `floor_ms` is what the destination asked for; it is honoured up to a limit.
/// - `slow` is true where the destination said that it is overloaded: then the schedule's value is the least.
pub fn wait_ms(
    limits: &DeliverLimits,
    attempts: u32,
    floor_ms: Option<u64>,
    slow: bool,
    draw: impl FnOnce(u64) -> u64,
) -> Option<u64> {
    let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
    let mean = *limits.retry_schedule_ms.get(index)?;
    let drawn = draw(mean.saturating_mul(2));
    let floor = floor_ms.unwrap_or(0).min(limits.retry_after_max_ms);
    Some(drawn.max(floor).max(if slow { mean } else { 0 }))
}

/// The longest wait that can come about: a stored time further away than that was written by a clock that was wrong.
pub fn wait_max_ms(limits: &DeliverLimits) -> u64 {
    let longest = limits.retry_schedule_ms.iter().copied().max().unwrap_or(0).saturating_mul(2);
    longest.max(limits.retry_after_max_ms)
}

/// Reads Retry-After (RFC 9110, 10.2.3): seconds, or an HTTP date. In milliseconds from `now`; none if it is neither.
pub fn retry_after_ms(value: &str, now: DateTime<Utc>) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let at = DateTime::parse_from_rfc2822(value).ok()?;
    u64::try_from((at.with_timezone(&Utc) - now).num_milliseconds().max(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use proptest::prelude::*;

    fn limits() -> DeliverLimits {
        DeliverLimits { retry_schedule_ms: vec![1000, 5000], retry_after_max_ms: 60_000, ..DeliverLimits::default() }
    }

    #[test]
    fn the_schedule_is_drawn_up_to_twice_its_value_and_ends() {
        assert_eq!(wait_ms(&limits(), 1, None, false, |max| max), Some(2000));
        assert_eq!(wait_ms(&limits(), 2, None, false, |max| max), Some(10_000));
        assert_eq!(wait_ms(&limits(), 2, None, false, |_| 0), Some(0));
        assert_eq!(wait_ms(&limits(), 3, None, false, |max| max), None);
        assert_eq!(wait_ms(&limits(), 0, None, false, |max| max), None);
    }

    #[test]
    fn what_the_destination_asks_for_is_the_least() {
        assert_eq!(wait_ms(&limits(), 1, Some(30_000), true, |_| 7), Some(30_000));
        assert_eq!(wait_ms(&limits(), 1, Some(1), false, |_| 7), Some(7));
        assert_eq!(wait_ms(&limits(), 1, Some(u64::MAX), false, |_| 7), Some(60_000));
        assert_eq!(wait_ms(&limits(), 1, None, true, |_| 7), Some(1000));
        assert_eq!(wait_max_ms(&limits()), 60_000);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap();
        assert_eq!(retry_after_ms("120", now), Some(120_000));
        assert_eq!(retry_after_ms("Sun, 22 Nov 2026 10:00:30 GMT", now), Some(30_000));
        assert_eq!(retry_after_ms("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(0));
        for neither in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after_ms(neither, now), None, "{neither}");
        }
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_longest(attempts in 0..9u32, floor in any::<Option<u64>>(), slow: bool, draw: u64) {
            let limits = DeliverLimits::default();
            if let Some(wait) = wait_ms(&limits, attempts, floor, slow, |max| draw % (max + 1)) {
                prop_assert!(wait <= wait_max_ms(&limits));
            }
        }
    }
}
