//! Delivery alone: a store on disk, webhooks with a feed each, and changes that are committed as arrivals.

use anyhook::clock::Clock;
use anyhook::context::Context;
use anyhook::ids::{ConnectionId, FeedId, NodeId, WebhookId, WorkspaceId};
use anyhook::leases::LeaseKeeper;
use anyhook::limits::Limits;
use anyhook::log::{Found, LogPageBuilder, PageMeta};
use anyhook::outbound::HttpClient;
use anyhook::outbound::guard::Guard;
use anyhook::random::Random;
use anyhook::secrets::{Sealed, Vault};
use anyhook::store::{
    ArrivalCommit, ArrivalFeed, Connection, ConnectionProfile, DeliverySettings, Duty, NewWebhook, ShardId, SledStore,
    Store, Webhook, WebhookKind, Workspace,
};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Bytes of a record's text, so that a payload has about 1 KiB.
const TEXT_BYTES: usize = 400;

/// A store and what delivers from it, until dropped.
pub(crate) struct World {
    context: Context,
    connection: Connection,
    tasks: [JoinHandle<()>; 2],
    stop: CancellationToken,
    _directory: TempDir,
}

/// A feed that changes are committed to.
#[derive(Clone)]
pub(crate) struct Feed {
    context: Context,
    connection: ConnectionId,
    id: FeedId,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (directory, limits) = (tempfile::tempdir().expect("a directory"), Limits::default());
        let (clock, random) = (Clock::system(), Random::system());
        let store: Arc<dyn Store> =
            Arc::new(SledStore::open(&directory.path().join("store"), &limits.store).expect("a store"));
        let leases = LeaseKeeper::new(NodeId::new(&clock, &random).expect("an id"), &Duty::ALL, &limits, &clock);
        leases.renew(&*store).await.expect("leases");
        let vault = Vault::new(&[7; 32], random.clone());
        let workspace = workspace(&clock, &random, &vault);
        let connection = connection(&clock, &random, workspace.id);
        store.insert_workspace(workspace).await.expect("a workspace");
        store.insert_connection(connection.clone()).await.expect("a connection");
        let guard = Guard::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        let destinations = Arc::new(HttpClient::destinations(guard).expect("a client"));
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
        let stop = CancellationToken::new();
        let (leasing, stopped) = (context.clone(), stop.clone());
        let tasks = [
            tokio::spawn(anyhook::deliver::run(context.clone(), stop.clone())),
            tokio::spawn(async move { leasing.leases.run(&*leasing.store, stopped).await }),
        ];
        World { context, connection, tasks, stop, _directory: directory }
    }

    /// A webhook with a feed of its own.
    pub(crate) async fn subscribe(&self, hook_url: String) -> Feed {
        let (clock, random, connection) = (&self.context.clock, &self.context.random, &self.connection);
        let webhook = Webhook {
            id: WebhookId::new(clock, random).expect("an id"),
            workspace_id: connection.workspace_id,
            connection_id: connection.id,
            feed_id: FeedId::new(clock, random).expect("an id"),
            shard: connection.shard,
            integration: connection.integration.clone(),
            environment: connection.environment.clone(),
            event: Change::Updated,
            object_type: ObjectType::CrmContact,
            filters: BTreeMap::from([("owner".to_owned(), hook_url.clone())]),
            hook_url,
            interval_ms: 60_000,
            kind: WebhookKind::Virtual,
            fields: Vec::new(),
            page_max_limit: None,
            is_paused: false,
            external_xref: None,
            created_at: clock.now(),
            updated_at: clock.now(),
            registered: None,
            revision: 1,
            interval_max_ms: None,
            delivery: DeliverySettings::default(),
        };
        let new = NewWebhook { webhook, initial: None };
        let made = self.context.store.insert_webhook(new).await.expect("a webhook");
        Feed { context: self.context.clone(), connection: connection.id, id: made.feed_id }
    }

    /// Ends in the middle of whatever is under way: nobody waits for endpoints that hang.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Feed {
    /// Commits one record, as a page that is the feed's `page`-th.
    pub(crate) async fn commit(&self, page: u64, number: u64) {
        let mut builder = LogPageBuilder::default();
        let object = format!(r#"{{"id":"{number}","name":"{}"}}"#, "x".repeat(TEXT_BYTES));
        builder.push(Change::Updated, object.as_bytes(), None);
        let now = self.context.clock.now();
        let meta = PageMeta { found: Found::Native, made_at: now, from: None, token: None, is_last: false };
        let pages = vec![builder.encode(&meta).expect("a page")];
        let append = ArrivalFeed { feed: self.id, expected_end: page, ledger: Vec::new(), pages };
        let (connection, appends, pings) = (self.connection, vec![append], Vec::new());
        let commit = ArrivalCommit { connection, appends, pings, delivery: None, now };
        self.context.store.commit_arrival(commit).await.expect("a commit");
    }
}

fn workspace(clock: &Clock, random: &Random, vault: &Vault) -> Workspace {
    let id = WorkspaceId::new(clock, random).expect("an id");
    let secret = vault.seal(&format!("workspace/{id}"), b"a secret of the bench").expect("a sealed secret");
    Workspace::new(id, "bench", [1; 32], secret, clock.now())
}

fn connection(clock: &Clock, random: &Random, workspace_id: WorkspaceId) -> Connection {
    let bucket = "sandbox/1".to_owned();
    Connection {
        id: ConnectionId::new(clock, random).expect("an id"),
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
