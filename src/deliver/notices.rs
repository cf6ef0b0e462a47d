//! Notifications as a destination reads them: pages made on the fly, of what it listens to, in the order of their
//! sequences. A record's place is its sequence, so that a position says the same whatever page a batch was cut from.

use super::pages::SharedPage;
use super::pump::Pump;
use super::shared::Halt;
use crate::api_model::notification::NotificationView;
use crate::log::{Found, LogPageBuilder, PageMeta};
use crate::store::{Destination, PlacedNotification};
use anyhook_connectors::contract::Change;
use chrono::DateTime;
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
    let mut builder = LogPageBuilder::default();
    let mut places = Vec::new();
    for row in rows.iter().filter(|row| destination.wants(&row.notification)) {
        let object = serde_json::to_vec(&NotificationView::new(&row.notification, None))?;
        builder.push(Change::Updated, &object, None);
        places.push(row.sequence);
    }
    let meta = PageMeta { found: Found::Told, made_at: DateTime::UNIX_EPOCH, from: None, token: None, is_last: false };
    Ok(Some(SharedPage::of_places(builder.into_page(meta), places, last.sequence + 1)))
}
