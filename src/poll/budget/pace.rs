//! A pace, and the requests it has left: so many at once, refilled evenly.
//!
//! The generic cell rate algorithm (ITU-T I.371), which remembers one instant. Governor has it too, but there nothing
//! can be given back, which an answer that the vendor does not count needs, and what is left cannot be seen or set.

use anyhook_connectors::contract::RateLimit;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// The longest period of a pace, about a hundred years: large bursts at slow rates have long ones.
const PER_MAX: Duration = Duration::from_secs(36_600 * 86_400);

/// What one node may use of what several share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// So many parts.
    pub parts: u16,
    /// Of so many.
    pub all: u16,
}

impl Slice {
    /// All of it.
    pub const WHOLE: Slice = Slice { parts: 1, all: 1 };

    /// True where others have a part.
    pub fn is_shared(self) -> bool {
        self.parts < self.all
    }
}

/// So many requests at once, refilled evenly over a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    burst: NonZeroU32,
    per: Duration,
}

impl Pace {
    /// At least one request, at least one millisecond.
    pub fn new(burst: u32, per: Duration) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        Pace { burst, per: per.clamp(Duration::from_millis(1), PER_MAX) }
    }

    /// This share of what a manifest allows, in percent.
    pub fn of(limit: &RateLimit, percent: u32) -> Self {
        Pace::share(limit.requests, limit.per_ms, percent)
    }

    /// This share of so many requests in a period, in percent.
    pub fn share(requests: u32, per_ms: u64, percent: u32) -> Self {
        let requests = u64::from(requests) * u64::from(percent) / 100;
        Pace::new(u32::try_from(requests).unwrap_or(u32::MAX), Duration::from_millis(per_ms))
    }

    /// So many parts of it out of all; at least one request in a period.
    #[must_use]
    pub fn slice(self, Slice { parts, all }: Slice) -> Self {
        let burst = u64::from(self.burst()) * u64::from(parts) / u64::from(all.max(1));
        Pace::new(u32::try_from(burst).unwrap_or(u32::MAX), self.per)
    }

    /// So many at once, refilled at so many a second.
    pub fn at_rate(burst: u32, per_second: f64) -> Self {
        let per = Duration::try_from_secs_f64(f64::from(burst) / per_second.max(1e-12)).unwrap_or(PER_MAX);
        Pace::new(burst, per)
    }

    /// The same, stretched or shortened by a factor.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Pace::new(self.burst.get(), Duration::try_from_secs_f64(self.per.as_secs_f64() * factor).unwrap_or(PER_MAX))
    }

    /// Requests at once.
    pub fn burst(self) -> u32 {
        self.burst.get()
    }

    /// The period.
    pub fn per(self) -> Duration {
        self.per
    }

    /// Requests a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.burst.get()) / self.per.as_secs_f64()
    }

    /// From one request to the next. Rounded up, so that the pace is never exceeded.
    pub fn interval(self) -> Duration {
        let nanos = self.per.as_nanos().div_ceil(u128::from(self.burst.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What a pace has left. Times never go back.
#[derive(Debug, Clone, Copy)]
pub struct Tokens {
    pace: Pace,
    /// When all will be there again, if none is taken till then.
    full_at: Instant,
}

impl Tokens {
    /// All there.
    pub fn new(pace: Pace, now: Instant) -> Self {
        Tokens { pace, full_at: now }
    }

    /// The pace.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// How many can be taken now.
    pub fn available(&self, now: Instant) -> u32 {
        let owed = self.full_at.saturating_duration_since(now).as_nanos();
        let missing = owed.div_ceil(self.pace.interval().as_nanos());
        self.pace.burst().saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    /// The same with the part of the next one that is refilled already; below zero where some are owed.
    pub fn there(&self, now: Instant) -> f64 {
        let owed = self.full_at.saturating_duration_since(now).as_secs_f64();
        f64::from(self.pace.burst()) - owed / self.pace.interval().as_secs_f64()
    }

    /// When this many will be there, as far as the burst has them; may be in the past.
    pub fn ready_at(&self, count: u32) -> Instant {
        let rest = self.pace.burst().saturating_sub(count);
        self.full_at.checked_sub(self.pace.interval() * rest).unwrap_or(self.full_at)
    }

    /// Takes one. Where none is there it is owed.
    pub fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.pace.interval();
    }

    /// Gives one back that was taken for nothing.
    pub fn give_back(&mut self, now: Instant) {
        let back = self.full_at.checked_sub(self.pace.interval()).unwrap_or(now);
        self.full_at = back.max(now);
    }

    /// Leaves no more than this many at this time, which may lie ahead.
    pub fn leave(&mut self, count: u32, at: Instant) {
        let missing = self.pace.burst().saturating_sub(count);
        self.full_at = self.full_at.max(at + self.pace.interval() * missing);
    }

    /// Goes on at another pace with what is there, as far as that has room for it.
    pub fn change(&mut self, pace: Pace, now: Instant) {
        let kept = self.there(now).min(f64::from(pace.burst()));
        let missing = (f64::from(pace.burst()) - kept).max(0.0);
        let back_in = Duration::try_from_secs_f64(missing * pace.interval().as_secs_f64()).unwrap_or(PER_MAX);
        *self = Tokens { pace, full_at: now + back_in.min(PER_MAX) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Pass(u64),
        Take,
        GiveBack,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..5_000u64).prop_map(Step::Pass),
            6 => Just(Step::Take),
            1 => Just(Step::GiveBack),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn no_period_holds_more_than_the_burst_and_what_was_refilled(
            burst in 1..50u32, per_ms in 1..10_000u64, steps in steps(),
        ) {
            let pace = Pace::new(burst, Duration::from_millis(per_ms));
            let start = Instant::now();
            let (mut now, mut tokens) = (start, Tokens::new(pace, start));
            // When each request was sent that counted.
            let mut sent: Vec<Instant> = Vec::new();
            for step in steps {
                match step {
                    Step::Pass(ms) => now += Duration::from_millis(ms),
                    Step::Take => if tokens.available(now) > 0 {
                        prop_assert!(tokens.ready_at(1) <= now);
                        tokens.take(now);
                        sent.push(now);
                    } else {
                        prop_assert!(tokens.ready_at(1) > now, "what is not there now is ready later");
                        prop_assert_eq!(tokens.available(tokens.ready_at(1)), 1, "and then it is there");
                    },
                    Step::GiveBack => if sent.pop().is_some() {
                        tokens.give_back(now);
                    },
                }
                prop_assert!(tokens.available(now) <= burst);
            }
            for (at, first) in sent.iter().enumerate() {
                for (more, last) in sent[at..].iter().enumerate() {
                    let allowed = f64::from(burst) + (*last - *first).as_secs_f64() * pace.per_second();
                    #[allow(clippy::cast_precision_loss)]
                    let count = (more + 1) as f64;
                    prop_assert!(count <= allowed + 1e-6, "{count} in {:?}", *last - *first);
                }
            }
        }

        #[test]
        fn another_pace_makes_no_requests_out_of_nothing(
            burst in 1..100u32, taken in 0..100u32, other in 1..100u32, per_ms in 1..100_000u64, other_ms in 1..100_000u64,
        ) {
            let now = Instant::now();
            let mut tokens = Tokens::new(Pace::new(burst, Duration::from_millis(per_ms)), now);
            (0..taken).for_each(|_| tokens.take(now));
            let before = tokens.available(now);
            tokens.change(Pace::new(other, Duration::from_millis(other_ms)), now);
            prop_assert!(tokens.available(now) <= before.min(other));
            tokens.leave(1, now);
            prop_assert!(tokens.available(now) <= 1);
        }
    }
}
