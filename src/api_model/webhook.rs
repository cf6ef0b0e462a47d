//! A webhook as the API answers it and as every payload carries it.

use super::delivery_settings::DeliverySettingsView;
use super::health::HealthView;
use super::workspace::SecretView;
use crate::ids::{ConnectionId, WebhookId, WorkspaceId};
use crate::store::{DeliveryState, FeedState, PayloadVersion, Webhook, WebhookHealth, WebhookKind};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::{Number, ObjectType, Timestamp};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Milliseconds of a minute, the unit of `interval`.
pub const MINUTE_MS: u64 = 60_000;

/// A webhook in the API's words. Borrows what it shows; fields without a value are left out, never null.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookView<'a> {
    id: WebhookId,
    created_at: Timestamp,
    updated_at: Timestamp,
    workspace_id: WorkspaceId,
    connection_id: ConnectionId,
    integration_type: &'a str,
    environment: &'a str,
    event: Change,
    object_type: ObjectType,
    hook_url: &'a str,
    webhook_type: WebhookKind,
    /// In minutes; polled webhooks alone have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Number>,
    /// In minutes, where the interval is a range that begins at `interval`; not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_max: Option<Number>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    filters: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty", serialize_with = "comma_separated")]
    fields: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    page_max_limit: Option<u32>,
    is_paused: bool,
    is_healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
    /// When its feed is polled next; not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_check_at: Option<Timestamp>,
    /// The wait between its feed's polls as it stands, in minutes; not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_now: Option<Number>,
    /// How it does, with the reason; not in the public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthView<'a>>,
    #[serde(flatten)]
    signing: Option<SigningView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<Vec<String>>,
    /// How it is delivered to; not in payloads.
    #[serde(flatten)]
    delivery: Option<DeliverySettingsView>,
    /// What it missed and how it catches up, where it was resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

/// What the API shows besides: payloads do not carry it.
#[derive(Debug, Clone, Serialize)]
struct SigningView<'a> {
    /// The version that its payloads keep.
    version: PayloadVersion,
    /// Its own secret, in the answer to the request that set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    /// Which secrets of its own sign, newest first; left out where its workspace's do.
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Vec<SecretView>>,
}

impl<'a> WebhookView<'a> {
    /// A webhook with how its deliveries stand.
    pub fn new(webhook: &'a Webhook, delivery: &DeliveryState) -> Self {
        WebhookView {
            id: webhook.id,
            created_at: Timestamp::from(webhook.created_at),
            updated_at: Timestamp::from(webhook.updated_at),
            workspace_id: webhook.workspace_id,
            connection_id: webhook.connection_id,
            integration_type: &webhook.integration,
            environment: &webhook.environment,
            event: webhook.event,
            object_type: webhook.object_type,
            hook_url: &webhook.hook_url,
            webhook_type: webhook.kind,
            interval: (webhook.kind == WebhookKind::Virtual).then(|| minutes(webhook.interval_ms)).flatten(),
            interval_max: webhook.interval_max_ms.filter(|_| webhook.kind == WebhookKind::Virtual).and_then(minutes),
            filters: &webhook.filters,
            fields: &webhook.fields,
            page_max_limit: webhook.page_max_limit,
            is_paused: webhook.is_paused,
            is_healthy: delivery.health == WebhookHealth::Healthy,
            checked_at: None,
            next_check_at: None,
            interval_now: None,
            health: None,
            signing: None,
            runs: None,
            delivery: None,
            notice: None,
        }
    }

    /// Adds how its feed's polls stand, the next of which is due then: a webhook whose feed cannot be polled is not
    /// healthy either.
    #[must_use]
    pub fn with_feed(
        mut self,
        webhook: &Webhook,
        delivery: &'a DeliveryState,
        feed: &'a FeedState,
        due_at: Option<DateTime<Utc>>,
    ) -> Self {
        self.is_healthy = webhook.is_healthy(delivery, feed);
        self.checked_at = feed.checked_at.map(Timestamp::from);
        self.next_check_at = due_at.map(Timestamp::from);
        self.interval_now = feed.wait_ms.and_then(minutes);
        self.health = Some(HealthView::of_webhook(webhook, delivery, feed));
        self
    }

