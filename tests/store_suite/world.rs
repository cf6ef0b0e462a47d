//! A store, and things to put into it.

use anyhook::clock::Clock;
use anyhook::ids::{ConnectionId, DestinationId, FeedId, JobId, NodeId, WebhookId, WorkspaceId};
use anyhook::limits::StoreLimits;
use anyhook::log::EncodedPage;
use anyhook::random::Random;
use anyhook::store::{
    ApiCall, AttemptFinish, CallKind, Connection, DeliverySettings, Destination, Duty, FeedState, Fence, JobMode,
    JobState, LedgerEntry, ListingCommit, ListingJob, MemoryStore, NewWebhook, Outcome, PageCommit, PostgresOptions,
    PostgresStore, Progress, RunFinish, SHARDS, ShardId, SigningSecrets, SledStore, Store, Webhook, WebhookKind,
};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use chrono::{DateTime, TimeDelta, Utc};
use std::path::Path;
use std::sync::Arc;

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    random: Random,
    clock: Clock,
}

/// Rings of the audit trail and the notifications kept are few, so that they fill.
pub(crate) fn limits() -> StoreLimits {
    StoreLimits {
        calls_ok_max: 5,
        calls_failed_max: 3,
        cache_bytes: 8 << 20,
        notifications_max: 12,
        notifications_kept_ms: 100_000_000,
        syncs_max: 4,
        insight_hours_max: 4,
        insight_days_max: 3,
        arrivals_max: 20,
        arrivals_kept_ms: 1_000_000,
        ..StoreLimits::default()
    }
}

/// A schema of a database that tests share, so that each has a store of its own.
pub(crate) struct Schema {
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Schema {
    pub(crate) async fn new() -> Self {
        // TLS needs a provider of cryptography; tests that come later find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a database for tests");
        Schema { url, name: format!("suite_{:016x}", Random::system().up_to(u64::MAX)) }
    }

    pub(crate) async fn open(&self, limits: &StoreLimits) -> PostgresStore {
        let limits = StoreLimits { writers: 2, connections_max: 2, ..limits.clone() };
        // Connections can be told apart by it.
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}application_name={}", self.url, self.name);
        let options = PostgresOptions::new(&url, &self.name, None).unwrap();
        PostgresStore::open(&options, &limits).await.unwrap()
    }

    /// A connection of the test's own.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn drop(&self) {
        self.client().await.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.name)).await.unwrap();
    }
}

/// Later than anything is due.
pub(crate) const EVER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// A time, this many seconds after a beginning.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap() + TimeDelta::seconds(seconds)
}

pub(crate) fn entry(seconds: i64, version: u64) -> LedgerEntry {
    LedgerEntry { updated_at_ms: at(seconds).timestamp_millis(), version, is_deleted: false }
}

