//! One quota at a vendor, of a credential or of an app: its pace, and the gate, which is the vendor's own word
//! (Retry-After, or none left until the window ends). The gate only ever moves out. Pure: the time is an argument.

use super::pace::{Pace, Slice, Tokens};
use std::time::Duration;
use tokio::time::Instant;

/// Refusals in a row that still make the next pause longer.
const STRIKES_MAX: u32 = 16;
/// By how much the pace may be slowed in all where a vendor gives no numbers.
const SLOWDOWN_MAX: f64 = 64.0;

/// What one answer says of a quota. Times are from now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hint {
    /// Requests left in the vendor's window.
    pub remaining: Option<u32>,
    /// Until the window ends.
    pub reset: Option<Duration>,
    /// Until the next request is welcome.
    pub retry_after: Option<Duration>,
}

/// The bounds of pauses.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The shortest after a refusal.
    pub floor: Duration,
    /// The first after a refusal that names no time, at least.
    pub silent: Duration,
    /// The longest.
    pub max: Duration,
}

/// One quota.
#[derive(Debug)]
pub struct Quota {
    /// What all nodes together may ask for.
    whole: Pace,
    /// What this one may.
    slice: Slice,
    ceiling: Pace,
    tokens: Tokens,
    gate: Option<Instant>,
    strikes: u32,
    refused_at: Option<Instant>,
}

impl Quota {
    /// A quota that never exceeds `ceiling`.
    pub fn new(ceiling: Pace, now: Instant) -> Self {
        Quota {
            whole: ceiling,
            slice: Slice::WHOLE,
            ceiling,
            tokens: Tokens::new(ceiling, now),
            gate: None,
            strikes: 0,
            refused_at: None,
        }
    }

    /// The slice of a quota that other nodes use too. Of what is new to this one nothing is there yet: whoever had it may
    /// just have spent it.
    pub fn sliced(whole: Pace, slice: Slice, now: Instant) -> Self {
        let mut quota = Quota::new(whole, now);
        if slice.is_shared() {
            quota.set_slice(slice, now);
            quota.tokens.leave(1, now);
        }
        quota
    }

    /// Goes on with another slice, at a pace that is slowed as much as it was. Answers whether it is another.
    pub fn set_slice(&mut self, slice: Slice, now: Instant) -> bool {
        if slice == self.slice {
            return false;
        }
        let ceiling = self.whole.slice(slice);
        let pace = match self.tokens.pace() {
            pace if pace == self.ceiling => ceiling,
            pace => {
                let rate = pace.per_second() * ceiling.per_second() / self.ceiling.per_second();
                Pace::at_rate(pace.burst().min(ceiling.burst()), rate)
            }
        };
        self.tokens.change(pace, now);
        (self.slice, self.ceiling) = (slice, ceiling);
        true
    }

    /// What of requests left to all nodes is this one's.
    fn own(&self, left: u32) -> u32 {
        let own = u64::from(left) * u64::from(self.slice.parts) / u64::from(self.slice.all.max(1));
        u32::try_from(own).unwrap_or(u32::MAX).max(left.min(1))
    }

    /// When a request may be sent that leaves `reserve` for others.
    pub fn ready_at(&self, reserve: u32) -> Instant {
        let ready = self.tokens.ready_at(1 + reserve);
        self.gate.map_or(ready, |gate| gate.max(ready))
    }

    /// What listing jobs leave for the live line: a tenth of a burst, so that a poll need not wait for a refill.
    pub fn reserve(&self) -> u32 {
        let burst = self.tokens.pace().burst();
        if burst < 2 { 0 } else { (burst / 10).max(1) }
    }

    /// From one request to the next, once the burst is used up.
    pub fn interval(&self) -> Duration {
        self.tokens.pace().interval()
    }

    /// Counts a request.
    pub fn take(&mut self, now: Instant) {
        self.tokens.take(now);
    }

