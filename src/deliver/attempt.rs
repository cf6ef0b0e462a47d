//! One attempt: the request of a batch, and the rows that tell what came of it.

use super::answer;
use super::derive::{DeliveryId, DeriveKey, sequence_number};
use super::keys::Keys;
use super::pages::Prepared;
use super::payload::{HEAD, PayloadType};
use super::subscriber::Subscriber;
use crate::outbound::{OutboundError, OutboundRequest, OutboundResponse};
use crate::store::{ApiCall, Attempt, CallKind, Missed, PayloadVersion, Position, Span, Stream};
use crate::template::Parts;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use std::sync::Arc;
use std::time::Duration;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const VERSION: HeaderName = HeaderName::from_static(PayloadVersion::HEADER);
const SEQUENCE: HeaderName = HeaderName::from_static("anyhook-sequence");
const DESTINATION_KEY: HeaderName = HeaderName::from_static("anyhook-destination-key");
const STREAM: HeaderName = HeaderName::from_static("anyhook-stream");

/// A batch at its place in a webhook's stream.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) stream: Stream,
    pub(super) position: Position,
    /// The place once it is delivered.
    pub(super) next: Position,
    pub(super) kind: PayloadType,
    pub(super) prepared: Arc<Prepared>,
    /// When its page was logged; none for history.
    pub(super) found_at: Option<DateTime<Utc>>,
    /// What is sent in place of the payload, or beside it.
    pub(super) parts: Option<Parts>,
}

impl Batch {
    /// What its row keeps of it.
    pub(super) fn note(&self) -> Attempt {
        Attempt::of(self.stream, Span { from: self.position, to: self.next })
    }

    /// How long it was on its way once an attempt has ended. History was never on its way.
    fn lag_ms(&self, taken: Taken) -> Option<u64> {
        let began = (taken.at - self.found_at?).num_milliseconds();
        Some(u64::try_from(began).unwrap_or_default().saturating_add(taken.duration_ms))
    }

    pub(super) fn id(&self, derive: &DeriveKey, subscriber: &Subscriber) -> DeliveryId {
        derive.id(subscriber.webhook.id, self.stream, self.position, self.kind, &self.prepared.digest)
    }
}

/// The signed request of a batch.
pub(super) fn request(
    subscriber: &Subscriber,
    batch: &Batch,
    id: &DeliveryId,
    keys: &Arc<Keys>,
    now: DateTime<Utc>,
) -> Result<OutboundRequest, InvalidHeaderValue> {
    let timestamp = now.timestamp().to_string();
    let sign = |body: &[&[u8]]| keys.signing.standard(&id.webhook_id, &timestamp, body);
    let parts = batch.parts.as_ref();
    let (body, content_type, signature) = match parts.and_then(|parts| parts.body.clone()) {
        // `sig` and `sig256` have no place in a body that is not ours.
        Some((body, content_type)) => (vec![body.clone()], content_type, sign(&[&body])),
        None => {
            let (sig, sig256) = batch.prepared.signed(keys).with_nonce(&id.nonce);
            let tail = subscriber.envelope.tail(id, (&sig, &sig256), batch.kind);
            let objects = batch.prepared.cut.objects.clone();
            let signature = sign(&[HEAD, &objects, &tail]);
            (vec![Bytes::from_static(HEAD), objects, tail], HeaderValue::from_static("application/json"), signature)
        }
    };
    let mut headers = HeaderMap::with_capacity(10);
    headers.extend(parts.map(|parts| parts.headers.clone()).unwrap_or_default());
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(WEBHOOK_ID, HeaderValue::try_from(&id.webhook_id)?);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::try_from(timestamp)?);
    headers.insert(WEBHOOK_SIGNATURE, HeaderValue::try_from(signature)?);
    if subscriber.webhook.delivery.hub_signature.unwrap_or(keys.hub_signature) {
        let parts: Vec<&[u8]> = body.iter().map(|part| &part[..]).collect();
        headers.insert(HUB_SIGNATURE, HeaderValue::try_from(keys.signing.hub(&parts))?);
    }
    headers.insert(VERSION, HeaderValue::from_static(subscriber.webhook.delivery.version.as_str()));
    headers.insert(SEQUENCE, HeaderValue::from(sequence_number(batch.position)));
    headers.insert(STREAM, stream_name(batch.stream)?);
    if let Some(mark) = &keys.mark {
        headers.insert(DESTINATION_KEY, mark.clone());
    }
    Ok(OutboundRequest {
        method: Method::POST,
        url: subscriber.url.clone(),
        headers,
        body,
        deadline: Duration::ZERO,
        body_bytes_max: 0,
    })
}

