//! Log pages as deliveries read them: each decoded once, cut once per projection and hashed once per secret, however
//! many webhooks read it. Bounded in bytes; the oldest page goes first.

use super::batch::{Cut, Want, cut};
use super::derive::{DataDigest, DeriveKey};
use super::keys::Keys;
use super::sign::SignedData;
use crate::ids::{FeedId, JobId};
use crate::log::{LogPage, LogPageError};
use crate::store::{Position, Store, StoreError};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::sync::OnceCell;

/// Cuts of one page that are kept for other webhooks.
const CUTS_PER_PAGE_MAX: usize = 8;

/// Where a page is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Feed(FeedId),
    Job(JobId),
}

/// Why a page could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum PageError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Page(#[from] LogPageError),
}

/// A batch with the hashes that do not depend on the webhook.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) cut: Cut,
    pub(super) digest: DataDigest,
    signed: Mutex<Option<(Arc<Keys>, SignedData)>>,
}

impl Prepared {
    fn new(cut: Cut, derive: &DeriveKey) -> Self {
        let digest = derive.digest(&[b"[", &cut.objects, b"]"]);
        Prepared { cut, digest, signed: Mutex::new(None) }
    }

    /// `data` hashed under these keys: once for all webhooks that share them.
    pub(super) fn signed(&self, keys: &Arc<Keys>) -> SignedData {
        if keys.is_own {
            return keys.signing.data(&[b"[", &self.cut.objects, b"]"]);
        }
        let mut held = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((known, signed)) if Arc::ptr_eq(known, keys) => signed.clone(),
            _ => {
                let signed = keys.signing.data(&[b"[", &self.cut.objects, b"]"]);
                *held = Some((keys.clone(), signed.clone()));
                signed
            }
        }
    }
}

/// A decoded page and what was made of it.
#[derive(Debug)]
pub(super) struct SharedPage {
    pub(super) page: LogPage,
    cuts: Mutex<Vec<(u32, Want, Arc<Prepared>)>>,
    /// Where its records stand, if each has a sequence of its own, and where the next page begins.
    places: Option<(Vec<u64>, u64)>,
}

impl SharedPage {
    /// A page that is read beside the cache.
    pub(super) fn alone(page: LogPage) -> Self {
        SharedPage { page, cuts: Mutex::default(), places: None }
    }

    /// A page whose records have sequences of their own.
    pub(super) fn of_places(page: LogPage, places: Vec<u64>, end: u64) -> Self {
        SharedPage { places: Some((places, end)), ..SharedPage::alone(page) }
    }

    /// The sequence of its first record, if its records have such.
    pub(super) fn first_place(&self) -> Option<u64> {
        self.places.as_ref()?.0.first().copied()
    }

    /// The place behind a batch that was cut at `position`.
    pub(super) fn behind(&self, position: Position, cut: &Cut) -> Position {
        match &self.places {
            Some((places, end)) => {
                let next = places.get(cut.next as usize).filter(|_| !cut.is_page_end);
                Position { sequence: next.copied().unwrap_or(*end), offset: 0 }
            }
            None => cut.behind(position),
        }
    }

    /// The batch that begins at record `from`.
    pub(super) fn prepare(
        &self,
        from: u32,
        want: &Want,
        derive: &DeriveKey,
    ) -> Result<Arc<Prepared>, serde_json::Error> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., known)) = cuts.iter().find(|(at, of, _)| *at == from && of == want) {
            return Ok(known.clone());
        }
        let made = Arc::new(Prepared::new(cut(&self.page, from, want)?, derive));
        if cuts.len() == CUTS_PER_PAGE_MAX {
            cuts.remove(0);
        }
        cuts.push((from, want.clone(), made.clone()));
        Ok(made)
    }
}

type Slot = Arc<OnceCell<Arc<SharedPage>>>;

/// The pages that were read lately.
#[derive(Debug)]
pub(super) struct PageCache {
    bytes_max: usize,
    page_bytes_max: usize,
    bytes: AtomicUsize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    slots: HashMap<(Source, u64), Slot>,
    order: VecDeque<((Source, u64), usize)>,
}

impl PageCache {
    /// A cache of that many bytes, for pages of at most `page_bytes_max`.
    pub(super) fn new(bytes_max: usize, page_bytes_max: usize) -> Self {
        PageCache { bytes_max, page_bytes_max, bytes: AtomicUsize::new(0), held: Mutex::default() }
    }

    /// Bytes of a page's objects and raws at most.
    pub(super) fn page_bytes_max(&self) -> usize {
        self.page_bytes_max
    }

    /// The page at this place; none where it is forgotten or not there yet. Readers of the same page wait for one read.
    pub(super) async fn get(
        &self,
        store: &dyn Store,
        source: Source,
        sequence: u64,
    ) -> Result<Option<Arc<SharedPage>>, PageError> {
        let key = (source, sequence);
        let slot = self.held().slots.entry(key).or_default().clone();
        let read = slot.get_or_try_init(|| self.read(store, source, sequence)).await.cloned();
        match read {
            Ok(page) => Ok(Some(page)),
            Err(missing) => {
                let mut held = self.held();
                if held.slots.get(&key).is_some_and(|known| !known.initialized()) {
                    held.slots.remove(&key);
                }
                missing.map_or(Ok(None), Err)
            }
        }
    }

    /// The error is none where there is no such page.
    async fn read(
        &self,
        store: &dyn Store,
        source: Source,
        sequence: u64,
    ) -> Result<Arc<SharedPage>, Option<PageError>> {
        let stored = match source {
            Source::Feed(feed) => store.log_page(feed, sequence).await,
            Source::Job(job) => store.spool_page(job, sequence).await,
        };
        let stored = stored.map_err(|error| Some(error.into()))?.ok_or(None)?;
        let page = LogPage::decode(&stored, self.page_bytes_max).map_err(|error| Some(error.into()))?;
        self.admit((source, sequence), page.bytes());
        Ok(Arc::new(SharedPage::alone(page)))
    }

    /// Counts a page, and lets old ones go. A page counts twice: projections of it are copies.
    fn admit(&self, key: (Source, u64), bytes: usize) {
        let bytes = bytes.saturating_mul(2);
        let mut held = self.held();
        held.order.push_back((key, bytes));
        let mut total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        while total > self.bytes_max && held.order.len() > 1 {
            let Some((oldest, freed)) = held.order.pop_front() else { break };
            held.slots.remove(&oldest);
            total = self.bytes.fetch_sub(freed, Ordering::Relaxed) - freed;
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
