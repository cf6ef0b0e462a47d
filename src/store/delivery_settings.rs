//! How a webhook's payloads are delivered, where it does not follow the server's settings.

use super::{PayloadVersion, SigningSecrets};
use crate::secrets::Sealed;
use serde::{Deserialize, Serialize};

/// What one rendering of a template is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplatePer {
    /// A whole batch.
    #[default]
    Batch,
    /// One object: batches are cut so that each holds one.
    Object,
}

/// Headers of a person's own. They hold tokens, so that their values are never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedHeaders {
    /// Their names, in lower case and in order.
    pub names: Vec<String>,
    /// Their values by name, as JSON, sealed for the row they belong to.
    pub values: Sealed,
}

/// How a webhook, or each of a workspace's webhooks, is delivered to. What is not set follows the workspace, and what the
/// workspace does not set follows the server's limits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliverySettings {
    /// Retries of one batch, in milliseconds after the attempt before, as
    /// [`crate::limits::DeliverLimits::retry_schedule_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_schedule_ms: Option<Vec<u64>>,
    /// The Jinja template that makes the body; the payload itself where there is none. A webhook's or a destination's
    /// own: it does not follow the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What one rendering of the template is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_per: Option<TemplatePer>,
    /// The content type of what the template makes; JSON where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Headers beside our own. A webhook's or a destination's own, as the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<SealedHeaders>,
    /// A webhook's own secrets, which sign alone; none where its workspace's do. A workspace keeps its own beside this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningSecrets>,
    /// Whether GitHub's header `X-Hub-Signature-256` signs too; it does not where nothing is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_signature: Option<bool>,
    /// The shape of a webhook's payloads: the newest when it was made, until it is moved.
    #[serde(skip_serializing_if = "PayloadVersion::is_first")]
    pub version: PayloadVersion,
}

impl DeliverySettings {
    /// True where nothing is set.
    pub fn is_default(&self) -> bool {
        *self == DeliverySettings::default()
    }
}
