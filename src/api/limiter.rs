//! Rate limits by key, on tokio's time so that a jump of the machine's clock moves nothing.

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::hash::Hash;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// After how many checks keys that have been quiet are forgotten.
const TIDY_EVERY: u32 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct At(Instant);

impl Add<Nanos> for At {
    type Output = At;

    fn add(self, nanos: Nanos) -> At {
        At(self.0 + Duration::from_nanos(nanos.as_u64()))
    }
}

impl Reference for At {
    fn duration_since(&self, earlier: At) -> Nanos {
        Nanos::new(u64::try_from(self.0.saturating_duration_since(earlier.0).as_nanos()).unwrap_or(u64::MAX))
    }

    fn saturating_sub(&self, nanos: Nanos) -> At {
        At(self.0.checked_sub(Duration::from_nanos(nanos.as_u64())).unwrap_or(self.0))
    }
}

#[derive(Clone, Debug, Default)]
struct TokioClock;

impl Clock for TokioClock {
    type Instant = At;

    fn now(&self) -> At {
        At(Instant::now())
    }
}

/// So many events a second for each key, refilled evenly, all of a second's at once where it was quiet.
pub(crate) struct Limiter<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, TokioClock, NoOpMiddleware<At>>,
    checks: AtomicU32,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// A limiter for this many events a second; at least one.
    pub(crate) fn per_second(events: u32) -> Self {
        let quota = Quota::per_second(NonZeroU32::new(events).unwrap_or(NonZeroU32::MIN));
        let limiter = RateLimiter::new(quota, HashMapStateStore::default(), TokioClock);
        Limiter { limiter, checks: AtomicU32::new(0) }
    }

    /// Counts an event, or says how long to wait.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|refused| refused.wait_time_from(TokioClock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_key_has_its_own_rate() {
        let limiter = Limiter::per_second(2);
        assert!(limiter.check(&"a").is_ok() && limiter.check(&"a").is_ok());
        let wait = limiter.check(&"a").unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
        assert!(limiter.check(&"b").is_ok());
        tokio::time::advance(wait).await;
        assert!(limiter.check(&"a").is_ok());
    }
}
