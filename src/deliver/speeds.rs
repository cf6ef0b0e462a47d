//! Which hosts answered quickly the last time, and which did not; remembered for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Hosts that are remembered. With more, all are learned anew.
const HOSTS_MAX: usize = 16_384;

/// How long a host is remembered after it was last seen to be quick, or slow.
const KEPT: Duration = Duration::from_secs(600);

/// How a host answered the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    /// Nothing is known of it.
    Unknown,
    /// It answered, or refused, at once.
    Quick,
    /// It did not.
    Slow,
}

/// What is known of hosts.
#[derive(Debug, Default)]
pub(super) struct Speeds(HashMap<Arc<str>, (Speed, Instant)>);

impl Speeds {
    pub(super) fn of(&self, host: &str, now: Instant) -> Speed {
        match self.0.get(host) {
            Some((speed, at)) if now.duration_since(*at) < KEPT => *speed,
            _ => Speed::Unknown,
        }
    }

    /// A host was seen to be so.
    pub(super) fn note(&mut self, host: &Arc<str>, speed: Speed, now: Instant) {
        if let Some(known) = self.0.get_mut(host) {
            *known = (speed, now);
            return;
        }
        if self.0.len() >= HOSTS_MAX {
            self.0.clear();
        }
        self.0.insert(host.clone(), (speed, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_last_counts_for_a_while() {
        let (mut speeds, host): (_, Arc<str>) = (Speeds::default(), "a:443".into());
        assert_eq!(speeds.of(&host, Instant::now()), Speed::Unknown);
        speeds.note(&host, Speed::Slow, Instant::now());
        assert_eq!(speeds.of(&host, Instant::now()), Speed::Slow);
        speeds.note(&host, Speed::Quick, Instant::now());
        assert_eq!(speeds.of(&host, Instant::now()), Speed::Quick);
        tokio::time::advance(KEPT).await;
        assert_eq!(speeds.of(&host, Instant::now()), Speed::Unknown);
    }

    #[tokio::test]
    async fn memory_has_a_bound() {
        let (mut speeds, now) = (Speeds::default(), Instant::now());
        for number in 0..=HOSTS_MAX {
            speeds.note(&number.to_string().into(), Speed::Slow, now);
        }
        assert_eq!(speeds.0.len(), 1);
    }
}
