//! How a simulated vendor behaves: given once, before it starts.

use super::Object;
use serde::Deserialize;

/// The granule of the vendor's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// Milliseconds.
    #[default]
    Millisecond,
    /// Whole seconds.
    Second,
    /// Whole minutes.
    Minute,
}

impl Granularity {
    /// The granule in milliseconds.
    pub fn ms(self) -> i64 {
        match self {
            Granularity::Millisecond => 1,
            Granularity::Second => 1_000,
            Granularity::Minute => 60_000,
        }
    }
}

/// What a deletion leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletions {
    /// The record stays, with `deleted` true and a new `updated_at`.
    #[default]
    Flag,
    /// Nothing: the record is gone from listings, and 404 by its id.
    Silent,
}

/// What a simulated vendor is made of. The same settings and start time give the same vendor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorSettings {
    /// What all of its chance comes from.
    pub seed: u64,
    /// Objects that have records at the start; all may get some later.
    pub objects: Vec<Object>,
    /// Records of each of them at the start; at most [`SimulatorSettings::records_max`].
    pub records: u32,
    /// The time before the start over which those records were last changed, in hours.
    pub past_hours: u32,
    /// Records an object may have, deleted ones that stay visible included. Creating more is refused.
    pub records_max: u32,
    /// Versions the history remembers over all objects; the oldest go first.
    pub history_max: u32,
    /// Changes of its own per second over all objects; 0 for none. At most 10,000.
    pub changes_per_second: f64,
    /// The granule of its times.
    pub granularity: Granularity,
    /// What a deletion leaves behind.
    pub deletions: Deletions,
    /// Bearer tokens it accepts, each an account with a budget of its own.
    pub tokens: Vec<String>,
    /// The OAuth client it knows.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: String,
    /// The first refresh token. Each use gives a new one and ends the old one.
    pub refresh_token: String,
    /// How long an OAuth access token lives, in seconds.
    pub access_token_lifetime_s: u32,
    /// Requests an account may make at once, refilled evenly over [`SimulatorSettings::rate_limit_per_s`]; 0 for no
    /// limit.
    pub rate_limit: u32,
    /// The period of the limit in seconds.
    pub rate_limit_per_s: u32,
    /// Records a page may hold at most.
    pub page_size_max: u32,
    /// True to compress answers for clients that accept gzip.
    pub gzip: bool,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        SimulatorSettings {
            seed: 1,
            objects: Object::ALL.to_vec(),
            records: 1_000,
            past_hours: 24 * 30,
            records_max: 1_000_000,
            history_max: 250_000,
            changes_per_second: 0.0,
            granularity: Granularity::default(),
            deletions: Deletions::default(),
            tokens: vec!["sandbox".to_owned()],
            client_id: "sandbox-client".to_owned(),
            client_secret: "sandbox-client-secret".to_owned(),
            refresh_token: "sandbox-refresh".to_owned(),
            access_token_lifetime_s: 3_600,
            rate_limit: 600,
            rate_limit_per_s: 60,
            page_size_max: 100,
            gzip: true,
        }
    }
}