    /// Takes a request back that the vendor did not count.
    pub fn give_back(&mut self, now: Instant) {
        self.tokens.give_back(now);
    }

    /// Closes the gate until then; never shortens. Behind it nothing has gathered: a vendor that asked to be left alone
    /// is not met with a burst.
    pub fn close(&mut self, until: Instant) {
        self.gate = Some(self.gate.map_or(until, |gate| gate.max(until)));
        self.tokens.leave(1, until);
    }

    /// The vendor said that there were too many requests, to one sent at `sent_at`. Answers how long the whole quota
    /// pauses: what the vendor says, within bounds, else doubling with each refusal in a row, the pace halved. Refusals
    /// of requests that were on their way together count once.
    pub fn refuse(&mut self, hint: Hint, sent_at: Instant, bounds: Pauses, now: Instant) -> Duration {
        let is_known = self.refused_at.is_some_and(|refused_at| sent_at <= refused_at);
        self.refused_at = Some(now);
        if !is_known {
            self.strikes = (self.strikes + 1).min(STRIKES_MAX);
        }
        let said = hint.retry_after.or(hint.reset.filter(|_| hint.remaining.is_none_or(|left| left == 0)));
        let wait = said.map_or_else(
            || {
                let doubled = bounds.floor.saturating_mul(1 << self.strikes);
                doubled.max(bounds.silent.saturating_mul(1 << (self.strikes - 1)))
            },
            |said| said.max(bounds.floor),
        );
        if said.is_none() && !is_known && self.tokens.pace().per() < self.ceiling.times(SLOWDOWN_MAX).per() {
            self.tokens.change(self.tokens.pace().times(2.0), now);
        }
        let wait = wait.min(bounds.max);
        self.close(now + wait);
        wait
    }

    /// Takes in what a good answer to a request of `sent_at` says, while `others` are on their way, which it may not
    /// have counted. Answers how long the quota pauses if nothing is left.
    pub fn observe(
        &mut self,
        hint: Hint,
        sent_at: Instant,
        others: u32,
        bounds: Pauses,
        now: Instant,
    ) -> Option<Duration> {
        if self.refused_at.is_none_or(|refused_at| sent_at > refused_at) {
            self.strikes = 0;
        }
        match (hint.remaining, hint.reset) {
            (Some(0), Some(reset)) => {
                let wait = reset.min(bounds.max);
                self.close(now + wait);
                return Some(wait);
            }
            (Some(remaining), Some(reset)) => self.follow(self.own(remaining).saturating_sub(others), reset, now),
            _ => self.recover(now),
        }
        None
    }

    /// Spreads what is left over what remains of the window, within the ceiling: what is there now, and what will be
    /// refilled until the window ends, make no more than that.
    fn follow(&mut self, left: u32, reset: Duration, now: Instant) {
        let reset_s = reset.as_secs_f64().max(0.001);
        let burst = left.clamp(1, self.ceiling.burst());
        // Somebody else may spend from the same window.
        self.tokens.leave(left, now);
        let there = self.tokens.there(now).min(f64::from(burst));
        let rest = f64::from(left) - there;
        // Where all that is left is there already, the next one comes with the next window.
        let rate = if rest > 0.0 { rest / reset_s } else { 1.0 / reset_s }.min(self.ceiling.per_second());
        self.tokens.change(Pace::at_rate(burst, rate), now);
    }

