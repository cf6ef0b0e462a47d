//! A destination as the API answers it and as every payload to it carries it.

use super::delivery_settings::DeliverySettingsView;
use super::health::{HealthState, HealthView};
use super::workspace::SecretView;
use crate::ids::{DestinationId, WorkspaceId};
use crate::store::{DeliveryState, Destination, Subscription};
use anyhook_connectors::model::Timestamp;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A destination in the API's words. Fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationView<'a> {
    id: DestinationId,
    created_at: Timestamp,
    updated_at: Timestamp,
    workspace_id: WorkspaceId,
    name: &'a str,
    hook_url: &'a str,
    subscriptions: &'a [Subscription],
    is_paused: bool,
    is_healthy: bool,
    /// How it does, with the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthView<'a>>,
    /// Its secret, where it was made or given just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    /// Payloads delivered so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<u64>,
    /// When one last was.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Timestamp>,
    /// Those that sign, newest first; not in payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Vec<SecretView>>,
    /// How it is delivered to; not in payloads.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    settings: Option<DeliverySettingsView>,
    /// What a person has to know besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

impl<'a> DestinationView<'a> {
    /// A destination that is delivered to.
    pub fn new(row: &'a Destination) -> Self {
        DestinationView {
            id: row.id,
            created_at: Timestamp::from(row.created_at),
            updated_at: Timestamp::from(row.updated_at),
            workspace_id: row.workspace_id,
            name: &row.name,
            hook_url: &row.hook_url,
            subscriptions: &row.subscriptions,
            is_paused: row.is_paused,
            is_healthy: true,
            health: None,
            secret: None,
            delivered: None,
            delivered_at: None,
            secrets: None,
            settings: None,
            notice: None,
        }
    }

    /// Adds how its deliveries stand.
    #[must_use]
    pub fn with_delivery(mut self, state: &'a DeliveryState) -> Self {
        let health = HealthView::of_delivery(state);
        self.is_healthy = health.state() != HealthState::Unhealthy;
        self.health = Some(health);
        self.delivered = Some(state.delivered);
        self.delivered_at = state.delivered_at.map(Timestamp::from);
        self.notice = state.missed.map(|missed| {
            format!(
                "{} notifications were dropped before they could be delivered; GET /unified/notification has what is left",
                missed.pages
            )
        });
        self
    }

    /// Adds how it is delivered to, and which secrets sign at `now`.
    #[must_use]
    pub fn with_settings(mut self, row: &Destination, now: DateTime<Utc>) -> Self {
        self.secrets = Some(SecretView::all(&row.signing, now));
        self.settings = Some(DeliverySettingsView::new(&row.delivery));
        self
    }

    /// Adds the secret, which is shown once.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<&'a str>) -> Self {
        self.secret = secret;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Sealed;
    use crate::store::{DeliverySettings, EventPattern, Missed, ShardId, SigningSecrets, WebhookHealth};
    use chrono::DateTime;

    fn destination() -> Destination {
        Destination {
            id: DestinationId::from_bytes([1; 12]),
            workspace_id: WorkspaceId::from_bytes([2; 12]),
            shard: ShardId(3),
            name: "ops".to_owned(),
            hook_url: "https://example.com/ops".to_owned(),
            signing: SigningSecrets::only(Sealed::default(), None),
            subscriptions: vec![Subscription {
                events: vec![EventPattern::Family("CONNECTION_"), EventPattern::All],
                connection_id: None,
                object_type: None,
                webhook_id: None,
            }],
            is_paused: false,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            revision: 1,
            delivery: DeliverySettings::default(),
        }
    }

    #[test]
    fn it_reads_as_documented() {
        let (row, state) = (destination(), DeliveryState::default());
        let shown = serde_json::to_string(&DestinationView::new(&row)).unwrap();
        assert_eq!(
            shown,
            r#"{"id":"010101010101010101010101","created_at":"1970-01-01T00:00:00Z","updated_at":"1970-01-01T00:00:00Z","workspace_id":"020202020202020202020202","name":"ops","hook_url":"https://example.com/ops","subscriptions":[{"events":["CONNECTION_*","*"]}],"is_paused":false,"is_healthy":true}"#
        );
        let shown = serde_json::to_string(&DestinationView::new(&row).with_delivery(&state)).unwrap();
        assert!(shown.ends_with(r#""is_healthy":true,"health":{"state":"healthy"},"delivered":0}"#), "{shown}");
        let health = WebhookHealth::Unhealthy { since: DateTime::UNIX_EPOCH, message: "410".to_owned() };
        let missed = Some(Missed { since: None, sequence: 0, pages: 3, lost_deletions: false });
        let state = DeliveryState { health, missed, ..state };
        let shown = serde_json::to_string(&DestinationView::new(&row).with_delivery(&state)).unwrap();
        let unhealthy =
            r#""is_healthy":false,"health":{"state":"unhealthy","since":"1970-01-01T00:00:00Z","message":"410"}"#;
        assert!(shown.contains(unhealthy) && shown.contains(r#""notice":"3 notifications were dropped"#), "{shown}");
    }
}
