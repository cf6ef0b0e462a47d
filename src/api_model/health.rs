//! How a webhook or a connection does, with the reason, as the API answers it. Not in the public API.

use crate::store::{Connection, DeliveryState, FeedHealth, FeedState, SweepHealth, Webhook, WebhookHealth};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::Timestamp;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// How something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// The vendor has not answered for it yet.
    Preparing,
    /// It works.
    Healthy,
    /// It did not work when last tried, and is tried again by itself.
    Retrying,
    /// It does not work until a person acts, or the other side mends itself.
    Unhealthy,
}

/// How something does, and why. Fields without a value are left out, never null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthView<'a> {
    state: HealthState,
    /// Since when it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// A short code, such as `401` or `stuck`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// What happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> HealthView<'a> {
    fn plain(state: HealthState) -> Self {
        HealthView { state, since: None, code: None, message: None }
    }

    fn told(state: HealthState, since: DateTime<Utc>, code: Option<&'a str>, message: Option<&'a str>) -> Self {
        HealthView { state, since: Some(Timestamp::from(since)), code, message }
    }

    /// A webhook's, from its deliveries and its feed's polls: the worst of what there is.
    pub fn of_webhook(webhook: &Webhook, delivery: &'a DeliveryState, feed: &'a FeedState) -> Self {
        use HealthState::{Healthy, Preparing, Retrying, Unhealthy};
        if let WebhookHealth::Unhealthy { since, message } = &delivery.health {
            return HealthView::told(Unhealthy, *since, None, Some(message));
        }
        match (&feed.health, &feed.sweep) {
            (FeedHealth::Unhealthy { since, code, message, .. }, _) => {
                HealthView::told(Unhealthy, *since, Some(code), Some(message))
            }
            (_, SweepHealth::Failed { since, code, message }) if webhook.event == Change::Deleted => {
                HealthView::told(Unhealthy, *since, Some(code), Some(message))
            }
            (FeedHealth::Retrying { since, code, message, .. }, _) => {
                HealthView::told(Retrying, *since, Some(code), Some(message))
            }
            _ if feed.failures > 0 || delivery.retry.is_some() => HealthView::plain(Retrying),
            _ if feed.started_at.is_none() => HealthView::plain(Preparing),
            _ => HealthView::plain(Healthy),
        }
    }

    /// A destination's, from its deliveries.
    pub fn of_delivery(delivery: &'a DeliveryState) -> Self {
        match &delivery.health {
            WebhookHealth::Unhealthy { since, message } => {
                HealthView::told(HealthState::Unhealthy, *since, None, Some(message))
            }
            WebhookHealth::Healthy if delivery.retry.is_some() => HealthView::plain(HealthState::Retrying),
            WebhookHealth::Healthy => HealthView::plain(HealthState::Healthy),
        }
    }

    /// What it comes to.
    pub fn state(&self) -> HealthState {
        self.state
    }

    /// A connection's, from what vendors made of its credentials.
    pub fn of_connection(connection: &'a Connection) -> Self {
        let code = connection.last_unhealthy_code.as_deref();
        match connection.last_unhealthy_at {
            Some(since) if connection.is_retried() => HealthView::told(HealthState::Retrying, since, code, None),
            Some(since) => HealthView::told(HealthState::Unhealthy, since, code, None),
            None if connection.last_healthy_at.is_none() => HealthView::plain(HealthState::Preparing),
            None => HealthView::plain(HealthState::Healthy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_model::webhook::tests::webhook;
    use crate::store::{Position, Retry, Stream};

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn shown(webhook: &Webhook, delivery: &DeliveryState, feed: &FeedState) -> String {
        serde_json::to_string(&HealthView::of_webhook(webhook, delivery, feed)).unwrap()
    }

    #[test]
    fn a_webhook_shows_the_worst_of_what_there_is() {
        let (webhook, good) = (webhook(), DeliveryState::default());
        let mut feed = FeedState::default();
        assert_eq!(shown(&webhook, &good, &feed), r#"{"state":"preparing"}"#);
        feed.started_at = Some(at());
        assert_eq!(shown(&webhook, &good, &feed), r#"{"state":"healthy"}"#);
        let retry = Retry {
            stream: Stream::Live,
            attempts: 1,
            first_at: at(),
            next_at: at(),
            records: 1,
            quick: 0,
            is_quick: false,
        };
        let retried = DeliveryState { retry: Some(retry), position: Position::default(), ..DeliveryState::default() };
        assert_eq!(shown(&webhook, &retried, &feed), r#"{"state":"retrying"}"#);
        feed.sweep = SweepHealth::Failed { since: at(), code: "too_many_missing".into(), message: "m".into() };
        assert_eq!(shown(&webhook, &good, &feed), r#"{"state":"healthy"}"#, "it wants no deletions");
        let deleted = Webhook { event: Change::Deleted, ..webhook.clone() };
        let swept = r#"{"state":"unhealthy","since":"2027-01-15T08:00:00Z","code":"too_many_missing","message":"m"}"#;
        assert_eq!(shown(&deleted, &good, &feed), swept);
        assert!(!deleted.is_healthy(&good, &feed) && webhook.is_healthy(&good, &feed));
        feed.health =
            FeedHealth::Unhealthy { since: at(), code: "401".into(), message: "refused".into(), is_credential: true };
        let refused = r#"{"state":"unhealthy","since":"2027-01-15T08:00:00Z","code":"401","message":"refused"}"#;
        assert_eq!(shown(&webhook, &good, &feed), refused);
        feed.health = feed.health.retried();
        assert_eq!(shown(&webhook, &good, &feed), refused.replace("unhealthy", "retrying"));
        let gone = WebhookHealth::Unhealthy { since: at(), message: "410".into() };
        let gone = DeliveryState { health: gone, ..DeliveryState::default() };
        assert!(shown(&webhook, &gone, &feed).contains(r#""message":"410""#));
    }
}
