//! The one clock. Everything that asks for the time or waits does so through it.
//!
//! A simulated clock follows tokio's paused time: `tokio::time::advance` moves it, and waiting costs nothing.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Tells the time and waits. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    kind: Kind,
    /// What is added to what the machine's or the simulated clock shows, in microseconds: nodes that share a store
    /// follow its clock.
    offset_us: Arc<AtomicI64>,
}

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
    /// Until when no wait ends, in microseconds since the origin.
    stalled_until_us: AtomicU64,
}

impl Simulated {
    fn stalled_until(&self) -> Instant {
        self.origin + Duration::from_micros(self.stalled_until_us.load(Ordering::Relaxed))
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock::default()
    }

    /// A clock that shows `start` now and follows tokio's time from there.
    pub fn simulated(start: DateTime<Utc>) -> Self {
        let simulated = Simulated {
            start,
            origin: Instant::now(),
            shift_ms: AtomicI64::new(0),
            stalled_until_us: AtomicU64::new(0),
        };
        Clock { kind: Kind::Simulated(Arc::new(simulated)), offset_us: Arc::default() }
    }

    /// The time by this clock.
    #[allow(clippy::disallowed_methods)] // the one place
    pub fn now(&self) -> DateTime<Utc> {
        let shown = match &self.kind {
            Kind::System => Utc::now(),
            Kind::Simulated(clock) => {
                let elapsed = TimeDelta::from_std(clock.origin.elapsed()).unwrap_or(TimeDelta::MAX);
                clock.start + elapsed + TimeDelta::milliseconds(clock.shift_ms.load(Ordering::Relaxed))
            }
        };
        shown + TimeDelta::microseconds(self.offset_us.load(Ordering::Relaxed))
    }

    /// Shows a time from now on that is so much later than it would have been. Waits that are under way stay as they are.
    pub fn correct(&self, by: TimeDelta) {
        self.offset_us.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// Lets a simulated clock jump, as an operator's correction does; waits that are under way are not shortened.
    /// Nothing on the machine's clock.
    pub fn jump(&self, by_ms: i64) {
        if let Kind::Simulated(clock) = &self.kind {
            clock.shift_ms.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// Lets no wait by a simulated clock end within this time, as in a process that is stopped and woken later. Nothing
    /// on the machine's clock.
    pub fn stall(&self, duration: Duration) {
        if let Kind::Simulated(clock) = &self.kind {
            let until = u64::try_from((clock.origin.elapsed() + duration).as_micros()).unwrap_or(u64::MAX);
            clock.stalled_until_us.fetch_max(until, Ordering::Relaxed);
        }
    }

    /// Waits until a stall is over, if there is one.
    pub async fn awake(&self) {
        if let Kind::Simulated(clock) = &self.kind {
            while Instant::now() < clock.stalled_until() {
                tokio::time::sleep_until(clock.stalled_until()).await;
            }
        }
    }

    /// Waits this long.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.awake().await;
    }

    /// Waits until this clock shows `at`, at most a day.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        let wait = (at - self.now()).to_std().unwrap_or_default();
        self.sleep(wait.min(Duration::from_secs(86_400))).await;
    }
}
