//! What happens in a life.

use crate::support::receiver::Reply;
use crate::support::{Setup, Subscription, World, vendors};
use anyhook::ids::WebhookId;
use anyhook::simulator::{Fault, FaultRule, Granularity};
use anyhook::store::*;
use anyhook_connectors::contract::Change;
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// How long calm may take to come: longer than any wait between failing polls, or between tries of a payload.
const CALM_MAX: Duration = Duration::from_secs(4 * 3_600);
/// Requests to the vendor in that time.
const CALLS_IN_CALM_MAX: usize = 5_000;
const SUBSCRIBERS_MAX: usize = 6;

/// A record as it should be known.
#[derive(Debug, Clone)]
pub struct Record {
    pub title: String,
    /// The number of its last change.
    pub changed: u64,
    pub created: u64,
    pub deleted: Option<u64>,
    pub is_of_the_future: bool,
}

/// A subscriber, and the number of the change it came after.
pub struct Subscriber {
    pub name: String,
    pub webhook: Webhook,
    pub subscription: Subscription,
    pub since: u64,
    pub deleted_at: Option<Instant>,
}

pub struct Life {
    pub rng: Rng,
    pub world: World,
    pub vendor: &'static str,
    pub records: BTreeMap<String, Record>,
    pub subscribers: Vec<Subscriber>,
    seed: u64,
    connection: Connection,
    changes: u64,
    said: Vec<String>,
}

fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

const VENDORS: [&str; 8] = [
    "sandbox",
    "sandbox",
    vendors::NEWEST_FIRST,
    vendors::WHOLE,
    vendors::LATE,
    vendors::SECONDS,
    vendors::EXCLUSIVE,
    vendors::UNDATED,
];

fn setup(seed: u64, rng: &mut Rng, vendor: &str) -> Setup {
    let mut setup = Setup::contacts(one(rng, &[0, 5, 60, 250]));
    setup.seed = seed;
    setup.simulator.seed = seed;
    if vendor == vendors::SECONDS {
        setup.simulator.granularity = Granularity::Second;
    }
    setup.latency_ms_max = one(rng, &[5, 300]);
    setup.store_latency_us_max = one(rng, &[0, 3_000]);
    setup.limits.poll.log_page_bytes_max = one(rng, &[500, 160 << 10]);
    setup.limits.poll.pages_per_run_max = one(rng, &[2, 10_000]);
    setup.limits.poll.commits_in_flight_max = one(rng, &[1, 8]);
    setup.limits.poll.spool_pages_max = one(rng, &[1, 8]);
    setup.limits.deliver.batch_records_max = one(rng, &[3, 100]);
    setup
}

impl Life {
    pub async fn new(seed: u64) -> Life {
        let mut rng = Rng::with_seed(seed);
        let vendor = one(&mut rng, &VENDORS);
        let world = World::new(setup(seed, &mut rng, vendor)).await;
        let connection = world.connect_to(vendor, "sandbox").await;
        let known = |(id, record): (String, serde_json::Map<_, serde_json::Value>)| {
            let title = record["title"].as_str().unwrap().to_owned();
            (id, Record { title, changed: 0, created: 0, deleted: None, is_of_the_future: false })
        };
        let mut life = Life {
            seed,
            rng,
            vendor,
            connection,
            records: world.contacts().into_iter().map(known).collect(),
            world,
            subscribers: Vec::new(),
            changes: 0,
            said: vec![format!("a vendor that is {vendor}")],
        };
        life.set_faults(Vec::new());
        life.subscribe().await;
        life
    }

    pub async fn storm(&mut self) {
        for _ in 0..self.rng.u32(5..30) {
            self.act().await;
            let longest_ms = one(&mut self.rng, &[500, 500, 40_000]);
            self.world.run_for(Duration::from_millis(self.rng.u64(0..longest_ms))).await;
            if self.world.is_dead() {
                self.rise().await;
            }
        }
    }

