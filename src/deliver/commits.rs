//! Outcomes on their way into the store, in their order.

use super::shared::Halt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};

/// Outcomes on their way.
#[derive(Default)]
pub(super) struct Commits(FuturesOrdered<BoxFuture<'static, Result<(), Halt>>>);

impl Commits {
    pub(super) fn push(&mut self, commit: BoxFuture<'static, Result<(), Halt>>) {
        self.0.push_back(commit);
    }

    /// The next one that is durable, or why it is not; none if none is on its way.
    pub(super) async fn next(&mut self) -> Option<Result<(), Halt>> {
        self.0.next().await
    }

    /// Waits until all are durable.
    pub(super) async fn settle(&mut self) -> Result<(), Halt> {
        self.room(1).await
    }

    /// Waits until fewer than `max` are on their way.
    pub(super) async fn room(&mut self, max: usize) -> Result<(), Halt> {
        while self.0.len() >= max.max(1) {
            if let Some(kept) = self.0.next().await {
                kept?;
            }
        }
        Ok(())
    }

    /// Waits for `work` while they become durable. If one does not, `work` is still waited for.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> (T, Result<(), Halt>) {
        let mut work = std::pin::pin!(work);
        let mut kept = Ok(());
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, kept),
                Some(next) = self.0.next(), if !self.0.is_empty() => kept = kept.and(next),
            }
        }
    }
}
