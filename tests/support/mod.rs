//! A whole world under simulated time: a vendor, an engine, destinations, and whoever subscribes.
#![allow(dead_code, unreachable_pub)] // each test file uses its own part of it

pub mod disk;
mod fleet;
pub mod holdings;
pub mod receiver;
pub mod silent;
pub mod vendor;
pub mod vendors;

use anyhook::clock::Clock;
use anyhook::context::Context;
use anyhook::credentials::Credentials;
use anyhook::engine::Engine;
use anyhook::ids::{ConnectionId, FeedId, JobId, NodeId, WebhookId, WorkspaceId};
use anyhook::leases::LeaseKeeper;
use anyhook::limits::Limits;
use anyhook::poll::transport::Vendors;
use anyhook::random::Random;
use anyhook::secrets::{Sealed, Vault};
use anyhook::simulator::{FaultRule, Object, Simulator, SimulatorSettings};
use anyhook::store::*;
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use chrono::{DateTime, TimeDelta, Utc};
use disk::{Disk, EngineStore};
use receiver::{Delivery, Inbox, RECEIVER_URL, Reply, SECRET, SimReceiver};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vendor::{Call, SimVendor, VENDOR_URL};

/// How a world is made.
#[derive(Clone)]
pub struct Setup {
    pub seed: u64,
    pub simulator: SimulatorSettings,
    pub limits: Limits,
    pub latency_ms_max: u64,
    pub store_latency_us_max: u64,
    pub starts_at: DateTime<Utc>,
    /// Records that the vendor gives in a page, however many are asked for.
    pub page_max: u32,
}

impl Default for Setup {
    /// A vendor without records, near by.
    fn default() -> Self {
        let simulator =
            SimulatorSettings { records: 0, objects: vec![Object::Contacts], rate_limit: 0, ..Default::default() };
        let starts_at = "2026-03-02T09:00:00.250Z".parse().unwrap();
        Setup {
            seed: 1,
            simulator,
            limits: Limits::default(),
            latency_ms_max: 20,
            store_latency_us_max: 0,
            starts_at,
            page_max: u32::MAX,
        }
    }
}

impl Setup {
    /// With this many contacts from the past.
    pub fn contacts(count: u32) -> Self {
        let mut setup = Setup::default();
        setup.simulator.records = count;
        setup
    }
}

/// What someone subscribes to. `name` is the destination's.
#[derive(Debug, Clone)]
pub struct Subscription {
    pub name: String,
    pub event: Change,
    pub object_type: ObjectType,
    pub interval: Duration,
    pub longest: Option<Duration>,
    pub include_all: bool,
    pub fields: Vec<String>,
    pub page_max_limit: Option<u32>,
    pub is_paused: bool,
    pub filters: BTreeMap<String, String>,
}

impl Subscription {
    /// Changed and new contacts, every minute.
    pub fn new(name: &str) -> Self {
        Subscription {
            name: name.to_owned(),
            event: Change::Updated,
            object_type: ObjectType::CrmContact,
            interval: Duration::from_secs(60),
            longest: None,
            include_all: false,
            fields: Vec::new(),
            page_max_limit: None,
            is_paused: false,
            filters: BTreeMap::new(),
        }
    }

    pub fn filter(mut self, name: &str, value: &str) -> Self {
        self.filters.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn event(self, event: Change) -> Self {
        Subscription { event, ..self }
    }

    pub fn include_all(self) -> Self {
        Subscription { include_all: true, ..self }
    }

    pub fn every(self, interval: Duration) -> Self {
        Subscription { interval, ..self }
    }

    /// Every so often at most while changes come, and at least while nothing does.
    pub fn within(self, shortest: Duration, longest: Duration) -> Self {
        Subscription { interval: shortest, longest: Some(longest), ..self }
    }

    pub fn fields(self, fields: &[&str]) -> Self {
        Subscription { fields: fields.iter().map(|field| (*field).to_owned()).collect(), ..self }
    }

    pub fn page_max_limit(self, limit: u32) -> Self {
        Subscription { page_max_limit: Some(limit), ..self }
    }
}

struct Running {
    engine: Engine,
    store: Arc<EngineStore>,
    node: NodeId,
    context: Context,
}

/// Everything there is.
pub struct World {
    pub clock: Clock,
    pub random: Random,
    pub simulator: Simulator,
    pub disk: Arc<Disk>,
    pub workspace: WorkspaceId,
    pub inbox: Arc<Mutex<Inbox>>,
    pub calls: Arc<Mutex<Vec<Call>>>,
    /// Records that were listed broken.
    pub spoiled: Arc<Mutex<BTreeSet<String>>>,
    setup: Setup,
    vault: Arc<Vault>,
    running: Option<Running>,
    /// Several engines beside each other, by number.
    nodes: BTreeMap<usize, Running>,
    /// One that was running before another took over.
    ousted: Option<Running>,
}

impl World {
    /// A world with a running engine.
    pub async fn new(setup: Setup) -> World {
        let mut world = World::without_engine(setup).await;
        world.start().await;
        world
    }

