//! What each act does to a world.

use crate::life::{Backfill, Failure, Life, Record, Spans, Subscriber};
use crate::plan::{Act, seconds};
use crate::support::{Subscription, vendors};
use anyhook::ids::JobId;
use anyhook::store::*;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const SUBSCRIBERS_MAX: usize = 6;
const RECORDS_MAX: usize = 400;

impl Life {
    /// Does it; an error is a promise broken.
    pub async fn act(&mut self, act: &Act) -> Result<(), Failure> {
        self.say(format!("{act:?}"));
        match act {
            Act::Wait => {}
            Act::Create { count, of_the_future } => self.create(*count, *of_the_future),
            Act::Update { which, count } => self.update(*which, *count),
            Act::Delete { which } => self.delete(*which),
            Act::Undelete { which } => self.undelete(*which),
            Act::Wrong { trouble, count } => {
                self.rules = vec![trouble.rule(*count)];
                self.set_faults();
            }
            Act::Right => {
                self.rules.clear();
                self.set_faults();
            }
            // How late a vendor shows what changed is said by its own clock.
            Act::VendorClock { .. } if self.ways.vendor == vendors::LATE => {}
            Act::VendorClock { by_s } if self.has_begun().await => {
                self.ahead_s += by_s;
                self.set_faults();
            }
            Act::VendorClock { .. } => {}
            Act::OurClock { by_s } if self.has_begun().await => {
                self.jumps.push(Instant::now());
                self.world.clock.jump(by_s * 1_000);
            }
            Act::OurClock { .. } => {}
            Act::Answers { which, script, then } => {
                let script: Vec<_> = script.iter().map(|answer| answer.reply()).collect();
                if let Some(name) = self.nth_subscriber(*which).map(|subscriber| subscriber.name.clone()) {
                    self.world.replies(&name, &script, then.reply());
                }
            }
            Act::Node(act) => self.act_on_node(act).await,
            Act::Calm => self.calm_down().await?,
            Act::Restart
            | Act::Crash
            | Act::CrashAtCall { .. }
            | Act::Disk { .. }
            | Act::LoseLeases { .. }
            | Act::TakeOver => {
                self.act_on_engine(act).await;
            }
            _ => self.act_on_webhook(act).await,
        }
        Ok(())
    }

    async fn act_on_engine(&mut self, act: &Act) {
        match act {
            Act::Restart => self.world.restart().await,
            Act::Crash => self.world.crash(),
            Act::CrashAtCall { calls, is_kept } => self.world.disk.die_at(*calls, *is_kept),
            Act::Disk { is_away } => {
                self.world.disk.be_away(*is_away);
                self.away.set(*is_away);
            }
            Act::LoseLeases { ms } => self.world.lose_leases(Duration::from_millis(*ms)).await,
            _ => self.world.take_over().await,
        }
    }

    async fn act_on_webhook(&mut self, act: &Act) {
        match act {
            Act::Subscribe { .. } => self.subscribe(act).await,
            Act::Unsubscribe { which } => {
                let Some(subscriber) = self.nth_subscriber(*which) else { return };
                subscriber.deleted_at = Some(Instant::now());
                let id = subscriber.webhook.id;
                let now = self.world.clock.now();
                self.world.disk.store.delete_webhook(id, now).await.unwrap();
            }
            Act::Reshape { which, every_s, raw } => {
                let Some(id) = self.nth_subscriber(*which).map(|subscriber| subscriber.webhook.id) else { return };
                let (interval_ms, fields) = (every_s * 1_000, fields(*raw));
                let change = |row: &mut Webhook| (row.interval_ms, row.fields) = (interval_ms, fields.clone());
                self.world.change(id, change).await;
            }
            Act::Pause { which, is_paused } => {
                let Some(subscriber) = self.nth_subscriber(*which) else { return };
                subscriber.rests.set(*is_paused);
                let id = subscriber.webhook.id;
                self.world.change(id, |row| row.is_paused = *is_paused).await;
            }
            Act::PauseConnection { is_paused } => {
                self.rests.set(*is_paused);
                self.pause_connections(*is_paused).await;
            }
            Act::Ping { which } => {
                let Some(feed) = self.nth_subscriber(*which).map(|subscriber| subscriber.webhook.feed_id) else {
                    return;
                };
                self.world.disk.store.ping_feed(feed, self.world.clock.now()).await.unwrap();
            }
            Act::Backfill { which, from_s, until_s } => self.backfill(*which, *from_s, *until_s).await,
            Act::CancelBackfill { which } => self.cancel_backfill(*which).await,
            other => panic!("{other:?} is no act on a webhook"),
        }
    }

