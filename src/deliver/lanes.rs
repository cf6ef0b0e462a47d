//! Lanes: a number of places, first come, first served, of which retries may take a part, so that they never starve
//! batches that are sent for the first time.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    all: Arc<Semaphore>,
    retries: Arc<Semaphore>,
}

/// A place; given back when dropped.
pub(super) type Permits = [Option<OwnedSemaphorePermit>; 2];

/// A part of some places, such that one is left for others if there are two.
pub(super) fn part(places: usize, numerator: usize, denominator: usize) -> usize {
    if places <= 1 { 1 } else { (places * numerator / denominator).clamp(1, places - 1) }
}

impl Lanes {
    /// Three quarters of the places may be taken by retries.
    pub(super) fn new(places: usize) -> Self {
        let places = places.max(1);
        Lanes { all: Arc::new(Semaphore::new(places)), retries: Arc::new(Semaphore::new(part(places, 3, 4))) }
    }

    /// Waits for a place.
    pub(super) async fn take(&self, is_retry: bool) -> Permits {
        [self.retry(is_retry).await, self.place().await]
    }

    /// Waits until one more retry may wait for a place; the first half of `take`. The semaphores are never closed, so a
    /// permit that was waited for is there.
    pub(super) async fn retry(&self, is_retry: bool) -> Option<OwnedSemaphorePermit> {
        if is_retry { self.retries.clone().acquire_owned().await.ok() } else { None }
    }

    /// Waits for a place; the second half of `take`.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.all.clone().acquire_owned().await.ok()
    }

    /// A place, if one is free.
    pub(super) fn try_take(&self, is_retry: bool) -> Option<Permits> {
        let retry = if is_retry { Some(self.retries.clone().try_acquire_owned().ok()?) } else { None };
        Some([retry, Some(self.all.clone().try_acquire_owned().ok()?)])
    }
}
