//! Which part of a log a replay from a time is.

use super::desk::{Desk, DeskError, cut_at};
use super::pages::{PageError, SharedPage};
use super::subscriber::{Served, Subscriber};
use crate::log::LogPage;
use crate::store::{Position, ReplayPart, Span, StoreError, Stream, Webhook};
use chrono::{DateTime, Utc};

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

impl Desk {
    /// From when on all that was delivered to the webhook's feed is kept; none where nothing has gone yet.
    pub async fn kept_since(&self, webhook: &Webhook) -> Result<Option<DateTime<Utc>>, DeskError> {
        let context = &self.shared.context;
        Ok(context.store.kept(webhook.feed_id, context.clock.now()).await?.gone_at)
    }

    /// All that was delivered since: the log from the first page that may have been, to where the webhook stands. What
    /// stands before `passed` was delivered earlier, as far as the caller knows.
    ///
    /// When a page was delivered is known to a part of the time that pages are kept, so that something from before may be
    /// among it; nothing is left out.
    pub async fn plan(
        &self,
        webhook: &Webhook,
        since: DateTime<Utc>,
        passed: Option<Position>,
    ) -> Result<Plan, DeskError> {
        let context = &self.shared.context;
        let since = since.max(webhook.created_at);
        let kept = context.store.kept(webhook.feed_id, context.clock.now()).await?;
        let Some(first) = kept.first_since(since) else {
            return Ok(Plan::Gone(kept.gone_at.unwrap_or(since)));
        };
        let state = context.store.delivery(webhook.id).await?.ok_or(StoreError::Missing("webhook"))?;
        let from = Position { sequence: first, offset: 0 }.max(passed.unwrap_or_default());
        self.count(webhook, Span { from, to: state.position }).await
    }

    /// Counts the deliveries of a range. Pages from before the webhook was made were never its own.
    async fn count(&self, webhook: &Webhook, span: Span) -> Result<Plan, DeskError> {
        let (shared, limits) = (&self.shared, &self.shared.context.limits.deliver);
        let subscriber =
            Subscriber::new(Served { webhook: webhook.clone(), destination: None }, &shared.outputs, &shared.context)?;
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
