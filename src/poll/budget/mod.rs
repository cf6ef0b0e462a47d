//! Budgets: how often a vendor may be asked with one credential.
//!
//! Two things make a budget: the pace, which governor keeps, and the gate, which is the vendor's own word (Retry-After,
//! or none left until the window ends). A budget is asked and never waited in: it says when to come again. The gate only
//! ever moves out, and is kept in the store by whoever observes it.

mod caller;

pub use caller::{Caller, Priority};

use anyhook_connectors::contract::RateLimit;
use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How far a vendor's numbers must be from the pace before the pace is changed: rebuilding it at every answer would
/// forget what was spent.
const HYSTERESIS: f64 = 0.2;
/// Budgets kept before the idle ones are dropped.
const BUDGETS_MAX: usize = 100_000;

/// Governor on tokio's clock, so that simulated time moves it.
#[derive(Debug, Clone, Copy, Default)]
struct TokioClock;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct At(Instant);

impl Add<Nanos> for At {
    type Output = At;

    fn add(self, nanos: Nanos) -> At {
        At(self.0 + Duration::from(nanos))
    }
}

impl Reference for At {
    fn duration_since(&self, earlier: At) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> At {
        At(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

impl GovernorClock for TokioClock {
    type Instant = At;

    fn now(&self) -> At {
        At(Instant::now())
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, StateInformationMiddleware>;

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
        Pace { burst, per: per.max(Duration::from_millis(1)) }
    }

    /// This share of what a manifest allows, in percent.
    pub fn of(limit: &RateLimit, percent: u32) -> Self {
        let requests = u64::from(limit.requests) * u64::from(percent) / 100;
        Pace::new(u32::try_from(requests).unwrap_or(u32::MAX), Duration::from_millis(limit.per_ms))
    }

    fn per_second(self) -> f64 {
        f64::from(self.burst.get()) / self.per.as_secs_f64()
    }

    fn limiter(self, available: u32) -> Limiter {
        let period = (self.per / self.burst.get()).max(Duration::from_nanos(1));
        let quota =
            Quota::with_period(period).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN)).allow_burst(self.burst);
        let limiter = RateLimiter::direct_with_clock(quota, TokioClock).with_middleware::<StateInformationMiddleware>();
        // Governor cannot be told its state: what is not available is spent at once.
        if let Some(spent) = NonZeroU32::new(self.burst.get().saturating_sub(available)) {
            let _ = limiter.check_n(spent);
        }
        limiter
    }
}

/// What one answer says of the budget. Times are from now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hint {
    /// Requests left in the vendor's window.
    pub remaining: Option<u32>,
    /// Until the window ends.
    pub reset: Option<Duration>,
    /// Until the next request is welcome.
    pub retry_after: Option<Duration>,
}

/// One credential's budget.
#[derive(Debug)]
pub struct Budget {
    ceiling: Pace,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    limiter: Limiter,
    gate: Option<Instant>,
    available: u32,
    strikes: u32,
}

impl Budget {
    /// A budget that never exceeds `ceiling`.
    pub fn new(ceiling: Pace) -> Self {
        let available = ceiling.burst.get();
        let state = State { pace: ceiling, limiter: ceiling.limiter(available), gate: None, available, strikes: 0 };
        Budget { ceiling, state: Mutex::new(state) }
    }

