//! What must be so of the requests that a vendor got.

use crate::life::{Failure, Life};
use crate::support::vendor::Call;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// An answer's word holds once it was read; its end is told in whole seconds.
const SLACK: Duration = Duration::from_millis(1_100);
/// How long it takes at most until a pause is kept, so that other engines know of it.
const KEPT_WITHIN: Duration = Duration::from_millis(200);
/// How old what a node knows of pauses may be.
const SEEN_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take until a node follows the store's clock again.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(60);
/// How long a run that was under way goes on when its connection is paused.
const RUN_MAX: Duration = Duration::from_secs(900);

impl Life {
    pub fn check_calls(&self) -> Result<(), Failure> {
        let calls = self.world.calls.lock().unwrap().clone();
        self.check_pauses(&calls)?;
        self.check_budget(&calls)?;
        self.check_rests(&calls)
    }

    /// Once the vendor has asked for a pause nothing is asked until it is over, also by an engine that starts then.
    fn check_pauses(&self, calls: &[Call]) -> Result<(), Failure> {
        for told in calls {
            let Some((at, wait)) = told.answered_at.zip(told.pause) else { continue };
            let (from, until) = (at + Duration::from_millis(5), (at + wait).checked_sub(SLACK).unwrap_or(at));
            let within =
                calls.iter().filter(|call| call.host == told.host && call.sent_at > from && call.sent_at < until);
            let broken = within.into_iter().find(|call| call.engine == told.engine || self.must_know(call, told, at));
            self.ensure(broken.is_none(), "a pause that the vendor asks for is kept", || {
                format!("{told:?}: {broken:?}")
            })?;
        }
        Ok(())
    }

    /// True if the engine that made this call started, or asked again, when a pause told at `at` was kept, by a clock that
    /// shows the same.
    fn must_know(&self, call: &Call, told: &Call, at: Instant) -> bool {
        let ((started_at, _), (_, ended)) = (self.world.disk.engine(call.engine), self.world.disk.engine(told.engine));
        let is_fleet = self.ways.is_fleet();
        let looks = started_at > at + KEPT_WITHIN || is_fleet && call.sent_at > at + KEPT_WITHIN + SEEN_WITHIN;
        let is_kept = looks && ended.is_none_or(|ended| ended > at + KEPT_WITHIN);
        let since = if is_fleet { at.checked_sub(FOLLOWED_WITHIN).unwrap_or(at) } else { at };
        let is_clock_same = !self.jumps.iter().any(|jump| *jump > since && *jump <= call.sent_at);
        is_kept && is_clock_same && self.away.covering(at + KEPT_WITHIN, Duration::ZERO).is_none()
    }

    /// No engine asks more often than its share of the documented limit.
    fn check_budget(&self, calls: &[Call]) -> Result<(), Failure> {
        let burst = 600.0 * f64::from(self.ways.budget_percent) / 100.0;
        let per_second = burst / 60.0;
        let mut buckets: HashMap<(usize, &str), (f64, Instant)> = HashMap::new();
        for call in calls {
            let (left, at) = buckets.entry((call.engine, &call.host)).or_insert((burst, call.sent_at));
            let refilled = *left + call.sent_at.saturating_duration_since(*at).as_secs_f64() * per_second;
            (*left, *at) = (refilled.min(burst) - 1.0, call.sent_at);
            self.ensure(*left > -0.5, "no budget is overspent", || format!("{call:?}"))?;
        }
        Ok(())
    }

    /// A paused connection is not asked for anything, but for a run that was under way.
    fn check_rests(&self, calls: &[Call]) -> Result<(), Failure> {
        for call in calls {
            let Some((from, _)) = self.rests.covering(call.sent_at, Duration::from_millis(50)) else { continue };
            let (started_at, _) = self.world.disk.engine(call.engine);
            let is_under_way = started_at < from && call.sent_at < from + RUN_MAX;
            self.ensure(is_under_way, "a paused connection is left alone", || format!("{call:?}, paused at {from:?}"))?;
        }
        Ok(())
    }
}
