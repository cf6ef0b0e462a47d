//! What people ask of deliveries beside the engine: a payload put together again.

use super::attempt::{Batch, request};
use super::batch::payload_type;
use super::keys::{KeyError, Keyring};
use super::notices;
use super::pages::{PageError, SharedPage};
use super::rendering::rendered;
use super::shared::{Shared, store_key};
use super::subscriber::{Served, Subscriber, Undeliverable};
use crate::context::Context;
use crate::log::LogPage;
use crate::store::{ApiCall, Attempt, Position, StoreError, Stream, Webhook};
use crate::template::TemplateError;
use bytes::Bytes;
use http::header::InvalidHeaderValue;
use std::sync::Arc;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Answers what people ask of deliveries.
#[derive(Debug)]
pub struct Desk {
    pub(super) shared: Arc<Shared>,
}

/// Why something could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeskError {
    /// The store does not answer, or lacks a row.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be put together for this webhook; says why and what to do.
    #[error("{0}")]
    Unfit(String),
}

impl From<PageError> for DeskError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Store(error) => error.into(),
            PageError::Page(error) => DeskError::Unfit(error.to_string()),
        }
    }
}

impl From<KeyError> for DeskError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            other => DeskError::Unfit(other.to_string()),
        }
    }
}

macro_rules! unfit {
    ($($error:ty),*) => {$(
        impl From<$error> for DeskError {
            fn from(error: $error) -> Self {
                DeskError::Unfit(error.to_string())
            }
        }
    )*};
}
unfit!(Undeliverable, InvalidHeaderValue, TemplateError, serde_json::Error);

/// What is left of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Its body as it would be sent now.
    Body(Bytes),
    /// Its page, or some of its notifications, are no longer kept.
    Gone,
    /// The webhook was set otherwise since, so that other bytes would be sent.
    Changed,
}

impl Desk {
    /// A desk beside whatever engine runs.
    pub async fn open(context: Context) -> Result<Self, StoreError> {
        let key = store_key(&context).await?;
        Ok(Desk { shared: Shared::new(context, CancellationToken::new(), &key) })
    }

    /// The payload that an attempt's row tells of.
    pub async fn payload(&self, webhook: &Webhook, call: &ApiCall) -> Result<Payload, DeskError> {
        let Some((note, id)) = call.attempt.as_ref().zip(call.delivery.as_ref()) else { return Ok(Payload::Gone) };
        let context = &self.shared.context;
        let served = Served::read(&*context.store, webhook.id).await?.ok_or(StoreError::Missing("webhook"))?;
        let subscriber = Subscriber::new(served, &self.shared.outputs, context)?;
        let records = Some(u32::try_from(call.records).unwrap_or(u32::MAX));
        let Some(batch) = batch_at(&self.shared, &subscriber, note, records).await? else {
            return Ok(Payload::Gone);
        };
        let delivery = batch.id(&self.shared.derive, &subscriber);
        if delivery.webhook_id != *id {
            return match &subscriber.destination {
                Some(destination) if !notices::is_whole(&*context.store, destination, note.span).await? => {
                    Ok(Payload::Gone)
                }
                _ => Ok(Payload::Changed),
            };
        }
        let Some(batch) = rendered(batch, &delivery, &subscriber)? else { return Ok(Payload::Changed) };
        // Of its own: nobody tells a desk of secrets that were replaced.
        let keys = Keyring::default().keys(context, &subscriber).await?;
        let sent = request(&subscriber, &batch, &delivery, &keys, context.clock.now())?;
        Ok(Payload::Body(sent.body.concat().into()))
    }
}

/// The batch that an attempt was of, with as many records as it had where that is known; none if its page is not there.
async fn batch_at(
    shared: &Shared,
    subscriber: &Subscriber,
    note: &Attempt,
    records: Option<u32>,
) -> Result<Option<Batch>, DeskError> {
    let store = &shared.context.store;
    let (stream, position) = (note.stream(), note.span.from);
    if let Some(destination) = &subscriber.destination {
        let page = notices::page_of(&**store, destination, note.span, notices::ROWS_PER_PAGE).await?;
        return cut_at(shared, subscriber, &page, stream, position, records).map(Some);
    }
    let stored = match stream {
        Stream::Live => store.kept_page(subscriber.webhook.feed_id, position.sequence).await?,
        Stream::Listing(job) => store.spool_page(job, position.sequence).await?,
    };
    let Some(stored) = stored else { return Ok(None) };
    let page = LogPage::decode(&stored, shared.pages.page_bytes_max()).map_err(PageError::from)?;
    let page = SharedPage::alone(page);
    cut_at(shared, subscriber, &page, stream, position, records).map(Some)
}

/// The batch at a place of a page.
pub(super) fn cut_at(
    shared: &Shared,
    subscriber: &Subscriber,
    page: &SharedPage,
    stream: Stream,
    position: Position,
    records: Option<u32>,
) -> Result<Batch, DeskError> {
    let again = records.map(|records| subscriber.want_again(records));
    let want = again.as_ref().unwrap_or(&subscriber.want);
    let prepared = page.prepare(position.offset, want, &shared.derive)?;
    let kind = payload_type(page.page.meta.found, page.page.meta.is_last, prepared.cut.is_page_end);
    let next = page.behind(position, &prepared.cut);
    Ok(Batch { stream, position, next, kind, prepared, found_at: None, parts: None })
}