    fn say(&mut self, what: String) {
        let line = format!("{} {what}", self.world.clock.now().format("%T%.3f"));
        if std::env::var_os("ANYHOOK_MODEL_SEED").is_some() {
            eprintln!("{line}");
        }
        self.said.push(line);
    }

    /// All that is known, for a life that fails.
    pub fn tell(&self) -> String {
        let calls: Vec<String> =
            self.world.calls.lock().unwrap().iter().rev().take(20).map(|call| format!("{:?}", call)).collect();
        format!("seed {}\n{}\n{}\n{}", self.seed, self.said.join("\n"), self.world.tell(), calls.join("\n"))
    }

    async fn act(&mut self) {
        match self.rng.u32(..100) {
            0..20 => self.create(),
            20..45 => self.update(),
            45..52 => self.delete(),
            52..60 => self.go_wrong(),
            60..64 => self.set_faults(Vec::new()),
            64..72 => self.answer_otherwise(),
            72..76 => self.subscribe().await,
            76..78 => self.unsubscribe().await,
            78..82 => self.pause().await,
            82..85 => self.ping().await,
            85..88 => {
                self.say("a restart".to_owned());
                self.world.restart().await;
            }
            88..91 => {
                self.say("a crash".to_owned());
                self.world.crash();
            }
            91..95 => {
                let calls = self.rng.i64(0..60);
                self.say(format!("a crash at call {calls} from here"));
                self.world.crash_at_call(calls);
            }
            95..97 => {
                let is_away = self.rng.bool();
                self.say(format!("the disk is away: {is_away}"));
                self.world.disk.is_away.store(is_away, Ordering::Relaxed);
            }
            _ => self.jump().await,
        }
    }

    fn next_change(&mut self) -> (u64, String) {
        self.changes += 1;
        (self.changes, format!("v{}", self.changes))
    }

    fn create(&mut self) {
        let count = if self.rng.u32(..8) == 0 { 130 } else { self.rng.u32(1..5) };
        let is_of_the_future = self.rng.u32(..20) == 0;
        self.say(format!("{count} created, of the future: {is_of_the_future}"));
        for _ in 0..count {
            let (number, title) = self.next_change();
            let mut fields = json!({"title": title});
            if is_of_the_future {
                fields["updated_at"] = json!("2099-01-01T00:00:00.000Z");
            }
            let id = self.world.create(fields);
            self.records
                .insert(id, Record { title, changed: number, created: number, deleted: None, is_of_the_future });
        }
    }

    fn any_live(&mut self) -> Option<String> {
        let live: Vec<&String> =
            self.records.iter().filter(|(_, record)| record.deleted.is_none()).map(|(id, _)| id).collect();
        (!live.is_empty()).then(|| live[self.rng.usize(..live.len())].clone())
    }

    fn update(&mut self) {
        for _ in 0..self.rng.u32(1..6) {
            let Some(id) = self.any_live() else { return };
            let (number, title) = self.next_change();
            self.say(format!("{id} becomes {title}"));
            self.world.update(&id, json!({"title": title}));
            let record = self.records.get_mut(&id).unwrap();
            (record.title, record.changed) = (title, number);
        }
    }

    fn delete(&mut self) {
        let Some(id) = self.any_live() else { return };
        let (number, _) = self.next_change();
        self.say(format!("{id} is deleted"));
        self.world.delete(&id);
        self.records.get_mut(&id).unwrap().deleted = Some(number);
    }

