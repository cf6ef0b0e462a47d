//! Logs, and what native webhooks add to them.

use super::engine::{Read, Tree};
use super::head::{self, Head};
use super::txn::Txn;
use super::{Domain, Pace, Units, arrivals, behind, feeds, kept, leases, ledger, pages};
use crate::ids::FeedId;
use crate::log::EncodedPage;
use crate::store::{
    ArrivalCommit, Arrived, Keep, Kept, KeptDeletion, Log, LogHead, StoreError, TRIM_PAGES_MAX, Trim, Wake,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Adds pages to a log; empty ones are left out. The caller keeps the head.
pub(super) fn append(
    txn: &mut Txn<'_>,
    feed: FeedId,
    head: &mut Head,
    pages: &[EncodedPage],
) -> Result<(), StoreError> {
    for page in pages.iter().filter(|page| page.records > 0) {
        pages::put(txn, Tree::LogPages, feed.as_bytes(), head.log.end, &page.bytes)?;
        head.log.end += 1;
        head.log.bytes += page.bytes.len() as u64;
        txn.wake(Wake::LogGrew(feed));
    }
    Ok(())
}

fn page(read: &dyn Read, feed: FeedId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(Head { log, .. }) = head::head(read, feed)? else { return Ok(None) };
    if (log.start..log.end).contains(&sequence) {
        pages::get(read, Tree::LogPages, feed.as_bytes(), sequence)
    } else {
        Ok(None)
    }
}

fn arrive(txn: &mut Txn<'_>, commit: &ArrivalCommit) -> Result<Arrived, StoreError> {
    txn.expect(&|| {
        let heads = commit.appends.iter().map(|append| head::place(append.feed));
        heads.chain([(Tree::Connections, commit.connection.as_bytes().to_vec())]).collect()
    })?;
    if !txn.has(Tree::Connections, commit.connection.as_bytes())? {
        return Err(StoreError::Missing("connection"));
    }
    if let Some(delivery) = &commit.delivery
        && !arrivals::remember(txn, commit.connection, delivery, commit.now)?
    {
        return Ok(Arrived::Repeated);
    }
    for append_to in &commit.appends {
        let feed = append_to.feed;
        let mut head = head::head(txn, feed)?.ok_or(StoreError::Missing("feed"))?;
        if head.log.end != append_to.expected_end {
            return Err(StoreError::Conflict("log"));
        }
        ledger::set(txn, feed, &append_to.ledger, None)?;
        append(txn, feed, &mut head, &append_to.pages)?;
        head::keep(txn, feed, &head);
    }
    for feed in &commit.pings {
        match feeds::ping_by_vendor(txn, *feed, commit.now) {
            // A feed that was deleted meanwhile needs no poll.
            Ok(()) | Err(StoreError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Arrived::Kept)
}

fn trim(txn: &mut Txn<'_>, trim: Trim) -> Result<u64, StoreError> {
    txn.expect(&|| vec![leases::place(trim.fence), head::place(trim.feed)])?;
    leases::check(txn, trim.fence)?;
    let feed = trim.feed;
    let mut head = head::head(txn, feed)?.ok_or(StoreError::Missing("feed"))?;
    let until = trim.before.min(head.log.end).min(head.log.start.saturating_add(TRIM_PAGES_MAX));
    let left = kept::leave(txn, feed, &head.log, until, &trim.keep)?;
    head.log.bytes = head.log.bytes.saturating_sub(left);
    head.log.start = head.log.start.max(until);
    head::keep(txn, feed, &head);
    behind::remember(txn, trim, head.log.start)?;
    Ok(head.log.start)
}

#[async_trait]
impl<U: Units> Log for U {
    async fn log_head(&self, feed: FeedId) -> Result<LogHead, StoreError> {
        self.read(|read| Ok(head::head(read, feed)?.unwrap_or_default().log)).await
    }

    async fn log_page(&self, feed: FeedId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|read| page(read, feed, sequence)).await
    }

    async fn commit_arrival(&self, commit: ArrivalCommit) -> Result<Arrived, StoreError> {
        self.write(Domain::Connection(commit.connection), Pace::Page, move |txn| arrive(txn, &commit)).await
    }

    async fn trim_log(&self, pages: Trim) -> Result<u64, StoreError> {
        self.write(Domain::Shard(pages.fence.shard), Pace::Page, move |txn| trim(txn, pages.clone())).await
    }

    async fn kept(&self, feed: FeedId, now: DateTime<Utc>) -> Result<Kept, StoreError> {
        self.read(|read| kept::kept(read, feed, &head::head(read, feed)?.unwrap_or_default().log, now)).await
    }

    async fn kept_page(&self, feed: FeedId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|read| kept::page(read, feed, sequence)).await
    }

    async fn forget_kept(
        &self,
        after: Option<FeedId>,
        keep: Keep,
        feeds_max: usize,
    ) -> Result<Option<FeedId>, StoreError> {
        let (surplus, last) = self.read(|read| kept::surplus(read, after, &keep, feeds_max)).await?;
        for feed in surplus {
            self.write(Domain::Feed(feed), Pace::Lazy, move |txn| kept::forget(txn, feed, &keep)).await?;
        }
        Ok(last)
    }

    async fn kept_deletions(
        &self,
        feed: FeedId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeptDeletion>, StoreError> {
        self.read(|read| behind::kept(read, feed, after, limit)).await
    }
}