    /// Takes one request, or says how long to wait before asking again.
    pub fn take(&self) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(gate) = state.gate {
            if now < gate {
                return Err(gate - now);
            }
            state.gate = None;
        }
        match state.limiter.check() {
            Ok(snapshot) => {
                state.available = snapshot.remaining_burst_capacity();
                Ok(())
            }
            Err(not_until) => Err(not_until.earliest_possible().0.saturating_duration_since(now)),
        }
    }

    /// Closes the gate for `wait`; never shortens.
    pub fn close(&self, wait: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + wait;
        state.gate = Some(state.gate.map_or(until, |gate| gate.max(until)));
    }

    /// The vendor said that there were too many requests. Answers how long the whole budget pauses: what the vendor
    /// says within `floor` and `max`, else doubling from `floor` with each refusal in a row, the pace halved.
    pub fn refuse(&self, hint: Hint, floor: Duration, max: Duration) -> Duration {
        let wait = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.strikes = (state.strikes + 1).min(16);
            let said = hint.retry_after.or(hint.reset.filter(|_| hint.remaining == Some(0)));
            if said.is_none() {
                let slower = Pace { burst: state.pace.burst, per: (state.pace.per * 2).min(self.ceiling.per * 64) };
                state.pace = slower;
                state.limiter = slower.limiter(0);
                state.available = 0;
            }
            said.unwrap_or_else(|| floor.saturating_mul(1 << state.strikes)).clamp(floor, max)
        };
        self.close(wait);
        wait
    }

    /// Takes in what a good answer says. Answers how long the budget pauses if nothing is left.
    pub fn observe(&self, hint: Hint, max: Duration) -> Option<Duration> {
        let pause = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.strikes = 0;
            match (hint.remaining, hint.reset) {
                (Some(0), Some(reset)) => Some(reset.min(max)),
                (Some(remaining), Some(reset)) => {
                    self.follow(&mut state, remaining, reset);
                    None
                }
                _ => {
                    self.recover(&mut state);
                    None
                }
            }
        };
        if let Some(wait) = pause {
            self.close(wait);
        }
        pause
    }

    /// Spreads what is left over what remains of the window, within the ceiling.
    fn follow(&self, state: &mut State, remaining: u32, reset: Duration) {
        let spread = Pace::new(remaining, reset.max(Duration::from_millis(1)));
        let target = spread.per_second().min(self.ceiling.per_second());
        if (target / state.pace.per_second() - 1.0).abs() > HYSTERESIS {
            let burst = remaining.min(self.ceiling.burst.get()).max(1);
            let pace = Pace::new(burst, Duration::from_secs_f64(f64::from(burst) / target.max(1e-9)));
            let available = state.available.min(remaining);
            state.pace = pace;
            state.limiter = pace.limiter(available);
        } else if state.available > remaining {
            // Somebody else spends from the same window.
            if let Some(spent) = NonZeroU32::new(state.available - remaining) {
                let _ = state.limiter.check_n(spent);
            }
            state.available = remaining;
        }
    }

    /// Without numbers, the pace comes back a step at a time.
    fn recover(&self, state: &mut State) {
        if state.pace != self.ceiling {
            let per = state.pace.per.mul_f64(0.9).max(self.ceiling.per);
            let pace = Pace { burst: self.ceiling.burst, per };
            state.limiter = pace.limiter(state.available);
            state.pace = pace;
        }
    }
}

/// All budgets of this node, by bucket.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<HashMap<String, Arc<Budget>>>);

impl Budgets {
    /// The budget of a bucket, and whether it was made just now.
    pub fn get(&self, bucket: &str, ceiling: Pace) -> (Arc<Budget>, bool) {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = budgets.get(bucket) {
            return (budget.clone(), false);
        }
        if budgets.len() >= BUDGETS_MAX {
            budgets.retain(|_, budget| Arc::strong_count(budget) > 1);
        }
        let budget = Arc::new(Budget::new(ceiling));
        budgets.insert(bucket.to_owned(), budget.clone());
        (budget, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);

    async fn spend(budget: &Budget, count: u32) {
        for _ in 0..count {
            while let Err(wait) = budget.take() {
                tokio::time::sleep(wait).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_kept_after_the_burst() {
        let budget = Budget::new(Pace::new(10, SECOND));
        let start = Instant::now();
        spend(&budget, 30).await;
        assert!((1.9..2.2).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_budget_pauses_as_long_as_the_vendor_says_within_the_floor() {
        let budget = Budget::new(Pace::new(10, SECOND));
        let hint = Hint { retry_after: Some(60 * SECOND), ..Hint::default() };
        assert_eq!(budget.refuse(hint, SECOND, DAY), 60 * SECOND);
        assert!(budget.take().unwrap_err() > 59 * SECOND);
        let zero = Hint { retry_after: Some(Duration::ZERO), ..Hint::default() };
        assert_eq!(Budget::new(Pace::new(10, SECOND)).refuse(zero, SECOND, DAY), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_numbers_double_the_pause_and_slow_the_pace() {
        let budget = Budget::new(Pace::new(10, SECOND));
        let first = budget.refuse(Hint::default(), SECOND, DAY);
        let second = budget.refuse(Hint::default(), SECOND, DAY);
        assert_eq!(second, first * 2);
        tokio::time::sleep(second).await;
        let start = Instant::now();
        spend(&budget, 20).await;
        assert!(start.elapsed() > 2 * SECOND, "slower than the ceiling: {:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_window_is_spread_and_never_overspent() {
        let budget = Budget::new(Pace::new(50, SECOND));
        let (start, window) = (Instant::now(), 100 * SECOND);
        let (mut left, mut sent) = (100u32, 0);
        while start.elapsed() < window {
            spend(&budget, 1).await;
            if start.elapsed() >= window {
                break;
            }
            sent += 1;
            left = left.checked_sub(1).expect("the window was overspent");
            let reset = Some(window.saturating_sub(start.elapsed()));
            budget.observe(Hint { remaining: Some(left), reset, ..Hint::default() }, DAY);
        }
        assert!(sent > 60, "too timid: {sent}");
    }
}