    fn go_wrong(&mut self) {
        let faults = [
            Fault::Status { status: 500 },
            Fault::Status { status: 410 },
            Fault::TooManyRequests { retry_after_s: Some(20) },
            Fault::TooManyRequests { retry_after_s: None },
            Fault::TruncatedBody {},
            Fault::HtmlBody {},
            Fault::Slow { ms: 5_000 },
            Fault::Hang {},
            Fault::Reset {},
            Fault::WrongContentLength { by: -7 },
            Fault::ExpiredToken {},
            Fault::IgnoredFilter {},
            Fault::DuplicatedIds {},
        ];
        let fault = faults[self.rng.usize(..faults.len())].clone();
        let rule = match self.rng.u32(..3) {
            0 => FaultRule::next(fault, self.rng.u32(1..6)),
            _ => FaultRule { probability: Some(0.3), ..FaultRule::always(fault) },
        };
        self.say(format!("{rule:?}"));
        self.set_faults(vec![rule]);
    }

    /// Faults, beside what the vendor always is.
    fn set_faults(&mut self, mut rules: Vec<FaultRule>) {
        if self.vendor == vendors::LATE {
            rules.push(FaultRule::always(Fault::LateVisibility { ms: 50_000 }));
        }
        self.world.faults(rules);
    }

    fn answer_otherwise(&mut self) {
        let replies = [
            Reply::Ok,
            Reply::Ok,
            Reply::Status(500),
            Reply::Status(410),
            Reply::Later(503, 30),
            Reply::Hang,
            Reply::Slow(3 * SECOND),
            Reply::Reset,
        ];
        let index = self.rng.usize(..self.subscribers.len());
        let script: Vec<Reply> = (0..self.rng.u32(0..4)).map(|_| one(&mut self.rng, &replies)).collect();
        let then = if self.rng.bool() { Reply::Ok } else { one(&mut self.rng, &replies) };
        let name = self.subscribers[index].name.clone();
        self.say(format!("{name} answers {script:?}, then {then:?}"));
        self.world.replies(&name, &script, then);
    }

    async fn subscribe(&mut self) {
        if self.subscribers.len() >= SUBSCRIBERS_MAX {
            return;
        }
        let name = format!("w{}", self.subscribers.len());
        let event = one(&mut self.rng, &[Change::Updated, Change::Updated, Change::Created, Change::Deleted]);
        let interval = SECOND * one(&mut self.rng, &[5, 20, 60]);
        let mut subscription = Subscription::new(&name).event(event).every(interval);
        subscription.include_all = self.rng.bool();
        subscription.page_max_limit = one(&mut self.rng, &[None, Some(1), Some(7)]);
        if self.rng.u32(..3) == 0 {
            subscription = subscription.fields(&["id", "title", "raw"]);
        }
        self.say(format!("{subscription:?}"));
        let webhook = self.world.subscribe(&self.connection, subscription.clone()).await;
        self.subscribers.push(Subscriber { name, webhook, subscription, since: self.changes, deleted_at: None });
    }

    fn any_subscriber(&mut self) -> Option<usize> {
        let live: Vec<usize> =
            (0..self.subscribers.len()).filter(|index| self.subscribers[*index].deleted_at.is_none()).collect();
        (!live.is_empty()).then(|| one(&mut self.rng, &live))
    }

    async fn unsubscribe(&mut self) {
        let Some(index) = self.any_subscriber() else { return };
        self.say(format!("{} is deleted", self.subscribers[index].name));
        self.world.disk.store.delete_webhook(self.subscribers[index].webhook.id, self.world.clock.now()).await.unwrap();
        self.subscribers[index].deleted_at = Some(Instant::now());
    }

    async fn pause(&mut self) {
        let is_paused = self.rng.bool();
        if self.rng.u32(..4) == 0 {
            self.say(format!("the connection is paused: {is_paused}"));
            self.world.pause_connection(self.connection.id, is_paused).await;
        } else if let Some(index) = self.any_subscriber() {
            self.say(format!("{} is paused: {is_paused}", self.subscribers[index].name));
            self.world.change(self.subscribers[index].webhook.id, |row| row.is_paused = is_paused).await;
        }
    }

