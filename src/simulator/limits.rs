//! The rate limit: a token bucket an account.

use std::collections::BTreeMap;

/// Requests an account may make at once, refilled evenly.
#[derive(Debug)]
pub(super) struct Limits {
    capacity: u32,
    per_ms: f64,
    buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at_ms: i64,
}

/// What an account has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// When the bucket will be full, in epoch seconds.
    pub(super) reset_s: i64,
    /// Seconds until the next request, where this one is refused.
    pub(super) retry_after_s: Option<u32>,
}

impl Limits {
    pub(super) fn new(capacity: u32, per_s: u32) -> Self {
        Limits { capacity, per_ms: f64::from(per_s.max(1)) * 1_000.0, buckets: BTreeMap::new() }
    }

    /// Takes a request from an account's bucket. None where there is no limit.
    pub(super) fn take(&mut self, account: &str, now_ms: i64) -> Option<Allowance> {
        if self.capacity == 0 {
            return None;
        }
        let capacity = f64::from(self.capacity);
        let ms_each = self.per_ms / capacity;
        if !self.buckets.contains_key(account) {
            self.buckets.insert(account.to_owned(), Bucket { left: capacity, at_ms: now_ms });
        }
        let bucket = self.buckets.get_mut(account)?;
        #[allow(clippy::cast_precision_loss)] // a difference of milliseconds
        let elapsed = now_ms.saturating_sub(bucket.at_ms).max(0) as f64;
        bucket.left = (bucket.left + elapsed / ms_each).min(capacity);
        bucket.at_ms = now_ms;
        let granted = bucket.left >= 1.0;
        bucket.left -= f64::from(u8::from(granted));
        let full_in_ms = (capacity - bucket.left) * ms_each;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
        Some(Allowance {
            limit: self.capacity,
            remaining: bucket.left as u32,
            reset_s: (now_ms + full_in_ms.ceil() as i64).div_euclid(1_000) + 1,
            retry_after_s: (!granted).then(|| (((1.0 - bucket.left) * ms_each / 1_000.0).ceil() as u32).max(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again_evenly() {
        let mut limits = Limits::new(2, 60);
        assert_eq!(limits.take("a", 0).unwrap().remaining, 1);
        assert_eq!(limits.take("a", 0).unwrap().retry_after_s, None);
        assert_eq!(limits.take("a", 0).unwrap().retry_after_s, Some(30));
        assert_eq!(limits.take("b", 0).unwrap().retry_after_s, None, "accounts do not share a bucket");
        assert_eq!(limits.take("a", 29_999).unwrap().retry_after_s, Some(1));
        assert_eq!(limits.take("a", 30_001).unwrap().retry_after_s, None);
        assert_eq!(Limits::new(0, 1).take("a", 0), None);
    }
}