fn stream_name(stream: Stream) -> Result<HeaderValue, InvalidHeaderValue> {
    match stream {
        Stream::Live => Ok(HeaderValue::from_static("live")),
        Stream::Listing(job) => HeaderValue::try_from(format!("listing-{job}")),
    }
}

/// What an attempt took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) at: DateTime<Utc>,
    pub(super) duration_ms: u64,
    pub(super) size_bytes: u64,
    /// The number of this attempt, from one.
    pub(super) attempt: u32,
}

/// The audit row of an attempt.
pub(super) fn row(
    subscriber: &Subscriber,
    batch: &Batch,
    id: DeliveryId,
    answer: &Result<OutboundResponse, OutboundError>,
    error: Option<String>,
    taken: Taken,
) -> ApiCall {
    let mut note = batch.note();
    note.lag_ms = batch.lag_ms(taken);
    if let Ok(response) = answer {
        note.headers = answer::headers(&response.headers);
        note.body = answer::body(response, subscriber.response_kept_bytes);
    }
    ApiCall {
        name: subscriber.named(batch.kind.as_str()),
        status: answer.as_ref().map_or(0, |response| response.status),
        error,
        at: taken.at,
        duration_ms: taken.duration_ms,
        size_bytes: taken.size_bytes,
        records: u64::from(batch.prepared.cut.records),
        requests: u64::from(taken.attempt),
        delivery: Some(id.webhook_id),
        attempt: Some(Box::new(note)),
        ..blank_row(subscriber)
    }
}

/// The row that tells of pages which were trimmed before a webhook read them, and whether catching up is exact.
pub(super) fn missed_row(
    subscriber: &Subscriber,
    missed: &Missed,
    inexact: Option<&str>,
    at: DateTime<Utc>,
) -> ApiCall {
    let pages = missed.pages;
    let since = missed.since.map(|since| format!(", what changed since {}", since.to_rfc3339())).unwrap_or_default();
    let hint = match inexact {
        Some(why) => format!("; {why}; POST /unified/webhook/{}/backfill tells all again", subscriber.webhook.id),
        None => String::new(),
    };
    let error = format!("{pages} log pages were dropped while the webhook rested; it catches up{since}{hint}");
    ApiCall {
        name: format!("{} missed", subscriber.webhook.object_type),
        error: Some(error),
        at,
        ..blank_row(subscriber)
    }
}

pub(super) fn blank_row(subscriber: &Subscriber) -> ApiCall {
    let webhook = &subscriber.webhook;
    ApiCall {
        id: String::new(),
        workspace_id: webhook.workspace_id,
        connection_id: webhook.connection_id,
        feed_id: webhook.feed_id,
        webhook_id: Some(webhook.id),
        integration: webhook.integration.clone(),
        environment: webhook.environment.clone(),
        external_xref: webhook.external_xref.clone(),
        kind: CallKind::Webhook,
        method: "POST".to_owned(),
        name: String::new(),
        path: subscriber.shown_url.clone(),
        status: 0,
        error: None,
        at: DateTime::UNIX_EPOCH,
        duration_ms: 0,
        size_bytes: 0,
        records: 0,
        requests: 0,
        count: 0,
        delivery: None,
        next: None,
        attempt: None,
        destination_id: subscriber.destination.as_ref().map(|destination| destination.id),
        changes: None,
    }
}