pub(crate) fn page(text: &str) -> EncodedPage {
    EncodedPage { records: 1, bytes: text.as_bytes().to_vec() }
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        World { store, random: Random::system(), clock: Clock::system() }
    }

    pub(crate) fn in_memory() -> Self {
        World::new(Arc::new(MemoryStore::new(&limits())))
    }

    /// The file's lock may outlast its store for a moment: a process that another test starts holds it from its fork
    /// until its exec.
    pub(crate) fn on_disk(path: &Path) -> Self {
        let clock = Clock::system();
        let give_up_ms = clock.now_ms() + 10_000;
        loop {
            match SledStore::open(path, &limits()) {
                Ok(store) => return World::new(Arc::new(store)),
                Err(error) => assert!(clock.now_ms() < give_up_ms, "{error}"),
            }
            std::thread::yield_now();
        }
    }

    pub(crate) async fn in_postgres(schema: &Schema) -> Self {
        World::new(Arc::new(schema.open(&limits()).await))
    }

    pub(crate) fn webhook_id(&self) -> WebhookId {
        WebhookId::new(&self.clock, &self.random).unwrap()
    }

    pub(crate) fn feed_id(&self) -> FeedId {
        FeedId::new(&self.clock, &self.random).unwrap()
    }

    pub(crate) fn job_id(&self) -> JobId {
        JobId::new(&self.clock, &self.random).unwrap()
    }

    pub(crate) fn node_id(&self) -> NodeId {
        NodeId::new(&self.clock, &self.random).unwrap()
    }

    pub(crate) fn workspace_id(&self) -> WorkspaceId {
        WorkspaceId::new(&self.clock, &self.random).unwrap()
    }

    /// A destination that is not kept yet.
    pub(crate) fn new_destination(&self, workspace_id: WorkspaceId) -> Destination {
        let id = DestinationId::new(&self.clock, &self.random).unwrap();
        Destination {
            id,
            workspace_id,
            shard: Destination::shard_of(id),
            name: "ops".into(),
            hook_url: "https://example.com/ops".into(),
            signing: SigningSecrets::only(Default::default(), None),
            subscriptions: vec![],
            is_paused: false,
            created_at: at(0),
            updated_at: at(0),
            revision: 1,
            delivery: DeliverySettings::default(),
        }
    }

    /// A connection that is not kept yet.
    pub(crate) fn new_connection(&self, workspace: WorkspaceId) -> Connection {
        let id = ConnectionId::new(&self.clock, &self.random).unwrap();
        let bucket = format!("github/{id}");
        Connection {
            id,
            workspace_id: workspace,
            integration: "github".into(),
            categories: vec!["repo".into()],
            permissions: vec![],
            environment: "Production".into(),
            external_xref: None,
            is_paused: false,
            created_at: at(0),
            updated_at: at(0),
            last_healthy_at: None,
            last_unhealthy_at: None,
            last_unhealthy_code: None,
            profile: Default::default(),
            auth: Default::default(),
            shard: ShardId::of_bucket(&bucket),
            bucket,
            revision: 1,
            auth_revision: 1,
            refreshing_until: None,
            auth_given_at: None,
        }
    }

    pub(crate) async fn connection(&self) -> Connection {
        let connection = self.new_connection(self.workspace_id());
        self.store.insert_connection(connection.clone()).await.unwrap();
        connection
    }

    /// A webhook that is not kept yet.
    pub(crate) fn new_webhook(&self, connection: &Connection) -> Webhook {
        Webhook {
            id: self.webhook_id(),
            workspace_id: connection.workspace_id,
            connection_id: connection.id,
            feed_id: self.feed_id(),
            shard: connection.shard,
            integration: connection.integration.clone(),
            environment: connection.environment.clone(),
            event: Change::Updated,
            object_type: ObjectType::TaskTask,
            hook_url: "https://example.com/hook".into(),
            interval_ms: 60_000,
            kind: WebhookKind::Virtual,
            filters: Default::default(),
            fields: vec![],
            page_max_limit: None,
            is_paused: false,
            external_xref: None,
            created_at: at(0),
            updated_at: at(0),
            registered: None,
            revision: 1,
            interval_max_ms: None,
            delivery: DeliverySettings::default(),
        }
    }

    pub(crate) async fn keep(&self, webhook: Webhook) -> Webhook {
        self.store.insert_webhook(NewWebhook { webhook, initial: None }).await.unwrap()
    }

    /// A webhook on a connection of its own.
    pub(crate) async fn webhook(&self) -> Webhook {
        let connection = self.connection().await;
        self.keep(self.new_webhook(&connection)).await
    }

    /// Proof of a lease on a shard, taken by a new node.
    pub(crate) async fn fence(&self, shard: ShardId) -> Fence {
        self.fences().await.into_iter().find(|fence| fence.shard == shard).unwrap()
    }

    /// Proof of leases on all shards, whoever had them.
    pub(crate) async fn fences(&self) -> Vec<Fence> {
        let all: Vec<_> = (0..SHARDS).map(|shard| (Duty::Poll, ShardId(shard))).collect();
        self.store.take_shards(self.node_id(), &all, DateTime::<Utc>::MAX_UTC).await.unwrap()
    }

    pub(crate) async fn page_commit(&self, webhook: &Webhook, fence: Fence) -> PageCommit {
        let feed = self.store.feed(webhook.feed_id).await.unwrap().unwrap();
        let head = self.store.log_head(feed.id).await.unwrap();
        PageCommit {
            fence,
            feed: feed.id,
            feed_revision: feed.revision,
            expected_end: head.end,
            parent: String::new(),
            progress: Progress::default(),
            ledger: vec![],
            forget_before_ms: None,
            pages: vec![],
        }
    }

    /// Adds pages to the log of a webhook's feed.
    pub(crate) async fn log(&self, webhook: &Webhook, fence: Fence, texts: &[&str]) {
        let pages = texts.iter().map(|text| page(text)).collect();
        let commit = PageCommit { pages, ..self.page_commit(webhook, fence).await };
        self.store.commit_page(commit).await.unwrap();
    }

    pub(crate) fn run_finish(&self, webhook: &Webhook, fence: Fence, due: i64) -> RunFinish {
        let state = FeedState { checked_at: Some(at(50)), ..FeedState::default() };
        RunFinish { fence, feed: webhook.feed_id, state, due_at: Some(at(due)), call: None, contact: None }
    }

    pub(crate) fn attempt(&self, webhook: &Webhook, fence: Fence, outcome: Outcome) -> AttemptFinish {
        AttemptFinish { fence, webhook: webhook.id, outcome, at: at(10), call: None }
    }

    pub(crate) fn job(&self, webhook: &Webhook, mode: JobMode) -> ListingJob {
        ListingJob::new(self.job_id(), webhook, mode, at(0))
    }

    pub(crate) fn listing(&self, job: &ListingJob, fence: Fence, texts: &[&str]) -> ListingCommit {
        ListingCommit {
            fence,
            job: job.id,
            parent: String::new(),
            checkpoint: None,
            state: JobState::Running,
            pages: texts.iter().map(|text| page(text)).collect(),
            total: None,
            failures: 0,
            at: at(5),
            tally: Default::default(),
            requests: 0,
        }
    }

    pub(crate) fn call(&self, webhook: &Webhook, kind: CallKind, seconds: i64) -> ApiCall {
        ApiCall {
            id: String::new(),
            workspace_id: webhook.workspace_id,
            connection_id: webhook.connection_id,
            feed_id: webhook.feed_id,
            webhook_id: (kind == CallKind::Webhook).then_some(webhook.id),
            integration: webhook.integration.clone(),
            environment: webhook.environment.clone(),
            external_xref: None,
            kind,
            method: "POST".into(),
            name: "task_task".into(),
            path: "https://example.com/hook".into(),
            status: 200,
            error: None,
            at: at(seconds),
            duration_ms: 12,
            size_bytes: 100,
            records: 1,
            requests: 1,
            count: 1,
            delivery: None,
            next: None,
            attempt: None,
            destination_id: None,
            changes: None,
        }
    }
}
