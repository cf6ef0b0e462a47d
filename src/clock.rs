//! The one clock. Everything that asks for the time or waits does so through it.
//!
//! A simulated clock follows tokio's paused time: `tokio::time::advance` moves it, and waiting costs nothing.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Tells the time and waits.
#[derive(Debug, Clone, Default)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Default)]
enum Kind {
    #[default]
    System,
    Simulated(Arc<Simulated>),
}

#[derive(Debug)]
struct Simulated {
    start: DateTime<Utc>,
    origin: Instant,
    shift_ms: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock(Kind::System)
    }

    /// A clock that shows `start` now and follows tokio's time from there.
    pub fn simulated(start: DateTime<Utc>) -> Self {
        Clock(Kind::Simulated(Arc::new(Simulated { start, origin: Instant::now(), shift_ms: AtomicI64::new(0) })))
    }

    /// The time by this clock.
    #[allow(clippy::disallowed_methods)] // the one place
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::System => Utc::now(),
            Kind::Simulated(clock) => {
                let elapsed = TimeDelta::from_std(clock.origin.elapsed()).unwrap_or(TimeDelta::MAX);
                clock.start + elapsed + TimeDelta::milliseconds(clock.shift_ms.load(Ordering::Relaxed))
            }
        }
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// Lets a simulated clock jump, as an operator's correction does; waits that are under way are not shortened.
    /// Nothing on the machine's clock.
    pub fn jump(&self, by_ms: i64) {
        if let Kind::Simulated(clock) = &self.0 {
            clock.shift_ms.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// Waits this long.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until this clock shows `at`, at most a day.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        let wait = (at - self.now()).to_std().unwrap_or_default();
        self.sleep(wait.min(Duration::from_secs(86_400))).await;
    }
}
