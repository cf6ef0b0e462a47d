//! What the vendor has been asked.

use serde::Serialize;
use std::collections::BTreeMap;

/// Counts since the start or the last reset. Routes are counted by their pattern, so there are few.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests to the vendor's API, however they ended.
    pub requests: u64,
    /// Records in answers.
    pub records_served: u64,
    /// Answers with 429.
    pub rate_limited: u64,
    /// Requests by route, such as `GET /v1/contacts` or `GET /v1/contacts/{id}`.
    pub by_route: BTreeMap<String, u64>,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Pushes that were accepted.
    pub pushes_accepted: u64,
    /// Pushes that were given up after all attempts.
    pub pushes_failed: u64,
    /// Pushes dropped because too many waited.
    pub pushes_dropped: u64,
}

impl Stats {
    pub(super) fn count(&mut self, route: String, status: u16, records: usize) {
        self.requests += 1;
        self.records_served += records as u64;
        self.rate_limited += u64::from(status == 429);
        *self.by_route.entry(route).or_default() += 1;
        *self.by_status.entry(status).or_default() += 1;
    }
}
