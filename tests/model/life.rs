//! A life being lived: the world, and what should be known of it.

use crate::nodes;
use crate::plan::{Act, Plan, Ways};
use crate::support::receiver::Reply;
use crate::support::vendor::Call;
use crate::support::{Subscription, World, vendors};
use anyhook::ids::JobId;
use anyhook::simulator::{Fault, FaultRule};
use anyhook::store::*;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;
use tokio::time::Instant;

/// Why a life failed: a promise, and all that is known.
#[derive(Debug, Clone)]
pub struct Failure {
    pub promise: String,
    pub story: String,
}

/// A record as it should be known.
#[derive(Debug, Clone)]
pub struct Record {
    pub title: String,
    /// The number of its last change.
    pub changed: u64,
    pub created: u64,
    pub deleted: Option<u64>,
    /// When it was deleted, each time.
    pub deletions: Vec<Instant>,
    pub is_of_the_future: bool,
}

/// A subscriber, and the number of the change it came after.
pub struct Subscriber {
    pub name: String,
    pub webhook: Webhook,
    pub subscription: Subscription,
    pub since: u64,
    pub deleted_at: Option<Instant>,
    pub rests: Spans,
    pub backfills: Vec<Backfill>,
}

/// History that was asked for later.
pub struct Backfill {
    pub job: JobId,
    /// The number of the last change before it.
    pub since: u64,
    pub range: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    pub cancelled_at: Option<Instant>,
}

/// Times from and until which something was so; the last one may be open.
#[derive(Debug, Default)]
pub struct Spans(Vec<(Instant, Option<Instant>)>);

impl Spans {
    pub fn set(&mut self, is_so: bool) {
        let now = Instant::now();
        match self.0.last_mut() {
            Some((_, until @ None)) if !is_so => *until = Some(now),
            Some((_, None)) => {}
            _ if is_so => self.0.push((now, None)),
            _ => {}
        }
    }

    /// The span that covers this time, `slack` after its start or later.
    pub fn covering(&self, at: Instant, slack: Duration) -> Option<(Instant, Option<Instant>)> {
        let covers =
            |(from, until): &&(Instant, Option<Instant>)| at > *from + slack && until.is_none_or(|until| at < until);
        self.0.iter().find(covers).copied()
    }
}

pub struct Life {
    pub world: World,
    pub ways: Ways,
    pub records: BTreeMap<String, Record>,
    pub subscribers: Vec<Subscriber>,
    /// Subscribers take them in turn.
    pub connections: Vec<Connection>,
    pub rests: Spans,
    /// When our clock was put forward.
    pub jumps: Vec<Instant>,
    /// When the disk was away.
    pub away: Spans,
    /// When all was calm last.
    pub calm_at: Option<Instant>,
    /// Records that were listed broken before their last change.
    pub once_spoiled: BTreeSet<String>,
    pub changes: u64,
    pub ahead_s: i64,
    /// When no node stalls any more.
    pub stalled_until: Option<Instant>,
    pub rules: Vec<FaultRule>,
    said: Vec<String>,
}

impl Life {
    /// Lives a plan, and is calm at its end.
    pub async fn live(plan: &Plan) -> Result<(), Failure> {
        Life::new(&plan.ways).await.go_through(plan).await
    }

    /// What the vendor and the subscribers saw of it.
    pub async fn course(plan: &Plan) -> Vec<String> {
        let mut life = Life::new(&plan.ways).await;
        let start = Instant::now();
        let lived = life.go_through(plan).await;
        let calls = life.world.calls.lock().unwrap().clone();
        let calls = calls.iter().map(|call| format!("{:?} {} {}", call.sent_at - start, call.target, call.status));
        let inbox = life.world.inbox.lock().unwrap();
        let told =
            inbox.deliveries.iter().map(|one| format!("{:?} {} {}", one.instant - start, one.to, one.webhook_id));
        calls.chain(told).chain(lived.err().map(|failure| failure.promise)).collect()
    }

    async fn go_through(&mut self, plan: &Plan) -> Result<(), Failure> {
        let life = self;
        for step in &plan.steps {
            life.act(&step.act).await?;
            life.world.run_for(step.pause()).await;
            life.see_circles()?;
            if life.ways.is_fleet() {
                life.see_nodes().await;
            } else if life.world.is_dead() {
                life.rise().await;
            }
        }
        life.act(&Act::Calm).await
    }