    /// Without numbers, the pace comes back a step at a time.
    fn recover(&mut self, now: Instant) {
        if self.tokens.pace() != self.ceiling {
            let rate = self.tokens.pace().per_second() / 0.9;
            let is_back = rate >= self.ceiling.per_second();
            let pace = Pace::at_rate(self.ceiling.burst(), rate);
            self.tokens.change(if is_back { self.ceiling } else { pace }, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BOUNDS: Pauses = Pauses { floor: SECOND, silent: Duration::ZERO, max: Duration::from_secs(86_400) };

    fn after(seconds: u64) -> Hint {
        Hint { retry_after: Some(SECOND * u32::try_from(seconds).unwrap()), ..Hint::default() }
    }

    fn quota(burst: u32) -> (Quota, Instant) {
        let now = Instant::now();
        (Quota::new(Pace::new(burst, SECOND), now), now)
    }

    /// Takes so many as soon as it may, and answers when the last was sent.
    fn spend(quota: &mut Quota, count: u32, mut now: Instant) -> Instant {
        for _ in 0..count {
            now = now.max(quota.ready_at(0));
            quota.take(now);
        }
        now
    }

    #[test]
    fn the_whole_quota_pauses_as_long_as_the_vendor_says_and_at_least_the_floor() {
        let (mut quota, now) = quota(10);
        assert_eq!(quota.refuse(after(60), now, BOUNDS, now), 60 * SECOND);
        assert_eq!(quota.ready_at(0), now + 60 * SECOND);
        assert_eq!(quota.refuse(after(0), now + 61 * SECOND, BOUNDS, now + 62 * SECOND), SECOND);
        let reset = Hint { reset: Some(30 * SECOND), ..Hint::default() };
        assert_eq!(quota.refuse(reset, now + 70 * SECOND, BOUNDS, now + 70 * SECOND), 30 * SECOND);
    }

    #[test]
    fn behind_a_pause_there_is_no_burst() {
        let (mut quota, now) = quota(10);
        quota.refuse(after(60), now, BOUNDS, now);
        let last = spend(&mut quota, 3, now);
        assert!(last >= now + 60 * SECOND + SECOND / 5, "{:?}", last - now);
    }

    #[test]
    fn refusals_without_numbers_double_the_pause_and_slow_the_pace() {
        let (mut quota, now) = quota(10);
        let first = quota.refuse(Hint::default(), now, BOUNDS, now);
        let second = quota.refuse(Hint::default(), now + first, BOUNDS, now + first);
        assert_eq!(second, first * 2);
        let start = now + first + second;
        assert!(spend(&mut quota, 20, start) - start > 4 * SECOND, "slower than the ceiling");
        let bounds = Pauses { silent: 60 * SECOND, ..BOUNDS };
        let (mut polite, now) = self::quota(10);
        assert_eq!(polite.refuse(Hint::default(), now, bounds, now), 60 * SECOND);
        assert_eq!(polite.refuse(Hint::default(), now + 61 * SECOND, bounds, now + 61 * SECOND), 120 * SECOND);
    }

    #[test]
    fn requests_that_were_on_their_way_together_are_refused_together() {
        let (mut quota, now) = quota(10);
        let first = quota.refuse(Hint::default(), now, BOUNDS, now + SECOND / 10);
        for nth in 2..8 {
            let at = now + SECOND / 10 * nth;
            assert_eq!(quota.refuse(Hint::default(), now, BOUNDS, at), first);
            quota.observe(Hint::default(), now, 0, BOUNDS, at);
        }
        assert_eq!(quota.refuse(Hint::default(), now + 9 * SECOND, BOUNDS, now + 9 * SECOND), first * 2);
    }

    #[test]
    fn a_vendor_that_gives_no_numbers_gets_its_old_pace_back() {
        let (mut quota, now) = quota(10);
        quota.refuse(Hint::default(), now, BOUNDS, now);
        for nth in 1..30 {
            quota.observe(Hint::default(), now + SECOND * nth, 0, BOUNDS, now + SECOND * nth);
        }
        assert_eq!(quota.tokens.pace(), quota.ceiling);
    }

    #[test]
    fn the_slices_of_all_nodes_are_no_more_than_the_whole() {
        let (whole, now) = (Pace::new(100, SECOND * 10), Instant::now());
        let slice = |parts| Slice { parts, all: 64 };
        let mut nodes: Vec<_> = [22, 21, 21].map(|parts| Quota::sliced(whole, slice(parts), now)).into();
        for (quota, burst) in nodes.iter().zip([34, 32, 32]) {
            assert_eq!((quota.ceiling, quota.tokens.available(now)), (Pace::new(burst, SECOND * 10), 1));
        }
        // The others are gone: it has all, but makes no requests out of nothing.
        nodes[0].set_slice(slice(64), now);
        assert_eq!((nodes[0].ceiling, nodes[0].tokens.available(now)), (whole, 1));
        assert_eq!(spend(&mut nodes[0], 101, now), now + SECOND * 10);
        nodes[1].set_slice(slice(0), now);
        assert_eq!(nodes[1].ceiling, Pace::new(1, SECOND * 10));
    }

    #[test]
    fn a_slice_follows_its_part_of_what_is_left() {
        let now = Instant::now();
        let mut quota = Quota::sliced(Pace::new(100, SECOND), Slice { parts: 16, all: 64 }, now);
        let left = |remaining| Hint { remaining: Some(remaining), reset: Some(SECOND * 10), retry_after: None };
        quota.observe(left(40), now, 0, BOUNDS, now);
        // Of the ten that are its own, one is there.
        let last = spend(&mut quota, 10, now) - now;
        assert!(last.abs_diff(SECOND * 10) < Duration::from_micros(1), "{last:?}");
        quota.refuse(after(60), now, BOUNDS, now);
        quota.set_slice(Slice { parts: 64, all: 64 }, now);
        assert_eq!(quota.ready_at(0), now + 60 * SECOND, "another slice ends no pause");
    }

    proptest! {
        #[test]
        fn what_is_left_of_a_window_is_spread_and_never_overspent(
            left in 1..500u32, window_s in 1..1_000u64, burst in 1..200u32, on_their_way in 1..8usize,
        ) {
            let start = Instant::now();
            let window = Duration::from_secs(window_s);
            let mut quota = Quota::new(Pace::new(burst, SECOND), start);
            let mut vendor = left;
            let hint = |vendor, now: Instant| {
                let reset = window.saturating_sub(now - start);
                Hint { remaining: Some(vendor), reset: Some(reset), ..Hint::default() }
            };
            quota.observe(hint(vendor, start), start, 0, BOUNDS, start);
            let (mut now, mut flying, mut sent) = (start, std::collections::VecDeque::new(), 0u32);
            loop {
                now = now.max(quota.ready_at(0));
                if now >= start + window {
                    break;
                }
                quota.take(now);
                sent += 1;
                prop_assert!(vendor > 0, "the window was overspent after {sent} of {left}");
                vendor -= 1;
                flying.push_back((now, vendor));
                if flying.len() >= on_their_way {
                    // The oldest answer comes in last: it knows least of what was spent since.
                    let (sent_at, told) = flying.pop_front().unwrap();
                    let others = u32::try_from(flying.len()).unwrap();
                    quota.observe(hint(told, now), sent_at, others, BOUNDS, now);
                }
            }
            #[allow(clippy::cast_precision_loss)]
            let could = f64::from(left).min(f64::from(burst) * window_s as f64);
            prop_assert!(on_their_way > 1 || f64::from(sent) >= could * 0.5 - 2.0, "too timid: {sent} of {could}");
        }

        #[test]
        fn the_gate_only_moves_out(waits in prop::collection::vec((0..100u64, 0..200u64), 1..20)) {
            let (mut quota, start) = quota(5);
            let (mut now, mut until) = (start, start);
            for (pass, wait) in waits {
                now += Duration::from_secs(pass);
                let paused = quota.refuse(after(wait), now, BOUNDS, now);
                prop_assert!(paused >= SECOND && paused <= BOUNDS.max);
                prop_assert!(quota.ready_at(0) >= until && quota.ready_at(0) >= now + paused);
                until = quota.ready_at(0);
            }
        }
    }
}
