//! Calm: all troubles end, and once nothing is under way any more, everything promised must have come true.

use crate::life::{Failure, Life};
use anyhook::ids::FeedId;
use anyhook::store::*;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio::time::Instant;

/// Longer than what is visible late stays invisible.
const AT_LEAST: Duration = Duration::from_secs(130);
/// How long calm may take to come: longer than any wait between failing polls, or between tries of a payload.
const AT_MOST: Duration = Duration::from_secs(4 * 3_600);
/// Requests to the vendor in that time.
const CALLS_MAX: usize = 5_000;

impl Life {
    pub async fn calm_down(&mut self) -> Result<(), Failure> {
        self.end_troubles().await;
        let asked_before = self.world.calls.lock().unwrap().len();
        let since = self.world.clock.now();
        self.world.run_for(AT_LEAST).await;
        let mut waited = Duration::ZERO;
        loop {
            self.see_circles()?;
            let restless = self.restless(since).await;
            if restless.is_empty() {
                self.check()?;
                self.check_calls()?;
                self.check_nodes()?;
                self.calm_at = Some(Instant::now());
                return Ok(());
            }
            let asked = self.world.calls.lock().unwrap().len() - asked_before;
            let is_patient = waited < AT_MOST && asked < CALLS_MAX;
            self.ensure(is_patient, "calm comes", || format!("{asked} requests; {restless:?}"))?;
            let step = Duration::from_secs(if waited < Duration::from_secs(600) { 20 } else { 45 });
            self.world.run_for(step).await;
            waited += step;
        }
    }

    /// True if the last run went well, and began late enough to see everything; later where runs end before their
    /// listing does, and others go on.
    fn is_read(&self, feed: FeedId, since: DateTime<Utc>) -> bool {
        let patience = TimeDelta::seconds(if self.ways.pages_per_run < 10_000 { 300 } else { 60 });
        let last = self.world.disk.last_run(feed);
        last.is_some_and(|(at, is_good)| is_good && at > since + patience && at <= self.world.clock.now())
    }

    /// What is still under way.
    async fn restless(&self, since: DateTime<Utc>) -> Vec<String> {
        let store = &self.world.disk.store;
        let mut restless = Vec::new();
        for connection in &self.connections {
            let pause = store.pause(&connection.bucket).await.unwrap();
            if pause.is_some_and(|pause| !pause.left(self.world.clock.now()).is_zero()) {
                restless.push(format!("the vendor's pause until {pause:?}"));
            }
        }
        for subscriber in self.subscribed() {
            let Webhook { id, feed_id, .. } = subscriber.webhook;
            let delivery = store.delivery(id).await.unwrap().unwrap();
            let head = store.log_head(feed_id).await.unwrap();
            let state = store.feed_state(feed_id).await.unwrap();
            let jobs = store.jobs_of_webhook(id, 1).await.unwrap();
            let is_polled = self.is_read(feed_id, since)
                && state.failures == 0
                && state.health == FeedHealth::Healthy
                && state
                    .checked_at
                    .is_some_and(|at| at > since + TimeDelta::seconds(60) && at <= self.world.clock.now());
            let is_served = delivery.listing.is_none()
                && delivery.retry.is_none()
                && delivery.health == WebhookHealth::Healthy
                && delivery.position.sequence >= head.end
                && !jobs.iter().any(ListingJob::is_open);
            if !is_polled || !is_served {
                restless.push(format!("{}: {delivery:?} {head:?} {state:?} {jobs:?}", subscriber.name));
            }
        }
        restless
    }
}
