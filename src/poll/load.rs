//! What the feeds of a quota would ask together at the pace they want, so that those with a range of intervals share what
//! there is. Pure, but for the time that passes.
//!
//! A credential's feeds are all polled by one node, which learns what they want as they run: nothing of it is kept.

use crate::ids::FeedId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Buckets kept; beyond that all is learned anew.
const BUCKETS_MAX: usize = 100_000;
/// How often a bucket's feeds that have not run for long are let go of.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How long a feed may be overdue before it is let go of.
const OVERDUE_MAX: Duration = Duration::from_secs(7_200);
/// The least share of what there is that is left to feeds with a range, whatever the others take.
const SHARE_MIN: f64 = 0.1;
/// Milliseconds of a day times a thousand: loads are kept in thousandths of a request a day, so that sums are exact.
const MILLI_DAY_MS: u64 = 86_400_000_000;
/// The greatest load of a feed: sums of as many feeds as there may be stay far from overflowing.
const LOAD_MAX: u64 = 1 << 42;

/// What a feed wants.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Requests of a run.
    pub requests: u64,
    /// The wait between runs, in milliseconds.
    pub wait_ms: u64,
    /// True if that is not to be changed.
    pub is_fixed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Load {
    amount: u64,
    is_fixed: bool,
    until: Instant,
}

#[derive(Debug)]
struct Bucket {
    feeds: HashMap<FeedId, Load>,
    fixed: u64,
    ranged: u64,
    pruned_at: Instant,
}

impl Bucket {
    fn add(&mut self, feed: FeedId, load: Load) {
        *(if load.is_fixed { &mut self.fixed } else { &mut self.ranged }) += load.amount;
        if let Some(before) = self.feeds.insert(feed, load) {
            self.take_off(before);
        }
    }

    fn take_off(&mut self, load: Load) {
        *(if load.is_fixed { &mut self.fixed } else { &mut self.ranged }) -= load.amount;
    }

    fn prune(&mut self, now: Instant) {
        self.pruned_at = now;
        let gone: Vec<_> = self.feeds.iter().filter(|(_, load)| load.until < now).map(|(feed, _)| *feed).collect();
        for feed in gone {
            if let Some(load) = self.feeds.remove(&feed) {
                self.take_off(load);
            }
        }
    }
}

/// What the feeds of each bucket want.
#[derive(Debug, Default)]
pub struct Loads(Mutex<HashMap<String, Bucket>>);

impl Loads {
    /// Notes what a feed wants, and answers how many times the room for feeds with a range they want together, of
    /// `per_second` requests a second for all feeds.
    pub fn demand(&self, bucket: &str, feed: FeedId, wish: Wish, per_second: f64) -> f64 {
        let now = Instant::now();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(bucket) {
            buckets.clear();
        }
        let fresh = || Bucket { feeds: HashMap::new(), fixed: 0, ranged: 0, pruned_at: now };
        let bucket = buckets.entry(bucket.to_owned()).or_insert_with(fresh);
        let amount = wish.requests.saturating_mul(MILLI_DAY_MS) / wish.wait_ms.max(1);
        let until = now + Duration::from_millis(wish.wait_ms) + OVERDUE_MAX;
        bucket.add(feed, Load { amount: amount.min(LOAD_MAX), is_fixed: wish.is_fixed, until });
        if now.saturating_duration_since(bucket.pruned_at) >= PRUNE_EVERY {
            bucket.prune(now);
        }
        // Sums that lose a bit in the conversion are still right to the sixteenth digit.
        #[allow(clippy::cast_precision_loss)]
        let (fixed, ranged) = (bucket.fixed as f64, bucket.ranged as f64);
        let room = per_second.max(0.0) * 86_400_000.0;
        ranged / (room - fixed).max(room * SHARE_MIN).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(number: u8) -> FeedId {
        FeedId::from_bytes([number; 12])
    }

    fn wish(wait_ms: u64) -> Wish {
        Wish { requests: 1, wait_ms, is_fixed: false }
    }

    #[tokio::test(start_paused = true)]
    async fn feeds_of_a_bucket_share_what_there_is() {
        let loads = Loads::default();
        let demand = |number, wish| loads.demand("a", feed(number), wish, 1.0);
        assert!((demand(1, wish(2_000)) - 0.5).abs() < 1e-6);
        assert!((demand(2, wish(500)) - 2.5).abs() < 1e-6);
        assert!((demand(2, wish(2_000)) - 1.0).abs() < 1e-6, "what a feed wanted before is forgotten");
        let fixed = Wish { is_fixed: true, ..wish(2_000) };
        assert!((demand(3, fixed) - 2.0).abs() < 1e-6, "a fixed interval comes first");
        assert!((demand(3, Wish { requests: 100, ..fixed }) - 10.0).abs() < 1e-6, "though something is left");
        assert!((loads.demand("b", feed(1), wish(2_000), 1.0) - 0.5).abs() < 1e-6, "another bucket is its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_feed_that_is_gone_takes_nothing_for_long() {
        let loads = Loads::default();
        loads.demand("a", feed(1), wish(1_000), 1.0);
        tokio::time::advance(OVERDUE_MAX + PRUNE_EVERY).await;
        assert!((loads.demand("a", feed(2), wish(1_000), 1.0) - 1.0).abs() < 1e-6);
    }
}