    async fn ping(&mut self) {
        let Some(index) = self.any_subscriber() else { return };
        let feed = self.subscribers[index].webhook.feed_id;
        self.world.disk.store.ping_feed(feed, self.world.clock.now()).await.unwrap();
    }

    /// Our clock is put right. A feed that has not begun knows only ours.
    async fn jump(&mut self) {
        for subscriber in self.subscribers.iter().filter(|subscriber| subscriber.deleted_at.is_none()) {
            if self.world.feed_state(&subscriber.webhook).await.started_at.is_none() {
                return;
            }
        }
        let by_ms = self.rng.i64(-7_200..7_200) * 1_000;
        self.say(format!("the clock jumps by {by_ms} ms"));
        self.world.clock.jump(by_ms);
    }

    /// The engine comes back after it died.
    async fn rise(&mut self) {
        self.say("it rises".to_owned());
        self.world.disk.fuel.store(-1, Ordering::Relaxed);
        self.world.crash();
        self.world.start().await;
    }

    pub async fn calm_down(&mut self) {
        self.say("calm".to_owned());
        self.set_faults(Vec::new());
        self.world.disk.is_away.store(false, Ordering::Relaxed);
        self.rise().await;
        self.world.pause_connection(self.connection.id, false).await;
        let ids: Vec<(String, WebhookId)> = self.live().map(|one| (one.name.clone(), one.webhook.id)).collect();
        for (name, id) in ids {
            self.world.replies(&name, &[], Reply::Ok);
            self.world.change(id, |row| row.is_paused = false).await;
            self.world.disk.store.resume_webhook(id, self.world.clock.now()).await.unwrap();
        }
        let asked_before = self.world.calls.lock().unwrap().len();
        let since = self.world.clock.now();
        // What shows late shows then.
        self.world.run_for(130 * SECOND).await;
        let mut waited = Duration::ZERO;
        loop {
            let restless = self.restless(since).await;
            if restless.is_empty() {
                return;
            }
            let asked = self.world.calls.lock().unwrap().len() - asked_before;
            let is_patient = waited < CALM_MAX && asked < CALLS_IN_CALM_MAX;
            assert!(is_patient, "{}: no calm came, {asked} requests: {restless:?}", self.tell());
            let step = if waited < 600 * SECOND { 20 * SECOND } else { 45 * SECOND };
            self.world.run_for(step).await;
            waited += step;
        }
    }

    pub fn live(&self) -> impl Iterator<Item = &Subscriber> {
        self.subscribers.iter().filter(|subscriber| subscriber.deleted_at.is_none())
    }

    /// What is still under way.
    async fn restless(&self, since: DateTime<Utc>) -> Vec<String> {
        let store = &self.world.disk.store;
        let mut restless = Vec::new();
        let pause = store.pause(&self.connection.bucket).await.unwrap();
        if pause.is_some_and(|pause| !pause.left(self.world.clock.now()).is_zero()) {
            restless.push(format!("the vendor's pause until {pause:?}"));
        }
        for subscriber in self.live() {
            let Webhook { id, feed_id, .. } = subscriber.webhook;
            let delivery = store.delivery(id).await.unwrap().unwrap();
            let head = store.log_head(feed_id).await.unwrap();
            let state = store.feed_state(feed_id).await.unwrap();
            let is_polled = state.failures == 0
                && state.health == FeedHealth::Healthy
                && state
                    .checked_at
                    .is_some_and(|at| at > since + TimeDelta::seconds(60) && at <= self.world.clock.now());
            let is_served = delivery.listing.is_none()
                && delivery.retry.is_none()
                && delivery.health == WebhookHealth::Healthy
                && delivery.position.sequence >= head.end;
            if !is_polled || !is_served {
                let jobs = store.jobs_of_webhook(id, 1).await.unwrap();
                restless.push(format!("{}: {delivery:?} {head:?} {state:?} {jobs:?}", subscriber.name));
            }
        }
        restless
    }
}
