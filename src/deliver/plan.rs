//! Which part of a log, or of the notifications in its place, a replay from a time is.

use super::desk::{Desk, DeskError, cut_at};
use super::notices;
use super::pages::{PageError, SharedPage};
use super::subscriber::{Served, Subscriber};
use crate::log::LogPage;
use crate::store::{Destination, Position, ReplayPart, Span, StoreError, Stream, Webhook};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// What is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// These parts: so many deliveries.
    Parts(Vec<ReplayPart>, u64),
    /// Some of what was delivered since is no longer kept. What was delivered after this time is.
    Gone(DateTime<Utc>),
    /// More than one replay may repeat.
    TooMany,
}

/// What rows of attempts tell of a time, as far as they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Up to where was delivered before it.
    pub before: Option<Position>,
    /// From where on was delivered since.
    pub since: Option<Position>,
}

impl Desk {
    /// From when on all that was delivered to the webhook's feed is kept, or all that was told to a destination; none
    /// where nothing has gone yet.
    pub async fn kept_since(&self, webhook: &Webhook) -> Result<Option<DateTime<Utc>>, DeskError> {
        let context = &self.shared.context;
        if let Some(destination) = self.served(webhook).await?.destination {
            let kept = notices::kept_from(&*context.store, &destination).await?;
            return Ok(kept.map(|kept| kept.notification.at).filter(|at| *at > destination.created_at));
        }
        Ok(context.store.kept(webhook.feed_id, context.clock.now()).await?.gone_at)
    }

    /// All that was delivered since: the log from the first page that may have been, to where the webhook stands. What
    /// `reached` says to have been delivered before is left out.
    ///
    /// When a page was delivered is known to a part of the time that pages are kept, so that something from before may be
    /// among it; nothing is left out.
    ///
    /// For a destination it is what was told since, and what `reached` says to have been delivered since though it was
    /// told before.
    pub async fn plan(&self, webhook: &Webhook, since: DateTime<Utc>, reached: Reached) -> Result<Plan, DeskError> {
        let context = &self.shared.context;
        let since = since.max(webhook.created_at);
        let state = context.store.delivery(webhook.id).await?.ok_or(StoreError::Missing("webhook"))?;
        let served = self.served(webhook).await?;
        if let Some(destination) = served.destination.clone() {
            return self.plan_notices(served, &destination, since, reached, state.position).await;
        }
        let kept = context.store.kept(webhook.feed_id, context.clock.now()).await?;
        let Some(first) = kept.first_since(since) else {
            return Ok(Plan::Gone(kept.gone_at.unwrap_or(since)));
        };
        let from = Position { sequence: first, offset: 0 }.max(reached.before.unwrap_or_default());
        self.count(served, Span { from, to: state.position }).await
    }

    async fn served(&self, webhook: &Webhook) -> Result<Served, DeskError> {
        let served = Served::read(&*self.shared.context.store, webhook.id).await?;
        Ok(served.ok_or(StoreError::Missing("webhook"))?)
    }

    async fn plan_notices(
        &self,
        served: Served,
        destination: &Arc<Destination>,
        since: DateTime<Utc>,
        reached: Reached,
        to: Position,
    ) -> Result<Plan, DeskError> {
        let store = &*self.shared.context.store;
        let told = notices::first_since(store, destination, since, to.sequence).await?;
        let from = Position { sequence: told, offset: 0 }.min(reached.since.unwrap_or(to));
        let kept = notices::kept_from(store, destination).await?;
        if let Some(kept) = kept.filter(|kept| kept.notification.at >= since || kept.sequence > from.sequence) {
            return Ok(Plan::Gone(kept.notification.at));
        }
        let subscriber = Subscriber::new(served, &self.shared.outputs, &self.shared.context)?;
        let (mut position, mut deliveries) = (from, 0);
        while position < to {
            let span = Span { from: position, to };
            let page = notices::page_of(store, destination, span, subscriber.rows_per_batch()).await?;
            position.sequence = page.first_place().unwrap_or(position.sequence);
            let batch = cut_at(&self.shared, &subscriber, &page, Stream::Live, position, None)?;
            deliveries += u64::from(batch.prepared.cut.records > 0);
            position = batch.next;
            if deliveries > self.shared.context.limits.deliver.replay_deliveries_max {
                return Ok(Plan::TooMany);
            }
        }
        Ok(Plan::Parts(vec![ReplayPart { span: Span { from, to }, records: None }], deliveries))
    }

    /// Counts the deliveries of a range. Pages from before the webhook was made were never its own.
    async fn count(&self, served: Served, span: Span) -> Result<Plan, DeskError> {
        let (shared, limits) = (&self.shared, &self.shared.context.limits.deliver);
        let subscriber = Subscriber::new(served, &shared.outputs, &shared.context)?;
        let webhook = &subscriber.webhook;
        let (mut position, mut from, mut deliveries) = (span.from, None, 0);
        while position < span.to {
            let stored = shared.context.store.kept_page(webhook.feed_id, position.sequence).await?;
            let Some(stored) = stored else { return Ok(Plan::Gone(shared.context.clock.now())) };
            let page = LogPage::decode(&stored, shared.pages.page_bytes_max()).map_err(PageError::from)?;
            if from.is_none() && page.meta.made_at < webhook.created_at {
                position = Position { sequence: position.sequence + 1, offset: 0 };
                continue;
            }
            from.get_or_insert(position);
            let page = SharedPage::alone(page);
            let sequence = position.sequence;
            while position < span.to && position.sequence == sequence {
                let batch = cut_at(shared, &subscriber, &page, Stream::Live, position, None)?;
                deliveries += u64::from(batch.prepared.cut.records > 0);
                position = batch.next;
            }
            if deliveries > limits.replay_deliveries_max {
                return Ok(Plan::TooMany);
            }
        }
        let span = from.map(|from| Span { from, to: span.to });
        Ok(Plan::Parts(span.into_iter().map(|span| ReplayPart { span, records: None }).collect(), deliveries))
    }
}
