//! A test: one payload with a sample object, signed like any, sent beside all streams.

use super::attempt::{Taken, request, row};
use super::derive::DeliveryId;
use super::desk::{Desk, DeskError, cut_at};
use super::keys::Keyring;
use super::notices;
use super::pages::{PageError, SharedPage};
use super::rendering::rendered;
use super::subscriber::{Served, Subscriber};
use super::verdict::{Verdict, judge};
use crate::log::{Found, LogPage, LogPageBuilder, PageMeta};
use crate::outbound::OutboundRequest;
use crate::store::{ApiCall, Destination, Position, StoreError, Stream, Webhook, WebhookKind};
use anyhook_connectors::model::SAMPLE_RAW;
use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const TEST: HeaderName = HeaderName::from_static("anyhook-test");
const STREAM: HeaderName = HeaderName::from_static("anyhook-stream");

/// Tells of a place in a stream, which a test has none of.
const SEQUENCE: HeaderName = HeaderName::from_static("anyhook-sequence");

impl Desk {
    /// Sends a webhook's test payload once, and answers the row that tells of it. Positions are not touched. The webhook
    /// need not be in the store; where it is not, the row is kept nowhere.
    pub async fn test(&self, webhook: &Webhook) -> Result<ApiCall, DeskError> {
        let page = self.sample_page(webhook, self.shared.context.clock.now())?;
        self.try_out(Served { webhook: webhook.clone(), destination: None }, page).await
    }

    /// Sends a destination a sample notification once, and answers the row that tells of it, which is kept nowhere.
    pub async fn test_destination(&self, destination: &Destination) -> Result<ApiCall, DeskError> {
        let page = notices::sample(destination, self.shared.context.clock.now())?;
        let served = Served { webhook: destination.as_webhook(), destination: Some(Arc::new(destination.clone())) };
        self.try_out(served, page).await
    }

    async fn try_out(&self, served: Served, page: LogPage) -> Result<ApiCall, DeskError> {
        let (shared, context) = (&self.shared, &self.shared.context);
        let limits = &context.limits.deliver;
        let at = context.clock.now();
        let mut subscriber = Subscriber::new(served, &shared.outputs, context)?;
        subscriber.envelope.mark_test();
        let page = SharedPage::alone(page);
        let batch = cut_at(shared, &subscriber, &page, Stream::Live, Position::default(), None)?;
        let keys = Keyring::default().keys(context, &subscriber).await?;
        let id = self.random_id()?;
        let nothing = || DeskError::Unfit("the template makes nothing of a sample; nothing was sent".to_owned());
        let batch = rendered(batch, &id, &subscriber)?.ok_or_else(nothing)?;
        let mut sent = request(&subscriber, &batch, &id, &keys, at)?;
        mark(&mut sent);
        sent.deadline = Duration::from_millis(limits.attempt_deadline_ms);
        sent.body_bytes_max = limits.response_bytes_max;
        let size_bytes = sent.body.iter().map(|part| part.len() as u64).sum();
        let began = Instant::now();
        let answer = context.destinations.send(sent).await;
        let error = match judge(&answer, context.clock.now()) {
            Verdict::Delivered => None,
            Verdict::Failed { error, .. } | Verdict::Gone { error } => Some(error),
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let taken = Taken { at, duration_ms, size_bytes, attempt: 1 };
        let mut call = row(&subscriber, &batch, id, &answer, error, taken);
        call.name = subscriber.named("TEST");
        self.keep_row(call.clone()).await?;
        Ok(call)
    }

    /// The row stands with the connection's, apart from the webhook's deliveries.
    async fn keep_row(&self, mut call: ApiCall) -> Result<(), DeskError> {
        if let Some(note) = &mut call.attempt {
            (note.headers, note.body) = (Vec::new(), None);
        }
        match self.shared.context.store.record_call(call).await {
            Ok(()) | Err(StoreError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sample_page(&self, webhook: &Webhook, made_at: DateTime<Utc>) -> Result<LogPage, DeskError> {
        let mut builder = LogPageBuilder::default();
        builder.push(webhook.event, webhook.object_type.sample()?.as_bytes(), Some(SAMPLE_RAW.as_bytes()));
        let found = match webhook.kind {
            WebhookKind::Virtual => Found::Virtual,
            WebhookKind::Native => Found::Native,
        };
        let encoded = builder.encode(&PageMeta { found, made_at, from: None, token: None, is_last: false })?;
        let page = LogPage::decode(&encoded.bytes, self.shared.pages.page_bytes_max());
        page.map_err(|error| PageError::from(error).into())
    }

    /// Another one each time: whoever drops what came before would drop a second test too.
    fn random_id(&self) -> Result<DeliveryId, DeskError> {
        let mut bytes = [0; 32];
        let filled = self.shared.context.random.fill(&mut bytes);
        filled.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(DeliveryId { webhook_id: format!("msg_{}", hex::encode(&bytes[..16])), nonce: hex::encode(&bytes[16..]) })
    }
}

fn mark(sent: &mut OutboundRequest) {
    sent.headers.insert(TEST, HeaderValue::from_static("true"));
    sent.headers.insert(STREAM, HeaderValue::from_static("test"));
    sent.headers.remove(SEQUENCE);
}
