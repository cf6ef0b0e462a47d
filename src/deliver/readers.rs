//! Which webhooks read a feed, remembered for a while: a log that grows often has the same readers.

use crate::ids::{FeedId, WebhookId};
use crate::store::{ShardId, Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;

/// Webhooks read at a time.
const WEBHOOKS_PER_READ: usize = 200;

/// Webhooks that are remembered.
const REMEMBERED_MAX: usize = 100_000;

/// A feed's webhooks.
pub(super) type FeedReaders = Arc<[(WebhookId, ShardId)]>;

/// The readers of feeds.
#[derive(Debug, Default)]
pub(super) struct Readers {
    feeds: HashMap<FeedId, FeedReaders>,
    remembered: usize,
}

impl Readers {
    /// A feed's webhooks, also those that are paused.
    pub(super) async fn of(&mut self, store: &dyn Store, feed: FeedId) -> Result<FeedReaders, StoreError> {
        if let Some(known) = self.feeds.get(&feed) {
            return Ok(known.clone());
        }
        let mut readers = Vec::new();
        loop {
            let after = readers.last().map(|(webhook, _)| *webhook);
            let read = store.webhooks_of_feed(feed, after, WEBHOOKS_PER_READ).await?;
            readers.extend(read.iter().map(|webhook| (webhook.id, webhook.shard)));
            if read.len() < WEBHOOKS_PER_READ {
                break;
            }
        }
        if self.remembered + readers.len() + self.feeds.len() >= REMEMBERED_MAX {
            self.forget();
        }
        let readers: FeedReaders = readers.into();
        self.remembered += readers.len();
        self.feeds.insert(feed, readers.clone());
        Ok(readers)
    }

    /// Forgets all of them, because a webhook was made or deleted.
    pub(super) fn forget(&mut self) {
        self.feeds.clear();
        self.remembered = 0;
    }
}
