//! The page commits of one run that wait to be durable while the next page is fetched.
//!
//! They become durable in the order they were asked for; after one has failed, those behind it fail too, because each
//! expects the log's end that the one before leaves. What they set in the ledger is seen by the next page's diff.

use super::error::PollError;
use crate::store::{LedgerEntry, PageCommit, PageCommitted, Store, StoreError};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Commits under way.
pub struct Commits {
    store: Arc<dyn Store>,
    in_flight_max: usize,
    in_flight: FuturesOrdered<BoxFuture<'static, Result<PageCommitted, StoreError>>>,
    /// What each commit under way sets, oldest first.
    unkept: VecDeque<Vec<(String, LedgerEntry)>>,
    overlay: HashMap<String, LedgerEntry>,
    end: u64,
}

impl Commits {
    /// None under way; the log ends at `end`.
    pub fn new(store: Arc<dyn Store>, in_flight_max: usize, end: u64) -> Self {
        Commits {
            store,
            in_flight_max: in_flight_max.max(1),
            in_flight: FuturesOrdered::new(),
            unkept: VecDeque::new(),
            overlay: HashMap::new(),
            end,
        }
    }

    /// The log's end once everything under way is kept.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// What the commits under way set for a record.
    pub fn pending(&self, id: &str) -> Option<LedgerEntry> {
        self.overlay.get(id).copied()
    }

    /// Starts a commit; waits while too many are under way.
    pub async fn start(&mut self, commit: PageCommit) -> Result<(), PollError> {
        while self.in_flight.len() >= self.in_flight_max {
            self.settle_one().await?;
        }
        self.end += commit.pages.len() as u64;
        self.overlay.extend(commit.ledger.iter().cloned());
        self.unkept.push_back(commit.ledger.clone());
        let store = self.store.clone();
        self.in_flight.push_back(Box::pin(async move { store.commit_page(commit).await }));
        // Asking once is what hands the commit to the store, before the next one is made.
        if let std::task::Poll::Ready(Some(kept)) = futures_util::poll!(self.in_flight.next()) {
            self.settle(kept)?;
        }
        Ok(())
    }

    /// Waits until everything under way is durable.
    pub async fn finish(&mut self) -> Result<(), PollError> {
        while !self.in_flight.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), PollError> {
        match self.in_flight.next().await {
            Some(kept) => self.settle(kept),
            None => Ok(()),
        }
    }

    fn settle(&mut self, kept: Result<PageCommitted, StoreError>) -> Result<(), PollError> {
        for (id, entry) in self.unkept.pop_front().unwrap_or_default() {
            if self.overlay.get(&id) == Some(&entry) {
                self.overlay.remove(&id);
            }
        }
        kept.map(|_| ()).map_err(PollError::from)
    }
}
