//! Which numbers hold for a vendor: what was set, else what its manifest documents.

use super::pace::Pace;
use crate::limits::PollLimits;
use anyhook_connectors::contract::Manifest;
use std::time::Duration;

/// The paces that a vendor is asked at, at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// With one credential.
    pub bucket: Pace,
    /// With all of them together, where that is bounded.
    pub app: Option<Pace>,
}

impl Plan {
    /// What was set for the integration counts as it is; of what the manifest documents, `poll.budget_percent`.
    pub fn of(manifest: &Manifest, limits: &PollLimits) -> Self {
        let (documented, percent) = (&manifest.rate_limit, limits.budget_percent);
        let set = limits.budgets.get(manifest.integration).cloned().unwrap_or_default();
        let given = |requests: u32, per_ms: u64| Pace::new(requests, Duration::from_millis(per_ms));
        let bucket = if set.requests.is_some() || set.per_ms.is_some() {
            given(set.requests.unwrap_or(documented.requests), set.per_ms.unwrap_or(documented.per_ms))
        } else {
            Pace::of(documented, percent)
        };
        let app = match (documented.app, set.app_requests, set.app_per_ms) {
            (Some(app), None, None) => Some(Pace::share(app.requests, app.per_ms, percent)),
            (Some(app), requests, per_ms) => {
                Some(given(requests.unwrap_or(app.requests), per_ms.unwrap_or(app.per_ms)))
            }
            (None, Some(requests), Some(per_ms)) => Some(given(requests, per_ms)),
            (None, _, _) => None,
        };
        Plan { bucket, app }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BudgetLimits;
    use anyhook_connectors::contract::{AppLimit, RateLimit};

    fn plan(app: Option<AppLimit>, set: BudgetLimits) -> Plan {
        let sandbox = anyhook_connectors::find("sandbox").unwrap().manifest();
        let rate_limit = RateLimit { requests: 100, per_ms: 10_000, app, ..RateLimit::PLAIN };
        let mut limits = PollLimits { budget_percent: 50, ..PollLimits::default() };
        limits.budgets.insert("sandbox".to_owned(), set);
        Plan::of(&Manifest { rate_limit, ..*sandbox }, &limits)
    }

    #[test]
    fn what_was_set_counts_as_it_is_and_else_a_share_of_what_is_documented() {
        let seconds = Duration::from_secs;
        let app =
            AppLimit { requests: 1_000, per_ms: 60_000, remaining_header: None, reset_header: None, refusal: None };
        let none = BudgetLimits::default();
        assert_eq!(plan(None, none.clone()), Plan { bucket: Pace::new(50, seconds(10)), app: None });
        assert_eq!(plan(Some(app), none.clone()).app, Some(Pace::new(500, seconds(60))));
        let set = BudgetLimits { requests: Some(7), app_requests: Some(9), app_per_ms: Some(1_000), ..none.clone() };
        let planned = Plan { bucket: Pace::new(7, seconds(10)), app: Some(Pace::new(9, seconds(1))) };
        assert_eq!(plan(None, set.clone()), planned);
        assert_eq!(plan(Some(app), set), planned);
        assert_eq!(
            plan(Some(app), BudgetLimits { app_requests: Some(9), ..none }).app,
            Some(Pace::new(9, seconds(60)))
        );
    }
}