    pub async fn without_engine(setup: Setup) -> World {
        if std::env::var_os("ANYHOOK_TEST_LOG").is_some() {
            let filter = tracing_subscriber::EnvFilter::from_env("ANYHOOK_TEST_LOG");
            let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        }
        let clock = Clock::simulated(setup.starts_at);
        let random = Random::seeded(setup.seed);
        let disk = Disk::new(MemoryStore::new(&setup.limits.store), setup.seed, setup.store_latency_us_max);
        let vault = Arc::new(Vault::new(&[7; 32], random.clone()));
        let workspace = WorkspaceId::new(&clock, &random).unwrap();
        let secret = vault.seal(&Workspace::seal(workspace), SECRET.as_bytes()).unwrap();
        let row = Workspace::new(workspace, "test", [1; 32], secret, clock.now());
        disk.store.insert_workspace(row).await.unwrap();
        disk.store.store_key([3; 32]).await.unwrap();
        // The vendor's clock does not jump with ours.
        let simulator = Simulator::new(setup.simulator.clone(), Clock::simulated(clock.now()));
        World {
            simulator,
            disk,
            workspace,
            inbox: Arc::default(),
            calls: Arc::default(),
            spoiled: Arc::default(),
            setup,
            vault,
            running: None,
            nodes: BTreeMap::new(),
            ousted: None,
            clock,
            random,
        }
    }

    /// Starts an engine over what the disk holds.
    pub async fn start(&mut self) {
        assert!(self.running.is_none(), "an engine is running already");
        self.running = self.launch(&Duty::ALL, self.clock.clone()).await;
    }

    /// An engine that takes shards for these duties, and has this clock.
    async fn launch(&self, duties: &[Duty], clock: Clock) -> Option<Running> {
        let store = Arc::new(EngineStore::new(self.disk.clone(), self.clock.clone(), clock.clone()));
        let node = NodeId::new(&self.clock, &self.random).unwrap();
        let vendors = SimVendor {
            simulator: self.simulator.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            latency_ms_max: self.setup.latency_ms_max,
            page_max: self.setup.page_max,
            calls: self.calls.clone(),
            spoiled: self.spoiled.clone(),
            engine: store.clone(),
        };
        let destinations = SimReceiver {
            clock: self.clock.clone(),
            random: self.random.clone(),
            latency_ms_max: self.setup.latency_ms_max,
            inbox: self.inbox.clone(),
            engine: store.clone(),
        };
        let context = Context {
            store: store.clone(),
            leases: Arc::new(LeaseKeeper::new(node, duties, &self.setup.limits, &clock)),
            clock,
            random: self.random.clone(),
            vault: self.vault.clone(),
            vendors: Arc::new(vendors),
            destinations: Arc::new(destinations),
            limits: Arc::new(self.setup.limits.clone()),
            public_url: "https://anyhook.test".into(),
        };
        let way = Vendors::new(context.clone()).with_connectors(vendors::find);
        let started = Engine::start_with(context.clone(), way);
        let dead = store.dead.clone();
        // An engine may die while it starts, or find no disk.
        match dead.run_until_cancelled(started).await {
            Some(Ok(engine)) => Some(Running { engine, store, node, context }),
            _ => None,
        }
    }

