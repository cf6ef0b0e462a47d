//! How a webhook, or each of a workspace's webhooks, is delivered to, as the API answers it.

use crate::store::{DeliverySettings, TemplatePer};
use crate::template::Plan;
use anyhook_connectors::model::Number;
use serde::Serialize;
use std::collections::BTreeMap;

/// Delivery settings in the API's words. What follows the workspace or the server's settings is left out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DeliverySettingsView {
    /// Retries of one batch, in seconds after the attempt before.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_schedule: Option<Vec<Number>>,
    /// The template that makes the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    /// What one rendering of it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    template_per: Option<TemplatePer>,
    /// The content type of what it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Names of headers beside our own; a mask stands for each value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, &'static str>,
    /// Whether `X-Hub-Signature-256` signs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    hub_signature: Option<bool>,
}

impl DeliverySettingsView {
    /// What is set.
    pub fn new(settings: &DeliverySettings) -> Self {
        let schedule = settings.retry_schedule_ms.as_deref();
        DeliverySettingsView {
            retry_schedule: schedule.map(|waits| waits.iter().copied().filter_map(seconds).collect()),
            template: settings.template.clone(),
            template_per: settings.template.as_ref().map(|_| settings.template_per.unwrap_or_default()),
            content_type: settings.content_type.clone(),
            headers: Plan::masked(settings).into_iter().map(|(name, mask)| (name.to_owned(), mask)).collect(),
            hub_signature: settings.hub_signature,
        }
    }
}

#[allow(clippy::cast_precision_loss)] // waits are far below 2^53
fn seconds(wait_ms: u64) -> Option<Number> {
    Number::new(wait_ms as f64 / 1_000.0)
}
