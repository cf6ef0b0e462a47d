//! How a webhook's payloads are delivered, where it does not follow the server's settings.

use serde::{Deserialize, Serialize};

/// How a webhook, or each of a workspace's webhooks, is delivered to. What is not set follows the workspace, and what the
/// workspace does not set follows the server's limits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliverySettings {
    /// Retries of one batch, in milliseconds after the attempt before, as
    /// [`crate::limits::DeliverLimits::retry_schedule_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_schedule_ms: Option<Vec<u64>>,
}

impl DeliverySettings {
    /// True where nothing is set.
    pub fn is_default(&self) -> bool {
        *self == DeliverySettings::default()
    }
}