    fn create(&mut self, count: u32, is_of_the_future: bool) {
        for _ in 0..count {
            if self.records.len() >= RECORDS_MAX {
                return;
            }
            let (number, title) = self.next_change("");
            let mut fields = json!({"title": title});
            if is_of_the_future {
                fields["updated_at"] = json!("2099-01-01T00:00:00.000Z");
            }
            let id = self.world.create(fields);
            let (deleted, deletions) = (None, Vec::new());
            let record = Record { title, changed: number, created: number, deleted, deletions, is_of_the_future };
            self.records.insert(id, record);
        }
    }

    fn update(&mut self, which: u32, count: u32) {
        let live = self.live_records();
        for nth in 0..count as usize {
            let Some(index) = (which as usize + nth * 7).checked_rem(live.len()) else { return };
            let (number, title) = self.next_change(&live[index]);
            self.world.update(&live[index], json!({"title": title}));
            let record = self.records.get_mut(&live[index]).unwrap();
            (record.title, record.changed) = (title, number);
        }
    }

    fn delete(&mut self, which: u32) {
        let live = self.live_records();
        let Some(index) = (which as usize).checked_rem(live.len()) else { return };
        let (number, _) = self.next_change(&live[index]);
        self.world.delete(&live[index]);
        let record = self.records.get_mut(&live[index]).unwrap();
        record.deleted = Some(number);
        record.deletions.push(Instant::now());
    }

    fn undelete(&mut self, which: u32) {
        let gone: Vec<String> =
            self.records.iter().filter(|(_, record)| record.deleted.is_some()).map(|(id, _)| id.clone()).collect();
        let Some(index) = (which as usize).checked_rem(gone.len()) else { return };
        let (number, title) = self.next_change(&gone[index]);
        self.world.update(&gone[index], json!({"title": title, "deleted": false}));
        let record = self.records.get_mut(&gone[index]).unwrap();
        (record.title, record.changed, record.deleted) = (title, number, None);
    }

    async fn subscribe(&mut self, act: &Act) {
        let Act::Subscribe { event, every_s, include_all, limit, raw } = act else { return };
        if self.subscribers.len() >= SUBSCRIBERS_MAX {
            return;
        }
        let nth = self.subscribers.len();
        let (name, connection) = (format!("w{nth}"), &self.connections[nth % self.connections.len()]);
        let mut subscription = Subscription::new(&name).event(*event).every(Duration::from_secs(*every_s));
        (subscription.include_all, subscription.page_max_limit) = (*include_all, *limit);
        subscription.fields = fields(*raw);
        let webhook = self.world.subscribe(connection, subscription.clone()).await;
        let (since, rests, backfills) = (self.changes, Spans::default(), Vec::new());
        self.subscribers.push(Subscriber { name, webhook, subscription, since, deleted_at: None, rests, backfills });
    }

    async fn backfill(&mut self, which: u32, from_s: Option<i64>, until_s: Option<i64>) {
        let (now, at_vendor) = (self.world.clock.now(), self.world.vendor_time());
        let id = JobId::new(&self.world.clock, &self.world.random).unwrap();
        let since = self.changes;
        let store = self.world.disk.store.clone();
        let Some(subscriber) = self.nth_subscriber(which) else { return };
        let ago = |s: Option<i64>| s.map(|s| at_vendor - seconds(s));
        let range = (ago(from_s), ago(until_s));
        let job = ListingJob::new(id, &subscriber.webhook, JobMode::Backfill, now);
        match store.insert_job(ListingJob { updated_gte: range.0, updated_lt: range.1, ..job }).await {
            Ok(()) => subscriber.backfills.push(Backfill { job: id, since, range, cancelled_at: None }),
            Err(StoreError::Exists(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn cancel_backfill(&mut self, which: u32) {
        let (store, now) = (self.world.disk.store.clone(), self.world.clock.now());
        let Some(backfill) = self.nth_subscriber(which).and_then(|subscriber| subscriber.backfills.last_mut()) else {
            return;
        };
        if store.job(backfill.job).await.unwrap().is_some_and(|job| job.is_open()) {
            store.cancel_job(backfill.job, now).await.unwrap();
            backfill.cancelled_at = Some(Instant::now());
        }
    }

    /// True once all feeds have begun: when they did is told by how our clock and the vendor's move together.
    pub async fn has_begun(&self) -> bool {
        for subscriber in self.subscribed() {
            if self.world.feed_state(&subscriber.webhook).await.started_at.is_none() {
                return false;
            }
        }
        true
    }
}

fn fields(raw: bool) -> Vec<String> {
    if raw { ["id", "title", "raw"].map(str::to_owned).to_vec() } else { Vec::new() }
}
