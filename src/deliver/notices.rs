//! Notifications as a destination reads them: pages made on the fly, of what it listens to, in the order of their
//! sequences. A record's place is its sequence, so that a position says the same whatever page a batch was cut from.

use super::desk::DeskError;
use super::pages::SharedPage;
use super::pump::Pump;
use super::shared::Halt;
use crate::api_model::notification::NotificationView;
use crate::ids::{ConnectionId, FeedId, WebhookId};
use crate::log::{Found, LogPage, LogPageBuilder, PageMeta};
use crate::store::{
    ChangeCounts, Destination, Notification, NotificationDetails, NotificationEvent, PlacedNotification, Span, Store,
    StoreError,
};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Notifications read at a time.
pub(super) const ROWS_PER_PAGE: usize = 200;

impl Pump {
    /// The next page of notifications; none if there is none yet. It holds those that are wanted, and where there are
    /// such, the position moves to the first of them: a batch is called the same wherever the reading began.
    pub(super) async fn notices(&mut self, destination: &Destination) -> Result<Option<Arc<SharedPage>>, Halt> {
        if self.is_stale {
            return Ok(None);
        }
        let from = self.live.position.sequence;
        let store = &self.shared.context.store;
        let rows = store.notifications_from(destination.workspace_id, from, ROWS_PER_PAGE).await?;
        let page = page(destination, &rows)
            .map_err(|error| Halt::Later(format!("notification {from} cannot be written: {error}")))?;
        if let Some(first) = page.as_ref().and_then(SharedPage::first_place) {
            self.live.position.sequence = first;
        }
        Ok(page.map(Arc::new))
    }
}

/// A page of what is wanted of these rows; none where there are no rows.
pub(super) fn page(
    destination: &Destination,
    rows: &[PlacedNotification],
) -> Result<Option<SharedPage>, serde_json::Error> {
    let Some(last) = rows.last() else { return Ok(None) };
    let (page, places) = write(destination, rows)?;
    Ok(Some(SharedPage::of_places(page, places, last.sequence + 1)))
}

/// What is wanted of these rows, and where each of that stands.
fn write(destination: &Destination, rows: &[PlacedNotification]) -> Result<(LogPage, Vec<u64>), serde_json::Error> {
    let mut builder = LogPageBuilder::default();
    let mut places = Vec::new();
    for row in rows.iter().filter(|row| destination.wants(&row.notification)) {
        let object = serde_json::to_vec(&NotificationView::new(&row.notification, None))?;
        builder.push(Change::Updated, &object, None);
        places.push(row.sequence);
    }
    Ok((builder.into_page(meta()), places))
}

/// What a destination listens to of a span, from its beginning on, made of at most so many rows; the page ends where
/// the span does, if these were all.
pub(super) async fn page_of(
    store: &dyn Store,
    destination: &Destination,
    span: Span,
    rows_max: usize,
) -> Result<SharedPage, DeskError> {
    let end = span.to.sequence;
    let mut rows = store.notifications_from(destination.workspace_id, span.from.sequence, rows_max).await?;
    let behind = rows.last().filter(|_| rows.len() == rows_max).map(|last| last.sequence + 1);
    rows.retain(|row| row.sequence < end);
    let (log_page, places) = write(destination, &rows)?;
    Ok(SharedPage::of_places(log_page, places, behind.map_or(end, |behind| behind.min(end))))
}

/// True if all that stood in a span, wanted or not, is there.
pub(super) async fn is_whole(store: &dyn Store, destination: &Destination, span: Span) -> Result<bool, StoreError> {
    let (from, end) = (span.from.sequence, span.to.sequence);
    let rows = store.notifications_from(destination.workspace_id, from, ROWS_PER_PAGE).await?;
    let there = rows.iter().filter(|row| row.sequence < end).count() as u64;
    Ok(there == end.saturating_sub(from))
}

/// The notification from which on all that a destination listens to is kept; none where nothing of it was dropped.
/// What was dropped may be nothing that it listens to, since only ended polls are told from all others.
pub(super) async fn kept_from(
    store: &dyn Store,
    destination: &Destination,
) -> Result<Option<PlacedNotification>, StoreError> {
    let mut kept: Option<PlacedNotification> = None;
    for of_polls in [false, true] {
        let is_of_these = |event: &&NotificationEvent| (**event == NotificationEvent::SyncCompleted) == of_polls;
        let mut events = NotificationEvent::ALL.iter().filter(is_of_these);
        if !events.any(|event| destination.subscriptions.iter().any(|wanted| wanted.has(*event))) {
            continue;
        }
        let left = store.oldest_left(destination.workspace_id, of_polls).await?;
        kept = kept.into_iter().chain(left).max_by_key(|left| left.sequence);
    }
    Ok(kept)
}

/// The sequence of the first notification since a time that stands before `end`; `end` where there is none.
pub(super) async fn first_since(
    store: &dyn Store,
    destination: &Destination,
    since: DateTime<Utc>,
    end: u64,
) -> Result<u64, StoreError> {
    let mut from = 0;
    while from < end {
        let rows = store.notifications_from(destination.workspace_id, from, ROWS_PER_PAGE).await?;
        if let Some(first) = rows.iter().find(|row| row.notification.at >= since) {
            return Ok(first.sequence.min(end));
        }
        let Some(last) = rows.last() else { break };
        from = last.sequence + 1;
    }
    Ok(end)
}

fn meta() -> PageMeta {
    PageMeta { found: Found::Told, made_at: DateTime::UNIX_EPOCH, from: None, token: None, is_last: false }
}

/// A page with one notification of something that never happened.
pub(super) fn sample(destination: &Destination, at: DateTime<Utc>) -> Result<LogPage, serde_json::Error> {
    let mut builder = LogPageBuilder::default();
    builder.push(Change::Updated, &sample_object(destination, at)?, None);
    Ok(builder.into_page(meta()))
}

/// A notification of something that never happened, as JSON, with every field but some of `details`, which depend on the
/// event.
pub(crate) fn sample_object(destination: &Destination, at: DateTime<Utc>) -> Result<Vec<u8>, serde_json::Error> {
    let (feed, webhook) = (FeedId::from_bytes([0; 12]), WebhookId::from_bytes([0; 12]));
    let details = NotificationDetails {
        feed_id: Some(feed),
        webhook_ids: vec![webhook],
        began_at: Some(at),
        duration_ms: Some(480),
        changes: Some(3),
        kinds: Some(ChangeCounts { created: 1, updated: 1, deleted: 1 }),
        requests: Some(1),
        bytes: Some(2_048),
        error: Some("this is a test".to_owned()),
        ..NotificationDetails::default()
    };
    let sample = Notification {
        id: "000000000000000000000000".to_owned(),
        workspace_id: destination.workspace_id,
        event: NotificationEvent::SyncCompleted,
        at,
        description: "this is a test; no poll has ended".to_owned(),
        code: Some("test".to_owned()),
        connection_id: Some(ConnectionId::from_bytes([0; 12])),
        webhook_id: Some(webhook),
        integration: "sandbox".to_owned(),
        environment: "Production".to_owned(),
        external_xref: Some("your-reference".to_owned()),
        object_type: Some(ObjectType::CrmContact),
        destination_id: Some(destination.id),
        details: Some(Box::new(details)),
    };
    serde_json::to_vec(&NotificationView::new(&sample, None))
}
