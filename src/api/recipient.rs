//! Who is delivered to: a webhook, or a destination, which is served as one. What can be done about deliveries is the
//! same.

use super::auth::Caller;
use super::error::ApiError;
use super::find;
use super::state::Api;
use crate::ids::DestinationId;
use crate::store::{Webhook, WebhookHealth};

/// A webhook, or the one that a destination is served as.
#[derive(Debug)]
pub(crate) struct Recipient {
    pub(crate) webhook: Webhook,
    destination: Option<DestinationId>,
}

impl Recipient {
    /// The caller's webhook of this id.
    pub(crate) async fn webhook(api: &Api, caller: Caller, id: &str) -> Result<Self, ApiError> {
        Ok(Recipient { webhook: find::webhook(api, caller, id).await?, destination: None })
    }

    /// The caller's destination of this id.
    pub(crate) async fn destination(api: &Api, caller: Caller, id: &str) -> Result<Self, ApiError> {
        let destination = find::destination(api, caller, id).await?;
        Ok(Recipient { webhook: destination.as_webhook(), destination: Some(destination.id) })
    }

    pub(crate) fn destination_id(&self) -> Option<DestinationId> {
        self.destination
    }

    /// What it is called.
    pub(crate) fn noun(&self) -> &'static str {
        if self.destination.is_some() { "destination" } else { "webhook" }
    }

    /// Its path in the API.
    pub(crate) fn path(&self) -> String {
        // A destination is served under its own id.
        format!("/unified/{}/{}", self.noun(), self.webhook.id)
    }

    /// What to do where payloads are kept no longer.
    pub(crate) fn advice(&self) -> String {
        match self.destination {
            Some(_) => "GET /unified/notification has what is left".to_owned(),
            None => format!("tell their records again by POST {}/backfill", self.path()),
        }
    }

    /// Why nothing is sent to it for now.
    pub(crate) async fn waits_for(&self, api: &Api, caller: Caller) -> Result<Option<&'static str>, ApiError> {
        let is_healthy = self.health(api).await? == WebhookHealth::Healthy;
        if self.destination.is_some() {
            return Ok(match (self.webhook.is_paused, is_healthy) {
                (true, _) => Some("the destination is paused: the replay begins once is_paused is false"),
                (_, false) => Some("the destination is not healthy: the replay begins once it is resumed"),
                _ => None,
            });
        }
        let is_paused = self.webhook.is_paused
            || find::connection(api, caller, &self.webhook.connection_id.to_string()).await?.is_paused;
        Ok(match (is_paused, is_healthy) {
            (true, _) => Some("the webhook or its connection is paused: the replay begins once is_paused is false"),
            (_, false) => Some("the webhook is not healthy: the replay begins once it is resumed"),
            _ => None,
        })
    }

    /// Whether it is delivered to.
    pub(crate) async fn health(&self, api: &Api) -> Result<WebhookHealth, ApiError> {
        Ok(api.context.store.delivery(self.webhook.id).await?.unwrap_or_default().health)
    }
}
