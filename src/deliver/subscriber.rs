//! What a webhook's deliveries need of its row, made once per revision.

use super::batch::Want;
use super::notices;
use super::outputs::Outputs;
use super::payload::Envelope;
use super::project::Projection;
use crate::api_model::destination::DestinationView;
use crate::api_model::webhook::WebhookView;
use crate::context::Context;
use crate::ids::{DestinationId, WebhookId};
use crate::secrets::VaultError;
use crate::store::{DeliveryState, Destination, Store, StoreError, Webhook};
use crate::template::{Output, TemplateError};
use std::sync::Arc;
use thiserror::Error;
use url::Url;

/// Why nothing can be delivered to a webhook as it is.
#[derive(Debug, Error)]
pub(super) enum Undeliverable {
    #[error("hook_url is not a URL ({0}): set another one, then resume")]
    HookUrl(#[from] url::ParseError),
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}; correct it, then resume the webhook")]
    Template(#[from] TemplateError),
    #[error("its headers: {0}")]
    Vault(#[from] VaultError),
}

/// Who is delivered to, as the store has it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) webhook: Webhook,
    /// The destination that the webhook stands for.
    pub(super) destination: Option<Arc<Destination>>,
}

impl Served {
    /// The webhook of this id, or the destination that is served as it.
    pub(super) async fn read(store: &dyn Store, id: WebhookId) -> Result<Option<Self>, StoreError> {
        if let Some(webhook) = store.webhook(id).await? {
            return Ok(Some(Served { webhook, destination: None }));
        }
        let destination = store.destination(DestinationId::from_bytes(*id.as_bytes())).await?;
        Ok(destination.map(|row| Served { webhook: row.as_webhook(), destination: Some(Arc::new(row)) }))
    }

    /// The row as the API shows it, as JSON.
    fn view(&self) -> Result<Vec<u8>, serde_json::Error> {
        match &self.destination {
            Some(destination) => serde_json::to_vec(&DestinationView::new(destination)),
            // Only healthy webhooks are delivered to, which is what a default state says.
            None => serde_json::to_vec(&WebhookView::new(&self.webhook, &DeliveryState::default())),
        }
    }

    fn envelope(&self, view: &[u8]) -> Result<Envelope, serde_json::Error> {
        match &self.destination {
            Some(_) => Ok(Envelope::of_destination(view)),
            None => Envelope::new(view, self.webhook.external_xref.as_deref()),
        }
    }
}

/// A webhook, ready to be delivered to.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) webhook: Webhook,
    pub(super) destination: Option<Arc<Destination>>,
    pub(super) url: Url,
    /// `hook_url` without its query, as the audit shows it.
    pub(super) shown_url: String,
    /// Host and port: whose slots it uses.
    pub(super) host: Arc<str>,
    pub(super) want: Want,
    pub(super) envelope: Envelope,
    /// Bytes of an answer that are kept with its row.
    pub(super) response_kept_bytes: usize,
    /// What it sends in place of payloads, or beside them.
    pub(super) output: Option<Arc<Output>>,
}

impl Subscriber {
    pub(super) fn new(served: Served, outputs: &Outputs, context: &Context) -> Result<Self, Undeliverable> {
        let limits = &context.limits.deliver;
        let view = served.view()?;
        let envelope = served.envelope(&view)?;
        let Served { webhook, destination } = served;
        let url = Url::parse(&webhook.hook_url)?;
        let host =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let shown_url = webhook.hook_url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let output = outputs.of(&webhook, &view, context)?;
        let records_max = webhook.page_max_limit.unwrap_or(limits.batch_records_max).max(1);
        let is_per_object = output.as_ref().is_some_and(|output| output.is_per_object());
        let want = Want {
            event: webhook.event,
            projection: Projection::new(&webhook.fields),
            records_max: if is_per_object { 1 } else { records_max },
            bytes_max: limits.batch_bytes_max,
        };
        let response_kept_bytes = limits.response_kept_bytes;
        Ok(Subscriber {
            url,
            shown_url,
            host: host.into(),
            want,
            envelope,
            response_kept_bytes,
            output,
            webhook,
            destination,
        })
    }

    /// Notifications that are read for a batch of a range: each batch reads its own.
    pub(super) fn rows_per_batch(&self) -> usize {
        (self.want.records_max as usize).saturating_mul(2).min(notices::ROWS_PER_PAGE)
    }

    /// What its audit row is called: the object type, where there is one, and `what`.
    pub(super) fn named(&self, what: &str) -> String {
        match &self.destination {
            Some(_) => what.to_owned(),
            None => format!("{} {what}", self.webhook.object_type),
        }
    }

    /// What to cut for a batch that was attempted with this many records: the same again, unless less is wanted now.
    pub(super) fn want_again(&self, records: u32) -> Want {
        let is_per_object = self.output.as_ref().is_some_and(|output| output.is_per_object());
        let limit = if is_per_object { Some(1) } else { self.webhook.page_max_limit };
        let records_max = limit.map_or(records, |limit| limit.min(records));
        Want { records_max: records_max.max(1), bytes_max: usize::MAX, ..self.want.clone() }
    }
}
