//! How a webhook, or each of a workspace's webhooks, is delivered to, as the API answers it.

use crate::store::DeliverySettings;
use anyhook_connectors::model::Number;
use serde::Serialize;

/// Delivery settings in the API's words. What follows the workspace or the server's settings is left out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DeliverySettingsView {
    /// Retries of one batch, in seconds after the attempt before.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_schedule: Option<Vec<Number>>,
}

impl DeliverySettingsView {
    /// What is set.
    pub fn new(settings: &DeliverySettings) -> Self {
        let schedule = settings.retry_schedule_ms.as_deref();
        DeliverySettingsView {
            retry_schedule: schedule.map(|waits| waits.iter().copied().filter_map(seconds).collect()),
        }
    }
}

#[allow(clippy::cast_precision_loss)] // waits are far below 2^53
fn seconds(wait_ms: u64) -> Option<Number> {
    Number::new(wait_ms as f64 / 1_000.0)
}
