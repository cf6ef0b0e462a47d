//! A replay reading what it sends again: pages of the log that are kept, or notifications.

use super::notices;
use super::pages::{PageError, SharedPage};
use super::replayer::Replayer;
use super::shared::Halt;
use crate::log::LogPage;
use crate::store::{Destination, ReplayPart, Span};
use std::sync::Arc;

impl Replayer {
    /// The page that a part goes on with; none where it is no longer kept.
    pub(super) async fn page(&mut self, part: ReplayPart) -> Result<Option<Arc<SharedPage>>, Halt> {
        if let Some(destination) = self.subscriber.destination.clone() {
            return self.notices(&destination, part).await;
        }
        let sequence = self.replay.position.sequence;
        if let Some((known, page)) = &self.page
            && *known == sequence
        {
            return Ok(Some(page.clone()));
        }
        let stored = self.shared.context.store.kept_page(self.replay.feed_id, sequence).await?;
        let Some(stored) = stored else { return Ok(None) };
        let page = LogPage::decode(&stored, self.shared.pages.page_bytes_max()).map_err(PageError::from)?;
        let page = Arc::new(SharedPage::alone(page));
        self.page = Some((sequence, page.clone()));
        Ok(Some(page))
    }

    /// The same of notifications: of a range none may have been dropped, and a batch still begins where it did. The
    /// position moves to the first one that is wanted, as that of the live stream does.
    async fn notices(&mut self, destination: &Destination, part: ReplayPart) -> Result<Option<Arc<SharedPage>>, Halt> {
        let store = &*self.shared.context.store;
        let position = &mut self.replay.position;
        let span = Span { from: *position, to: part.span.to };
        let rows_max = part.records.map_or_else(|| self.subscriber.rows_per_batch(), |_| notices::ROWS_PER_PAGE);
        let page = notices::page_of(store, destination, span, rows_max).await?;
        let first = page.first_place();
        let is_there = match part.records {
            Some(_) => first == Some(position.sequence),
            None => {
                let kept = notices::kept_from(store, destination).await?;
                kept.is_none_or(|kept| kept.sequence <= position.sequence)
            }
        };
        position.sequence = first.unwrap_or(position.sequence);
        Ok(is_there.then(|| Arc::new(page)))
    }
}