    /// Adds its version and what signs it at `now`, with the secret where it was just set.
    #[must_use]
    pub fn with_signing(mut self, webhook: &Webhook, secret: Option<&'a str>, now: DateTime<Utc>) -> Self {
        let settings = &webhook.delivery;
        self.signing = Some(SigningView {
            version: settings.version,
            secret,
            secrets: settings.signing.as_ref().map(|signing| SecretView::all(signing, now)),
        });
        self
    }

    /// Adds what a person who resumes it has to know.
    #[must_use]
    pub fn with_notice(mut self, notice: Option<String>) -> Self {
        self.notice = notice;
        self
    }

    /// Adds how it is delivered to.
    #[must_use]
    pub fn with_delivery_settings(mut self, webhook: &Webhook) -> Self {
        self.delivery = Some(DeliverySettingsView::new(&webhook.delivery));
        self
    }

    /// Adds its most recent poll runs, newest first.
    #[must_use]
    pub fn with_runs(mut self, runs: Vec<String>) -> Self {
        self.runs = Some(runs);
        self
    }
}

#[allow(clippy::cast_precision_loss)] // intervals are far below 2^53
fn minutes(interval_ms: u64) -> Option<Number> {
    Number::new(interval_ms as f64 / MINUTE_MS as f64)
}

fn comma_separated<S: Serializer>(fields: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&fields.join(","))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ids::FeedId;
    use crate::store::{DeliverySettings, FeedHealth, ShardId};
    use chrono::TimeZone;

    pub(crate) fn webhook() -> Webhook {
        let at = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
        Webhook {
            id: WebhookId::from_bytes([1; 12]),
            workspace_id: WorkspaceId::from_bytes([2; 12]),
            connection_id: ConnectionId::from_bytes([3; 12]),
            feed_id: FeedId::from_bytes([4; 12]),
            shard: ShardId(0),
            integration: "github".to_owned(),
            environment: "Production".to_owned(),
            event: Change::Updated,
            object_type: ObjectType::CrmContact,
            hook_url: "https://example.com/hook".to_owned(),
            interval_ms: 90_000,
            kind: WebhookKind::Virtual,
            filters: BTreeMap::new(),
            fields: vec!["id".to_owned(), "name".to_owned()],
            page_max_limit: None,
            is_paused: false,
            external_xref: None,
            created_at: at,
            updated_at: at,
            registered: None,
            revision: 1,
            interval_max_ms: None,
            delivery: DeliverySettings::default(),
        }
    }

    #[test]
    fn it_reads_as_the_public_api_says() {
        let shown = serde_json::to_string(&WebhookView::new(&webhook(), &DeliveryState::default())).unwrap();
        assert_eq!(
            shown,
            r#"{"id":"010101010101010101010101","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","workspace_id":"020202020202020202020202","connection_id":"030303030303030303030303","integration_type":"github","environment":"Production","event":"updated","object_type":"crm_contact","hook_url":"https://example.com/hook","webhook_type":"virtual","interval":1.5,"fields":"id,name","is_paused":false,"is_healthy":true}"#
        );
    }

    #[test]
    fn a_feed_that_cannot_be_polled_makes_it_unhealthy() {
        let at = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
        let health =
            FeedHealth::Unhealthy { since: at, code: "401".to_owned(), message: String::new(), is_credential: true };
        let feed = FeedState { health, checked_at: Some(at), ..FeedState::default() };
        let webhook = Webhook { kind: WebhookKind::Native, fields: Vec::new(), ..webhook() };
        let delivery = DeliveryState::default();
        let view = WebhookView::new(&webhook, &delivery);
        let view = view.with_feed(&webhook, &delivery, &feed, Some(at)).with_runs(Vec::new());
        let shown = serde_json::to_string(&view).unwrap();
        let times = r#""checked_at":"2026-01-02T03:04:05Z","next_check_at":"2026-01-02T03:04:05Z""#;
        assert!(shown.contains(&format!(r#""is_healthy":false,{times},"health":{{"state":"unhealthy""#)), "{shown}");
        assert!(shown.contains(r#""code":"401","message":""},"runs":[]"#), "{shown}");
        assert!(!shown.contains("interval") && !shown.contains("fields") && !shown.contains("null"), "{shown}");
    }
}