    async fn new(ways: &Ways) -> Life {
        let (world, connections) = if ways.is_fleet() {
            nodes::fleet(ways).await
        } else {
            let world = World::new(ways.setup()).await;
            let connection = world.connect_to(ways.vendor, "sandbox").await;
            (world, vec![connection])
        };
        let known = |(id, record): (String, Map<String, Value>)| {
            let title = record["title"].as_str().unwrap().to_owned();
            let (changed, created, deleted, deletions) = (0, 0, None, Vec::new());
            (id, Record { title, changed, created, deleted, deletions, is_of_the_future: false })
        };
        let life = Life {
            records: world.contacts().into_iter().map(known).collect(),
            world,
            ways: ways.clone(),
            subscribers: Vec::new(),
            connections,
            rests: Spans::default(),
            jumps: Vec::new(),
            away: Spans::default(),
            calm_at: None,
            once_spoiled: BTreeSet::new(),
            changes: 0,
            ahead_s: ways.ahead_s,
            stalled_until: None,
            rules: Vec::new(),
            said: Vec::new(),
        };
        life.set_faults();
        life
    }

    pub fn say(&mut self, what: impl Display) {
        let line = format!("{} {what}", self.world.clock.now().format("%T%.3f"));
        if std::env::var_os("ANYHOOK_MODEL_SAY").is_some() {
            eprintln!("{line}");
        }
        self.said.push(line);
    }

    /// An end of this life.
    pub fn fail(&self, promise: &str, what: impl Display) -> Failure {
        let calls = self.world.calls.lock().unwrap();
        let told = |call: &Call| {
            let ago = Instant::now() - call.sent_at;
            format!("{ago:?} ago, engine {}: {} {} {:?}", call.engine, call.target, call.status, call.pause)
        };
        let calls: Vec<String> = calls.iter().rev().filter(|call| call.status != 304).take(40).map(told).collect();
        let story = format!("{what}\n{}\n{}\n{}", self.said.join("\n"), self.world.tell(), calls.join("\n"));
        Failure { promise: promise.to_owned(), story }
    }

    pub fn ensure(&self, is_so: bool, promise: &str, what: impl FnOnce() -> String) -> Result<(), Failure> {
        if is_so { Ok(()) } else { Err(self.fail(promise, what())) }
    }

    pub fn see_circles(&self) -> Result<(), Failure> {
        self.ensure(!self.world.disk.has_circles(), "time passes", || "the engine goes round in circles".to_owned())
    }

    /// The faults that were asked for, beside what the vendor always is.
    pub fn set_faults(&self) {
        let mut rules = self.rules.clone();
        if self.ways.vendor == vendors::LATE {
            rules.push(FaultRule::always(Fault::LateVisibility { ms: 50_000 }));
        }
        rules.push(FaultRule::always(Fault::ClockSkew { ms: self.ahead_s * 1_000 }));
        self.world.faults(rules);
    }

    pub fn live_records(&self) -> Vec<String> {
        let live = self.records.iter().filter(|(_, record)| record.deleted.is_none());
        live.map(|(id, _)| id.clone()).collect()
    }

    pub fn subscribed(&self) -> impl Iterator<Item = &Subscriber> {
        self.subscribers.iter().filter(|subscriber| subscriber.deleted_at.is_none())
    }

    /// The subscriber of this number, among those that are not deleted.
    pub fn nth_subscriber(&mut self, which: u32) -> Option<&mut Subscriber> {
        let count = self.subscribed().count();
        let index = (which as usize).checked_rem(count)?;
        self.subscribers.iter_mut().filter(|subscriber| subscriber.deleted_at.is_none()).nth(index)
    }

    /// The engine comes back after it died.
    pub async fn rise(&mut self) {
        self.say("it rises");
        self.world.disk.live_on();
        self.world.crash();
        self.world.start().await;
    }

    /// Ends all troubles, as those whose they are would.
    pub async fn end_troubles(&mut self) {
        self.rules.clear();
        self.set_faults();
        self.world.disk.be_away(false);
        self.away.set(false);
        if self.ways.is_fleet() {
            self.mend_nodes().await;
        } else {
            self.rise().await;
        }
        self.pause_connections(false).await;
        self.rests.set(false);
        let webhooks: Vec<_> = self.subscribed().map(|one| (one.name.clone(), one.webhook.id)).collect();
        for (name, id) in webhooks {
            self.world.replies(&name, &[], Reply::Ok);
            self.world.change(id, |row| row.is_paused = false).await;
            self.world.disk.store.resume_webhook(id, self.world.clock.now()).await.unwrap();
        }
        self.subscribers.iter_mut().for_each(|subscriber| subscriber.rests.set(false));
        if self.ways.is_fleet() {
            self.ask_for_polls().await;
        }
    }

    pub async fn pause_connections(&self, is_paused: bool) {
        for connection in &self.connections {
            self.world.pause_connection(connection.id, is_paused).await;
        }
    }

    /// Records that were listed broken since they last changed.
    pub fn spoiled(&self) -> BTreeSet<String> {
        self.world.spoiled.lock().unwrap().clone()
    }

    /// The number and title of the next change, which is of this record.
    pub fn next_change(&mut self, id: &str) -> (u64, String) {
        if self.world.spoiled.lock().unwrap().remove(id) {
            self.once_spoiled.insert(id.to_owned());
        }
        self.changes += 1;
        (self.changes, format!("v{}", self.changes))
    }
}
