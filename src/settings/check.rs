//! Settings that contradict each other.

use super::error::invalid;
use super::{Settings, SettingsError};
use crate::limits::BudgetLimits;
use crate::store::WrongUrl;
use std::collections::BTreeMap;

/// The least and the greatest of a pair, by path and value; the first may not be over the second.
struct Pair(&'static str, u64, &'static str, u64);

/// Refuses what cannot hold together.
pub(super) fn check(settings: &Settings) -> Result<(), SettingsError> {
    let limits = &settings.limits;
    let (poll, deliver, api) = (&limits.poll, &limits.deliver, &limits.api);
    // Of a lease that is renewed every third of its life, two thirds are always left.
    if deliver.attempt_deadline_ms >= limits.store.lease_ttl_ms / 3 * 2 {
        return Err(SettingsError::Contradiction(format!(
            "deliver.attempt_deadline_ms ({}) must be below two thirds of store.lease_ttl_ms ({}): an attempt starts only if it ends inside the lease",
            deliver.attempt_deadline_ms, limits.store.lease_ttl_ms
        )));
    }
    match settings.postgres() {
        Some(Err(error @ WrongUrl::Schema)) => return Err(invalid("store.schema", error.to_string())),
        Some(Err(error)) => return Err(invalid("ANYHOOK_STORE", error.to_string())),
        Some(Ok(_)) | None => {}
    }
    // 0 is no limit of its own.
    let first_byte = match deliver.first_byte_timeout_ms {
        0 => ("deliver.attempt_deadline_ms", deliver.attempt_deadline_ms),
        own => ("deliver.first_byte_timeout_ms", own),
    };
    let pairs = [
        Pair("api.interval_floor_ms", api.interval_floor_ms, "api.interval_default_ms", api.interval_default_ms),
        Pair("api.interval_default_ms", api.interval_default_ms, "api.interval_max_ms", api.interval_max_ms),
        Pair("poll.retry_base_ms", poll.retry_base_ms, "poll.retry_wait_max_ms", poll.retry_wait_max_ms),
        Pair("poll.pause_floor_ms", poll.pause_floor_ms, "poll.pause_max_ms", poll.pause_max_ms),
        Pair(
            "poll.bucket_requests_max",
            poll.bucket_requests_max as u64,
            "poll.host_requests_max",
            poll.host_requests_max as u64,
        ),
        Pair("poll.log_page_bytes_max", poll.log_page_bytes_max as u64, "poll.log_bytes_max", poll.log_bytes_max),
        Pair("poll.connect_timeout_ms", poll.connect_timeout_ms, "poll.request_deadline_ms", poll.request_deadline_ms),
        Pair("deliver.connect_timeout_ms", deliver.connect_timeout_ms, first_byte.0, first_byte.1),
        Pair(first_byte.0, first_byte.1, "deliver.attempt_deadline_ms", deliver.attempt_deadline_ms),
        Pair("api.retry_wait_floor_ms", api.retry_wait_floor_ms, "api.retry_wait_max_ms", api.retry_wait_max_ms),
        Pair("deliver.host_slots_max", deliver.host_slots_max as u64, "deliver.slots_max", deliver.slots_max as u64),
    ];
    for Pair(low, low_value, high, high_value) in pairs {
        if low_value > high_value {
            let message = format!("{low} ({low_value}) must not be over {high} ({high_value})");
            return Err(SettingsError::Contradiction(message));
        }
    }
    let percents = [
        ("poll.jitter_percent", poll.jitter_percent),
        ("poll.bad_records_percent_max", u64::from(poll.bad_records_percent_max)),
        ("poll.backfill_floor_percent", u64::from(poll.backfill_floor_percent)),
    ];
    for (name, percent) in percents {
        if percent > 100 {
            return Err(SettingsError::Contradiction(format!("{name} ({percent}) must not be over 100")));
        }
    }
    budgets(&poll.budgets)
}

/// An app's budget needs both its numbers where the integration documents none.
fn budgets(set: &BTreeMap<String, BudgetLimits>) -> Result<(), SettingsError> {
    for (integration, budget) in set {
        let is_documented = anyhook_connectors::find(integration)
            .is_some_and(|connector| connector.manifest().rate_limit.app.is_some());
        if budget.app_requests.is_some() != budget.app_per_ms.is_some() && !is_documented {
            return Err(SettingsError::Contradiction(format!(
                "poll.budgets.{integration} needs both app_requests and app_per_ms, or none of them"
            )));
        }
    }
    Ok(())
}
