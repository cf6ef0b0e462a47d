//! An engine that delivers from a store in memory to receivers on this machine.

use anyhook::clock::Clock;
use anyhook::context::Context;
use anyhook::ids::{ConnectionId, FeedId, JobId, NodeId, WebhookId, WorkspaceId};
use anyhook::leases::LeaseKeeper;
use anyhook::limits::{Limits, StoreLimits};
use anyhook::log::{EncodedPage, Found, LogPageBuilder, PageMeta};
use anyhook::outbound::guard::Guard;
use anyhook::outbound::{ClientOptions, HttpClient};
use anyhook::random::Random;
use anyhook::secrets::{Sealed, Vault};
use anyhook::store::{
    ApiCall, ApiCallQuery, ArrivalCommit, ArrivalFeed, Connection, ConnectionProfile, DeliverySettings, DeliveryState,
    Duty, JobMode, JobState, ListingCommit, ListingJob, MemoryStore, NewWebhook, ShardId, Store, Webhook, WebhookKind,
    Workspace,
};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The workspace's signing secret.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const WAIT: Duration = Duration::from_secs(20);

/// What the engine runs on. A clone is another start over the same store.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) connection: Connection,
}

/// A running engine.
pub(crate) struct Engine {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Engine {
    /// Ends it in the middle of whatever it does.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Stops it as a signal would, and waits until it has drained.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(WAIT, self.task).await.expect("it drains in time").unwrap();
    }
}

pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.deliver.retry_schedule_ms = vec![10, 10, 10];
    limits.deliver.attempt_deadline_ms = 5_000;
    limits
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(limits(), Guard::new(vec!["127.0.0.0/8".parse().unwrap()])).await
    }

    pub(crate) async fn with(limits: Limits, guard: Guard) -> Self {
        // The machine's time, but that a test may let it jump.
        let (clock, random) = (Clock::simulated(Clock::system().now()), Random::system());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(&limits.store));
        // Nobody renews it: it lasts as long as any test, however the clock jumps.
        let lasting = StoreLimits { lease_ttl_ms: 365 * 86_400_000, ..limits.store.clone() };
        let limits = Limits { store: lasting, ..limits };
        let leases = LeaseKeeper::new(NodeId::new(&clock, &random).unwrap(), &Duty::ALL, &limits, &clock);
        leases.renew(&*store).await.unwrap();
        let vault = Vault::new(&[7; 32], random.clone());
        let workspace = workspace(&clock, &random, &vault);
        let connection = connection(&clock, &random, workspace.id);
        store.insert_workspace(workspace).await.unwrap();
        store.insert_connection(connection.clone()).await.unwrap();
        let destinations = Arc::new(HttpClient::new(guard, ClientOptions::for_destinations(&limits.deliver)).unwrap());
        let context = Context {
            store,
            leases: Arc::new(leases),
            clock,
            random,
            vault: Arc::new(vault),
            vendors: destinations.clone(),
            destinations,
            limits: Arc::new(limits),
            public_url: "http://127.0.0.1:1".into(),
        };
        World { context, connection }
    }

    /// Starts delivering.
    pub(crate) fn start(&self) -> Engine {
        let stop = CancellationToken::new();
        Engine { task: tokio::spawn(anyhook::deliver::run(self.context.clone(), stop.clone())), stop }
    }

    /// A webhook that is not in the store yet.
    pub(crate) fn webhook(&self, hook_url: &str, event: Change) -> Webhook {
        let (clock, random, connection) = (&self.context.clock, &self.context.random, &self.connection);
        Webhook {
            id: WebhookId::new(clock, random).unwrap(),
            workspace_id: connection.workspace_id,
            connection_id: connection.id,
            feed_id: FeedId::new(clock, random).unwrap(),
            shard: connection.shard,
            integration: connection.integration.clone(),
            environment: connection.environment.clone(),
            event,
            object_type: ObjectType::CrmContact,
            hook_url: hook_url.to_owned(),
            interval_ms: 60_000,
            kind: WebhookKind::Virtual,
            filters: BTreeMap::new(),
            fields: Vec::new(),
            page_max_limit: None,
            is_paused: false,
            external_xref: Some("their-ref".to_owned()),
            created_at: clock.now(),
            updated_at: clock.now(),
            registered: None,
            revision: 1,
            interval_max_ms: None,
            delivery: DeliverySettings::default(),
        }
    }

    pub(crate) async fn insert(&self, webhook: Webhook) -> Webhook {
        self.context.store.insert_webhook(NewWebhook { webhook, initial: None }).await.unwrap()
    }

    /// Subscribes to updated records.
    pub(crate) async fn subscribe(&self, hook_url: &str) -> Webhook {
        self.insert(self.webhook(hook_url, Change::Updated)).await
    }

    /// Subscribes with the history.
    pub(crate) async fn subscribe_all(&self, hook_url: &str) -> (Webhook, JobId) {
        let webhook = self.webhook(hook_url, Change::Updated);
        let job = self.job(&webhook, JobMode::Initial);
        let id = job.id;
        let new = NewWebhook { webhook, initial: Some(job) };
        (self.context.store.insert_webhook(new).await.unwrap(), id)
    }

    pub(crate) fn job(&self, webhook: &Webhook, mode: JobMode) -> ListingJob {
        let now = self.context.clock.now();
        ListingJob::new(JobId::new(&self.context.clock, &self.context.random).unwrap(), webhook, mode, now)
    }

    /// Logs one page with these records.
    pub(crate) async fn log(&self, feed: FeedId, found: Found, ids: &[&str]) {
        let changes: Vec<_> = ids.iter().map(|&id| (id, Change::Updated)).collect();
        self.log_changes(feed, found, &changes).await;
    }

    pub(crate) async fn log_changes(&self, feed: FeedId, found: Found, changes: &[(&str, Change)]) {
        let store = &self.context.store;
        let expected_end = store.log_head(feed).await.unwrap().end;
        let pages = vec![page(found, changes, false, self.context.clock.now())];
        let append = ArrivalFeed { feed, expected_end, ledger: Vec::new(), pages };
        let commit = ArrivalCommit {
            connection: self.connection.id,
            appends: vec![append],
            pings: Vec::new(),
            delivery: None,
            now: self.context.clock.now(),
        };
        store.commit_arrival(commit).await.unwrap();
    }

    /// Logs one page of a run that began there.
    pub(crate) async fn log_from(&self, feed: FeedId, from: Option<DateTime<Utc>>) {
        let store = &self.context.store;
        let expected_end = store.log_head(feed).await.unwrap().end;
        let mut builder = LogPageBuilder::default();
        builder.push(Change::Updated, br#"{"id":"1"}"#, None);
        let made_at = self.context.clock.now();
        let meta = PageMeta { found: Found::Virtual, made_at, from, token: None, is_last: false };
        let pages = vec![builder.encode(&meta).unwrap()];
        let appends = vec![ArrivalFeed { feed, expected_end, ledger: Vec::new(), pages }];
        let commit =
            ArrivalCommit { connection: self.connection.id, appends, pings: Vec::new(), now: made_at, delivery: None };
        store.commit_arrival(commit).await.unwrap();
    }

    /// Adds a page of history.
    pub(crate) async fn list(&self, job: JobId, ids: &[&str], is_last: bool) {
        let changes: Vec<_> = ids.iter().map(|&id| (id, Change::Updated)).collect();
        let commit = ListingCommit {
            fence: self.context.leases.lease(Duty::Deliver, self.connection.shard).unwrap().fence,
            job,
            parent: String::new(),
            checkpoint: None,
            state: if is_last { JobState::Listed } else { JobState::Running },
            pages: vec![page(Found::Listed, &changes, is_last, self.context.clock.now())],
            total: None,
            failures: 0,
            at: self.context.clock.now(),
            tally: Default::default(),
            requests: 0,
        };
        self.context.store.commit_listing(commit).await.unwrap();
    }

    pub(crate) async fn delivery(&self, webhook: WebhookId) -> DeliveryState {
        self.context.store.delivery(webhook).await.unwrap().unwrap()
    }

    /// Waits until a webhook's state is so.
    pub(crate) async fn until(&self, webhook: WebhookId, is_so: impl Fn(&DeliveryState) -> bool) -> DeliveryState {
        tokio::time::timeout(WAIT, async {
            loop {
                let state = self.delivery(webhook).await;
                if is_so(&state) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("the state comes about")
    }

    /// A webhook's audit rows, oldest first.
    pub(crate) async fn calls(&self, webhook: WebhookId) -> Vec<ApiCall> {
        let query =
            ApiCallQuery { webhook_id: Some(webhook), is_ascending: true, limit: 100, ..ApiCallQuery::default() };
        self.context.store.api_calls(self.connection.workspace_id, &query).await.unwrap()
    }
}

/// A page of records as connectors write them.
fn page(found: Found, changes: &[(&str, Change)], is_last: bool, made_at: DateTime<Utc>) -> EncodedPage {
    let mut builder = LogPageBuilder::default();
    for (id, change) in changes {
        let object = format!(r#"{{"id":"{id}","name":"Name of {id}","emails":[{{"email":"{id}@example.com"}}]}}"#);
        builder.push(*change, object.as_bytes(), Some(format!(r#"{{"vendor_id":"{id}"}}"#).as_bytes()));
    }
    let meta = PageMeta { found, made_at, from: None, token: None, is_last };
    builder.encode(&meta).unwrap()
}

fn workspace(clock: &Clock, random: &Random, vault: &Vault) -> Workspace {
    let id = WorkspaceId::new(clock, random).unwrap();
    let secret = vault.seal(&Workspace::seal(id), SECRET.as_bytes()).unwrap();
    Workspace::new(id, "tests", [1; 32], secret, clock.now())
}

fn connection(clock: &Clock, random: &Random, workspace_id: WorkspaceId) -> Connection {
    let bucket = "sandbox/1".to_owned();
    Connection {
        id: ConnectionId::new(clock, random).unwrap(),
        workspace_id,
        integration: "sandbox".to_owned(),
        categories: vec!["crm".to_owned()],
        permissions: Vec::new(),
        environment: "Production".to_owned(),
        external_xref: None,
        is_paused: false,
        created_at: clock.now(),
        updated_at: clock.now(),
        last_healthy_at: None,
        last_unhealthy_at: None,
        last_unhealthy_code: None,
        profile: ConnectionProfile::default(),
        auth: Sealed::default(),
        shard: ShardId::of_bucket(&bucket),
        bucket,
        revision: 1,
        auth_revision: 1,
        refreshing_until: None,
        auth_given_at: None,
    }
}