    /// Stops the engine as an operator would.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let dead = running.store.dead.clone();
            dead.run_until_cancelled(running.engine.stop()).await;
        }
    }

    /// Ends the engine at once, and one that it took over from: nothing they do any more has an effect.
    pub fn crash(&mut self) {
        for running in self.running.take().into_iter().chain(self.ousted.take()) {
            running.store.die();
        }
    }

    /// Lets the engine die at its n-th call of the store from now: after it was kept where n is even, else before.
    pub fn crash_at_call(&self, count: i64) {
        self.disk.die_at(count, count % 2 == 0);
    }

    /// Another node takes all leases from the engine, and gives them up this much later.
    pub async fn lose_leases(&self, for_long: Duration) {
        let Some(running) = &self.running else { return };
        let other = NodeId::new(&self.clock, &self.random).unwrap();
        let ttl_ms = u64::try_from(for_long.as_millis()).unwrap();
        self.disk.store.leave(running.node).await.unwrap();
        let free = self.disk.store.heartbeat(other, &Duty::ALL, self.clock.now(), ttl_ms).await.unwrap().free;
        self.disk.store.take_shards(other, &free, self.clock.now()).await.unwrap();
    }

    /// The engine cannot renew its leases any more. Once they have ended another one takes over, beside the first.
    pub async fn take_over(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.store.is_cut_off.store(true, Ordering::Relaxed);
        self.run_for(Duration::from_millis(self.setup.limits.store.lease_ttl_ms + 50)).await;
        if let Some(before) = self.ousted.replace(running) {
            before.store.die();
        }
        self.start().await;
        if let Some(ousted) = &self.ousted {
            ousted.store.is_cut_off.store(false, Ordering::Relaxed);
        }
    }

    /// True if the engine died by itself.
    pub fn is_dead(&self) -> bool {
        self.running.as_ref().is_none_or(|running| running.store.dead.is_cancelled())
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Lets time pass.
    pub async fn run_for(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Lets time pass until something is so; fails after `longest`.
    pub async fn until(&self, longest: Duration, what: &str, mut is_so: impl FnMut(&World) -> bool) {
        let step = Duration::from_millis(200);
        let mut waited = Duration::ZERO;
        while !is_so(self) {
            assert!(waited < longest, "{what}: not within {longest:?}; {}", self.tell());
            self.run_for(step).await;
            waited += step;
        }
    }

    /// What happened so far, for a test that fails.
    pub fn tell(&self) -> String {
        let inbox = self.inbox.lock().unwrap();
        let lines: Vec<String> = inbox
            .deliveries
            .iter()
            .rev()
            .take(20)
            .map(|delivery| {
                let ids: Vec<&str> = delivery.data.iter().filter_map(|object| object["id"].as_str()).take(5).collect();
                format!("{} {} {} {} {ids:?}", delivery.at, delivery.to, delivery.kind, delivery.data.len())
            })
            .collect();
        format!("the last deliveries, newest first:\n{}", lines.join("\n"))
    }

    // The vendor.

    /// What the vendor's clock shows.
    pub fn vendor_time(&self) -> DateTime<Utc> {
        self.simulator.with(|vendor, now| vendor.time(now))
    }

    pub fn create(&self, fields: Value) -> String {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        let record = self.simulator.with(|vendor, now| vendor.create(Object::Contacts, fields, now.timestamp_millis()));
        serde_json::from_slice::<Value>(&record.unwrap()).unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub fn create_many(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.create(json!({}))).collect()
    }

    pub fn update(&self, id: &str, fields: Value) {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        let updated =
            self.simulator.with(|vendor, now| vendor.update(Object::Contacts, id, fields, now.timestamp_millis()));
        updated.unwrap();
    }

    pub fn delete(&self, id: &str) {
        self.simulator.with(|vendor, now| vendor.delete(Object::Contacts, id, now.timestamp_millis())).unwrap();
    }

    pub fn faults(&self, rules: Vec<FaultRule>) {
        self.simulator.with(|vendor, _| vendor.set_faults(rules)).unwrap();
    }

    /// The vendor's contacts as they are, by id, deleted ones among them.
    pub fn contacts(&self) -> BTreeMap<String, Map<String, Value>> {
        self.simulator.with(|vendor, _| {
            let ids: BTreeSet<String> = vendor.history().after(0).map(|entry| entry.id.clone()).collect();
            let record = |id: &String| vendor.record(Object::Contacts, id);
            ids.iter().filter_map(|id| Some((id.clone(), serde_json::from_slice(&record(id)?).unwrap()))).collect()
        })
    }

    /// Requests that list contacts.
    pub fn polls(&self) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| call.target.contains("sort=updated_at")).count()
    }

    // Whoever subscribes.

    pub async fn connect(&self) -> Connection {
        self.connect_to("sandbox", "sandbox").await
    }

    /// A connection to the vendor by a token, seen through one of its manifests.
    pub async fn connect_to(&self, integration: &str, token: &str) -> Connection {
        let credentials = Credentials { token: Some(token.to_owned()), ..Credentials::default() };
        self.connect_by(integration, token, credentials).await
    }

    /// A connection by OAuth; its access token is as good as ended.
    pub async fn connect_by_oauth(&self) -> Connection {
        let settings = &self.setup.simulator;
        let credentials = Credentials {
            access_token: Some("an access token that was never given".to_owned()),
            refresh_token: Some(settings.refresh_token.clone()),
            client_id: Some(settings.client_id.clone()),
            client_secret: Some(settings.client_secret.clone()),
            token_url: Some(format!("{VENDOR_URL}/oauth/token")),
            ..Credentials::default()
        };
        self.connect_by("sandbox", "oauth", credentials).await
    }

    /// A connection with a budget of its own, which reaches the vendor by this host.
    pub async fn connect_by_host(&self, bucket: &str, host: &str) -> Connection {
        self.connect_to_by_host("sandbox", bucket, host).await
    }

    /// The same, seen through one of the vendor's manifests.
    pub async fn connect_to_by_host(&self, integration: &str, bucket: &str, host: &str) -> Connection {
        let credentials = Credentials { token: Some("sandbox".to_owned()), ..Credentials::default() };
        let connection = self.connect_by(integration, bucket, credentials).await;
        self.change_connection(connection.id, |row| row.profile.api_url = Some(format!("http://{host}"))).await;
        self.disk.store.connection(connection.id).await.unwrap().unwrap()
    }

    async fn connect_by(&self, integration: &str, bucket: &str, credentials: Credentials) -> Connection {
        let bucket = format!("{integration}:{bucket}");
        let now = self.clock.now();
        let mut connection = Connection {
            id: ConnectionId::new(&self.clock, &self.random).unwrap(),
            workspace_id: self.workspace,
            integration: integration.to_owned(),
            categories: vec!["crm".to_owned()],
            permissions: Vec::new(),
            environment: "Production".to_owned(),
            external_xref: Some("customer-7".to_owned()),
            is_paused: false,
            created_at: now,
            updated_at: now,
            last_healthy_at: None,
            last_unhealthy_at: None,
            last_unhealthy_code: None,
            profile: ConnectionProfile { api_url: Some(VENDOR_URL.to_owned()), ..ConnectionProfile::default() },
            auth: Sealed::default(),
            shard: ShardId::of_bucket(&bucket),
            bucket,
            revision: 0,
            auth_revision: 0,
            refreshing_until: None,
            auth_given_at: None,
        };
        connection.auth = credentials.seal(&self.vault, &connection).unwrap();
        self.disk.store.insert_connection(connection.clone()).await.unwrap();
        connection
    }

    /// A person gives a connection another token.
    pub async fn give_token(&self, connection: ConnectionId, token: &str) {
        let row = self.disk.store.connection(connection).await.unwrap().unwrap();
        let credentials = Credentials { token: Some(token.to_owned()), ..Credentials::default() };
        let auth = credentials.seal(&self.vault, &row).unwrap();
        let row = Connection { auth, auth_revision: row.auth_revision + 1, updated_at: self.clock.now(), ..row };
        self.disk.store.replace_connection(row).await.unwrap();
    }

    /// What a connection signs in with now.
    pub async fn credentials(&self, connection: ConnectionId) -> Credentials {
        let row = self.disk.store.connection(connection).await.unwrap().unwrap();
        Credentials::open(&self.vault, &row).unwrap()
    }

    /// Puts credentials in place as a process does that renewed them.
    pub async fn seal_credentials(&self, connection: ConnectionId, credentials: &Credentials) {
        self.change_connection(connection, |row| {
            row.auth = credentials.seal(&self.vault, row).unwrap();
            row.auth_revision += 1;
        })
        .await;
    }

    /// Changes a connection's row.
    pub async fn change_connection(&self, connection: ConnectionId, change: impl Fn(&mut Connection)) {
        loop {
            let mut row = self.disk.store.connection(connection).await.unwrap().unwrap();
            change(&mut row);
            match self.disk.store.replace_connection(row).await {
                Err(StoreError::Conflict(_)) => {}
                other => return drop(other.unwrap()),
            }
        }
    }

    /// Requests to paths that begin so.
    pub fn calls_to(&self, path: &str) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.target.starts_with(path)).cloned().collect()
    }

    pub async fn pause_connection(&self, connection: ConnectionId, is_paused: bool) {
        loop {
            let row = self.disk.store.connection(connection).await.unwrap().unwrap();
            let row = Connection { is_paused, updated_at: self.clock.now(), ..row };
            match self.disk.store.replace_connection(row).await {
                Err(StoreError::Conflict(_)) => {}
                other => return drop(other.unwrap()),
            }
        }
    }

    pub async fn subscribe(&self, connection: &Connection, subscription: Subscription) -> Webhook {
        let now = self.clock.now();
        let id = WebhookId::new(&self.clock, &self.random).unwrap();
        let webhook = Webhook {
            id,
            workspace_id: self.workspace,
            connection_id: connection.id,
            feed_id: FeedId::new(&self.clock, &self.random).unwrap(),
            shard: connection.shard,
            integration: connection.integration.clone(),
            environment: connection.environment.clone(),
            event: subscription.event,
            object_type: subscription.object_type,
            hook_url: format!("{RECEIVER_URL}{}", subscription.name),
            interval_ms: u64::try_from(subscription.interval.as_millis()).unwrap(),
            kind: WebhookKind::Virtual,
            filters: subscription.filters,
            fields: subscription.fields,
            page_max_limit: subscription.page_max_limit,
            is_paused: subscription.is_paused,
            external_xref: connection.external_xref.clone(),
            created_at: now,
            updated_at: now,
            registered: None,
            revision: 0,
            interval_max_ms: subscription.longest.map(|longest| u64::try_from(longest.as_millis()).unwrap()),
            delivery: DeliverySettings::default(),
        };
        let initial = subscription.include_all.then(|| self.initial(&webhook));
        self.disk.store.insert_webhook(NewWebhook { webhook, initial }).await.unwrap()
    }

    /// Asks for a webhook's history again, whole or within a range.
    pub async fn back_fill(
        &self,
        webhook: &Webhook,
        range: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> ListingJob {
        let id = JobId::new(&self.clock, &self.random).unwrap();
        let job = ListingJob::new(id, webhook, JobMode::Backfill, self.clock.now());
        let job = ListingJob { updated_gte: range.0, updated_lt: range.1, ..job };
        self.disk.store.insert_job(job.clone()).await.unwrap();
        job
    }

    pub async fn job(&self, id: JobId) -> ListingJob {
        self.disk.store.job(id).await.unwrap().unwrap()
    }

    /// Requests that list history.
    pub fn history_calls(&self) -> usize {
        let is_history = |target: &str| ["sort=id", "cursor=", "order=asc"].iter().any(|part| target.contains(part));
        self.calls.lock().unwrap().iter().filter(|call| is_history(&call.target)).count()
    }

    fn initial(&self, webhook: &Webhook) -> ListingJob {
        ListingJob::new(JobId::new(&self.clock, &self.random).unwrap(), webhook, JobMode::Initial, webhook.created_at)
    }

    /// Changes a webhook as its owner would.
    pub async fn change(&self, webhook: WebhookId, change: impl Fn(&mut Webhook)) {
        loop {
            let mut row = self.disk.store.webhook(webhook).await.unwrap().unwrap();
            change(&mut row);
            row.updated_at = self.clock.now();
            match self.disk.store.replace_webhook(row).await {
                Err(StoreError::Conflict(_)) => {}
                other => return drop(other.unwrap()),
            }
        }
    }

    pub async fn feed_state(&self, webhook: &Webhook) -> FeedState {
        self.disk.store.feed_state(webhook.feed_id).await.unwrap()
    }

    /// What is added up of a connection's contacts, by the day.
    pub async fn figures(&self, connection: &Connection) -> Figures {
        let query = InsightQuery {
            connection_id: connection.id,
            resolution: Resolution::Day,
            object_type: Some(ObjectType::CrmContact),
            since: None,
            is_ascending: true,
            offset: 0,
            limit: 2,
        };
        let days = self.disk.store.insights(&query).await.unwrap();
        let [day] = &days[..] else { panic!("{days:?}") };
        day.figures
    }

    // The destinations.

    pub fn replies(&self, to: &str, script: &[Reply], then: Reply) {
        self.inbox.lock().unwrap().scripts.insert(to.to_owned(), (script.iter().copied().collect(), then));
    }

    /// What a destination got, in order. Fails where anything was wrong with it.
    pub fn got(&self, to: &str) -> Vec<Delivery> {
        let inbox = self.inbox.lock().unwrap();
        assert!(inbox.problems.is_empty(), "{:?}", inbox.problems);
        inbox.deliveries.iter().filter(|delivery| delivery.to == to).cloned().collect()
    }

    /// The ids of the objects a destination got in payloads of this type, in order, repeats included.
    pub fn ids(&self, to: &str, kind: &str) -> Vec<String> {
        let of_kind = self.got(to).into_iter().filter(|delivery| delivery.kind.starts_with(kind));
        of_kind.flat_map(|delivery| delivery.data).map(|object| object["id"].as_str().unwrap().to_owned()).collect()
    }

    pub fn kinds(&self, to: &str) -> Vec<String> {
        self.got(to).into_iter().map(|delivery| delivery.kind).collect()
    }

    pub fn at_vendor(&self, shift_ms: i64) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::milliseconds(shift_ms)
    }
}
