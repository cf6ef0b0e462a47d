//! The engine: everything that works in the background, started and stopped together.

use crate::context::Context;
use crate::deliver;
use crate::ids::FeedId;
use crate::ingress;
use crate::poll;
use crate::poll::transport::Vendors;
use crate::store::{Duty, StoreError};
use chrono::TimeDelta;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Rows that a clean-up removes in one go.
const CLEAN_UP_ROWS: usize = 1_000;
/// Feeds whose kept pages one round looks at.
const FEEDS_PER_ROUND: usize = 1_000;
/// The wait between clean-ups once nothing is left.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(30);

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    context: Context,
    vendors: Arc<Vendors>,
    working: CancellationToken,
    leasing: CancellationToken,
    tasks: TaskTracker,
    lease_task: TaskTracker,
}

impl Engine {
    /// Takes its share of the shards that are free, for its duties, and starts working on them.
    pub async fn start(context: Context) -> Result<Engine, StoreError> {
        Engine::start_with(context.clone(), Vendors::new(context)).await
    }

    /// The same, with a way to vendors of the caller's.
    pub async fn start_with(context: Context, vendors: Vendors) -> Result<Engine, StoreError> {
        context.leases.renew(context.store.as_ref()).await?;
        let engine = Engine {
            vendors: Arc::new(vendors),
            context,
            working: CancellationToken::new(),
            leasing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            lease_task: TaskTracker::new(),
        };
        let (context, stop) = (engine.context.clone(), engine.leasing.clone());
        engine.lease_task.spawn(async move { context.leases.run(context.store.as_ref(), stop).await });
        engine.start_duties();
        Ok(engine)
    }

    /// Starts what this node's duties need.
    fn start_duties(&self) {
        let (context, vendors, stop) = (&self.context, &self.vendors, &self.working);
        for duty in context.leases.duties() {
            match duty {
                Duty::Poll => {
                    self.tasks.spawn(poll::run(vendors.clone(), stop.clone()));
                    self.tasks.spawn(ingress::registrar::run(context.clone(), vendors.clone(), stop.clone()));
                }
                Duty::Deliver => drop(self.tasks.spawn(deliver::run(context.clone(), stop.clone()))),
            }
        }
        if !context.leases.duties().is_empty() {
            self.tasks.spawn(clean_up(context.clone(), stop.clone()));
        }
    }

    /// Ends when the engine cannot go on, with the reason: the store has failed for good.
    pub async fn failed(&mut self) -> StoreError {
        let mut failure = self.context.store.failure();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => StoreError::Unavailable(reason.clone().unwrap_or_default()),
            // A store that cannot fail for good has let go of its end.
            Err(_) => std::future::pending().await,
        }
    }

    /// The way to vendors, with the budgets that polling uses.
    pub fn vendors(&self) -> Arc<Vendors> {
        self.vendors.clone()
    }

    /// Takes no new work, waits for what is in flight, and gives the shards back.
    pub async fn stop(self) {
        self.working.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.vendors.finish().await;
        self.leasing.cancel();
        self.lease_task.close();
        self.lease_task.wait().await;
    }
}

/// Removes the rows of deleted feeds, and what has been kept for as long as it may, a bounded number at a time.
async fn clean_up(context: Context, stop: CancellationToken) {
    let mut looked_at = None;
    loop {
        let wait = match tidy(&context, &mut looked_at).await {
            Ok(true) => Duration::from_millis(10),
            Ok(false) => CLEAN_UP_EVERY,
            Err(error) => {
                tracing::warn!(%error, "rows that nobody needs could not be removed yet");
                CLEAN_UP_EVERY
            }
        };
        if stop.run_until_cancelled(context.clock.sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// One round; true while there is more to remove. Feeds with kept pages are looked at in turns, from `looked_at` on.
async fn tidy(context: &Context, looked_at: &mut Option<FeedId>) -> Result<bool, StoreError> {
    let (store, limits) = (&context.store, &context.limits);
    let is_more = store.clean_up(CLEAN_UP_ROWS).await?;
    *looked_at = store.forget_kept(*looked_at, deliver::keep(context), FEEDS_PER_ROUND).await?;
    let kept = i64::try_from(limits.store.calls_kept_ms).ok().and_then(TimeDelta::try_milliseconds);
    let old = match kept.and_then(|kept| context.clock.now().checked_sub_signed(kept)) {
        Some(before) => store.forget_calls(before, CLEAN_UP_ROWS).await?,
        None => false,
    };
    Ok(is_more || old)
}
