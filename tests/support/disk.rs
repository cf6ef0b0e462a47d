//! A store that an engine can lose: it may be slow, be away for a while, and at any call the engine may die, before what
//! it asked for is kept or right after.

use super::holdings::Holdings;
use anyhook::clock::Clock;
use anyhook::ids::{ConnectionId, DestinationId, FeedId, JobId, NodeId, WebhookId, WorkspaceId};
use anyhook::store::*;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Calls at one instant of simulated time after which an engine is taken to be going round in circles.
const CALLS_AT_ONCE_MAX: u32 = 50_000;

/// What outlives engines.
pub struct Disk {
    pub store: Arc<MemoryStore>,
    pub is_away: AtomicBool,
    /// Calls until an engine dies; negative for never.
    pub fuel: AtomicI64,
    /// Whether the call at which it dies is kept.
    is_last_kept: AtomicBool,
    has_circles: AtomicBool,
    /// When each engine began, and ended.
    engines: Mutex<Vec<(Instant, Option<Instant>)>>,
    /// When each feed's last run began, and whether it went well.
    runs: Mutex<HashMap<FeedId, (DateTime<Utc>, bool)>>,
    random: Mutex<fastrand::Rng>,
    latency_us_max: u64,
    /// What decides who lives; each engine's own clock where there is none.
    pub clock: OnceLock<Clock>,
    /// Which engine holds which shard.
    pub holdings: Holdings,
}

impl Disk {
    pub fn new(store: MemoryStore, seed: u64, latency_us_max: u64) -> Arc<Self> {
        Arc::new(Disk {
            store: Arc::new(store),
            is_away: AtomicBool::new(false),
            fuel: AtomicI64::new(-1),
            is_last_kept: AtomicBool::new(false),
            has_circles: AtomicBool::new(false),
            engines: Mutex::default(),
            runs: Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            latency_us_max,
            clock: OnceLock::new(),
            holdings: Holdings::default(),
        })
    }

    /// Takes no more writes, or does again.
    pub fn be_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// An engine dies at this call from now, before what it asks for is kept or right after.
    pub fn die_at(&self, calls: i64, is_kept: bool) {
        self.is_last_kept.store(is_kept, Ordering::Relaxed);
        self.fuel.store(calls, Ordering::Relaxed);
    }

    /// No engine dies any more.
    pub fn live_on(&self) {
        self.fuel.store(-1, Ordering::Relaxed);
    }

    /// True once an engine went round in circles without any time passing; it is dead then.
    pub fn has_circles(&self) -> bool {
        self.has_circles.load(Ordering::Relaxed)
    }

    /// When a feed's last run began by our clock, and whether it went well.
    pub fn last_run(&self, feed: FeedId) -> Option<(DateTime<Utc>, bool)> {
        self.runs.lock().unwrap().get(&feed).copied()
    }

    /// When an engine began, and when it ended if it has.
    pub fn engine(&self, number: usize) -> (Instant, Option<Instant>) {
        self.engines.lock().unwrap()[number]
    }

    fn latency(&self) -> Duration {
        Duration::from_micros(self.random.lock().unwrap().u64(..=self.latency_us_max))
    }
}

/// The disk as one engine sees it.
pub struct EngineStore {
    disk: Arc<Disk>,
    clock: Clock,
    /// The engine's own.
    own_clock: Clock,
    /// The engine is dead: nothing it asks for is ever answered.
    pub dead: CancellationToken,
    /// Counts engines.
    pub number: usize,
    /// Leases can be neither taken nor renewed.
    pub is_cut_off: AtomicBool,
    /// Commits of pages under way by feed, and whether one has failed: those behind it fail too.
    commits: Mutex<HashMap<FeedId, (u32, bool)>>,
    calls: Mutex<(Instant, u32)>,
}

impl EngineStore {
    pub fn new(disk: Arc<Disk>, clock: Clock, own_clock: Clock) -> Self {
        let calls = Mutex::new((Instant::now(), 0));
        let number = {
            let mut engines = disk.engines.lock().unwrap();
            engines.push((Instant::now(), None));
            engines.len() - 1
        };
        let (dead, is_cut_off) = (CancellationToken::new(), AtomicBool::new(false));
        EngineStore { disk, clock, own_clock, dead, number, is_cut_off, commits: Mutex::default(), calls }
    }

    /// Ends the engine.
    pub fn die(&self) {
        self.dead.cancel();
        self.disk.engines.lock().unwrap()[self.number].1.get_or_insert_with(Instant::now);
    }

    /// Returns once the engine does not stall; never where it is dead.
    pub async fn live(&self) {
        self.own_clock.awake().await;
        if self.dead.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    async fn call<T>(&self, writes: bool, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.live().await;
        self.notice_circles();
        self.live().await;
        let dies = self.disk.fuel.load(Ordering::Relaxed) >= 0 && self.disk.fuel.fetch_sub(1, Ordering::Relaxed) == 0;
        if dies && !self.disk.is_last_kept.load(Ordering::Relaxed) {
            self.die();
            self.live().await;
        }
        if writes && self.disk.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk is away".to_owned()));
        }
        let result = work.await;
        if dies {
            self.die();
        }
        self.live().await;
        let latency = self.disk.latency();
        if !latency.is_zero() {
            self.clock.sleep(latency).await;
            self.live().await;
        }
        result
    }

    /// Notes where the store takes what is written for a shard by a lease that has ended.
    async fn fenced<T>(
        &self,
        fence: Fence,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let is_held = self.disk.holdings.is_held(fence);
        let kept = work.await;
        if kept.is_ok() && !is_held {
            self.disk.holdings.note_stray(self.number, fence);
        }
        kept
    }

    fn notice_circles(&self) {
        let mut calls = self.calls.lock().unwrap();
        if calls.0 == Instant::now() {
            calls.1 += 1;
        } else {
            *calls = (Instant::now(), 0);
        }
        if calls.1 == CALLS_AT_ONCE_MAX {
            self.disk.has_circles.store(true, Ordering::Relaxed);
            self.die();
        }
    }

    /// Commits of one feed behind one that failed fail too, as the contract has it.
    async fn commit_in_order(&self, commit: PageCommit) -> Result<PageCommitted, StoreError> {
        let feed = commit.feed;
        let is_behind_failure = {
            let mut commits = self.commits.lock().unwrap();
            let (under_way, has_failed) = commits.entry(feed).or_default();
            *under_way += 1;
            *has_failed
        };
        let result = if is_behind_failure {
            Err(StoreError::Conflict("log"))
        } else {
            self.call(true, self.fenced(commit.fence, self.disk.store.commit_page(commit))).await
        };
        let mut commits = self.commits.lock().unwrap();
        if let Some((under_way, has_failed)) = commits.get_mut(&feed) {
            *under_way -= 1;
            *has_failed |= result.is_err();
            if *under_way == 0 {
                commits.remove(&feed);
            }
        }
        result
    }
}

macro_rules! pass_on {
    ($(impl $noun:ident { $($mode:ident $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)* })*) => {$(
        #[async_trait]
        impl $noun for EngineStore {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, StoreError> {
                self.call(pass_on!(@$mode), pass_on!(@$mode self $name $($arg)*)).await
            })*
        }
    )*};
    (@reads) => { false };
    (@$writes:ident) => { true };
    (@fenced $self:ident $name:ident $arg:ident) => { $self.fenced($arg.fence, $self.disk.store.$name($arg)) };
    (@$mode:ident $self:ident $name:ident $($arg:ident)*) => { $self.disk.store.$name($($arg),*) };
}

pass_on! {
    impl Workspaces {
        writes store_key(fresh: [u8; 32]) -> [u8; 32];
        writes insert_workspace(workspace: Workspace) -> ();
        writes insert_first_workspace(workspace: Workspace) -> ();
        writes replace_workspace(workspace: Workspace) -> Workspace;
        reads workspace(id: WorkspaceId) -> Option<Workspace>;
        reads workspace_by_key(key_hash: &[u8; 32]) -> Option<Workspace>;
        reads workspaces(after: Option<WorkspaceId>, limit: usize) -> Vec<Workspace>;
    }
    impl Connections {
        writes insert_connection(connection: Connection) -> ();
        reads connection(id: ConnectionId) -> Option<Connection>;
        reads connections(workspace: WorkspaceId, query: &ConnectionQuery) -> Vec<Connection>;
        reads count_connections(workspace: WorkspaceId) -> u64;
        writes replace_connection(connection: Connection) -> Connection;
        writes delete_connection(id: ConnectionId, now: DateTime<Utc>) -> Vec<WebhookId>;
    }
    impl Webhooks {
        writes insert_webhook(new: NewWebhook) -> Webhook;
        reads webhook(id: WebhookId) -> Option<Webhook>;
        reads webhooks(workspace: WorkspaceId, query: &WebhookQuery) -> Vec<Webhook>;
        reads count_webhooks(connection: ConnectionId) -> usize;
        reads webhooks_of_feed(feed: FeedId, after: Option<WebhookId>, limit: usize) -> Vec<Webhook>;
        reads webhooks_of_shard(shard: ShardId, after: Option<WebhookId>, limit: usize) -> Vec<Webhook>;
        writes replace_webhook(webhook: Webhook) -> Webhook;
        writes delete_webhook(id: WebhookId, now: DateTime<Utc>) -> ();
    }
    impl Sweeps {
        reads sweep(feed: FeedId) -> Sweep;
        fenced commit_sweep(commit: SweepCommit) -> (Sweep, PageCommitted);
        reads seen_rows(feed: FeedId, first: u64, limit: usize) -> Vec<Vec<u64>>;
        reads suspect_row(feed: FeedId, row: u64) -> Vec<String>;
        reads ledger_after(feed: FeedId, after: Option<&str>, limit: usize) -> Vec<(String, LedgerEntry)>;
    }
    impl Log {
        reads log_head(feed: FeedId) -> LogHead;
        reads log_page(feed: FeedId, sequence: u64) -> Option<Vec<u8>>;
        writes commit_arrival(commit: ArrivalCommit) -> Arrived;
        fenced trim_log(trim: Trim) -> u64;
        reads kept(feed: FeedId, now: DateTime<Utc>) -> Kept;
        reads kept_page(feed: FeedId, sequence: u64) -> Option<Vec<u8>>;
        writes forget_kept(after: Option<FeedId>, keep: Keep, feeds_max: usize) -> Option<FeedId>;
        reads kept_deletions(feed: FeedId, after: Option<&str>, limit: usize) -> Vec<KeptDeletion>;
    }
    impl Deliveries {
        reads delivery(webhook: WebhookId) -> Option<DeliveryState>;
        reads standing(webhook: WebhookId) -> Option<Standing>;
        fenced finish_attempt(finish: AttemptFinish) -> ();
        writes skip_batch(skip: Skip) -> ();
        reads waiting_webhooks(shard: ShardId, after: Option<WebhookId>, limit: usize) -> (Vec<WebhookId>, Option<WebhookId>);
        reads due_retries(shards: &[ShardId], limit: usize) -> Vec<DueRetry>;
        writes resume_webhook(webhook: WebhookId, now: DateTime<Utc>) -> ();
    }
    impl Listings {
        writes insert_job(job: ListingJob) -> ();
        reads job(id: JobId) -> Option<ListingJob>;
        reads jobs_of_webhook(webhook: WebhookId, limit: usize) -> Vec<ListingJob>;
        reads open_jobs(shard: ShardId, after: Option<JobId>, limit: usize) -> Vec<ListingJob>;
        fenced begin_catch_up(catch_up: CatchUp) -> ();
        writes claim_turn(fence: Fence, id: JobId) -> bool;
        fenced commit_listing(commit: ListingCommit) -> ListingJob;
        reads spool_page(job: JobId, sequence: u64) -> Option<Vec<u8>>;
        writes cancel_job(id: JobId, now: DateTime<Utc>) -> ();
    }
    impl Audit {
        writes record_call(call: ApiCall) -> ();
        reads api_call(id: &str) -> Option<ApiCall>;
        reads api_calls(workspace: WorkspaceId, query: &ApiCallQuery) -> Vec<ApiCall>;
        writes forget_calls(before: DateTime<Utc>, rows_max: usize) -> bool;
    }
    impl Replays {
        writes begin_replay(replay: Replay) -> ();
        reads replay(webhook: WebhookId) -> Option<Replay>;
        reads open_replays(shards: &[ShardId], limit: usize) -> Vec<Replay>;
        fenced step_replay(step: ReplayStep) -> ();
        writes cancel_replay(webhook: WebhookId, now: DateTime<Utc>) -> Replay;
    }
    impl Insights {
        reads insights(query: &InsightQuery) -> Vec<Insight>;
    }
    impl Notifications {
        reads notifications(workspace: WorkspaceId, query: &NotificationQuery) -> Vec<Notification>;
        reads notifications_from(workspace: WorkspaceId, sequence: u64, limit: usize) -> Vec<PlacedNotification>;
        reads oldest_left(workspace: WorkspaceId, of_polls: bool) -> Option<PlacedNotification>;
    }
    impl Destinations {
        writes insert_destination(destination: Destination) -> Destination;
        reads destination(id: DestinationId) -> Option<Destination>;
        reads destinations(workspace: WorkspaceId, page: &ListPage) -> Vec<Destination>;
        reads destinations_of_shard(shard: ShardId, after: Option<DestinationId>, limit: usize) -> Vec<Destination>;
        writes replace_destination(destination: Destination) -> Destination;
        writes delete_destination(id: DestinationId) -> ();
    }
}

#[async_trait]
impl Leases for EngineStore {
    async fn time(&self, ours: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
        Ok(self.disk.clock.get().map_or(ours, Clock::now))
    }

    async fn heartbeat(
        &self,
        node: NodeId,
        duties: &[Duty],
        now: DateTime<Utc>,
        ttl_ms: u64,
    ) -> Result<Heartbeat, StoreError> {
        if self.is_cut_off.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("leases cannot be renewed".to_owned()));
        }
        self.call(true, self.disk.store.heartbeat(node, duties, now, ttl_ms)).await
    }

    async fn take_shards(
        &self,
        node: NodeId,
        shards: &[(Duty, ShardId)],
        now: DateTime<Utc>,
    ) -> Result<Vec<Fence>, StoreError> {
        let take = async {
            let taken = self.disk.store.take_shards(node, shards, now).await?;
            self.disk.holdings.taken(self.number, &taken);
            Ok(taken)
        };
        self.call(true, take).await
    }

    async fn give_shards(&self, fences: &[Fence]) -> Result<(), StoreError> {
        let give = async {
            self.disk.holdings.given(fences);
            self.disk.store.give_shards(fences).await
        };
        self.call(true, give).await
    }

    async fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        let leave = async {
            self.disk.holdings.left(self.number);
            self.disk.store.leave(node).await
        };
        self.call(true, leave).await
    }

    async fn pause(&self, quota: &str) -> Result<Option<Pause>, StoreError> {
        self.call(false, self.disk.store.pause(quota)).await
    }

    async fn extend_pause(&self, quota: &str, pause: Pause) -> Result<(), StoreError> {
        self.call(true, self.disk.store.extend_pause(quota, pause)).await
    }
}

#[async_trait]
impl Feeds for EngineStore {
    async fn feed(&self, id: FeedId) -> Result<Option<Feed>, StoreError> {
        self.call(false, self.disk.store.feed(id)).await
    }

    async fn feeds_of_connection(&self, connection: ConnectionId, limit: usize) -> Result<Vec<Feed>, StoreError> {
        self.call(false, self.disk.store.feeds_of_connection(connection, limit)).await
    }

    async fn feed_states(&self, ids: &[FeedId]) -> Result<Vec<FeedState>, StoreError> {
        self.call(false, self.disk.store.feed_states(ids)).await
    }

    async fn feed_state(&self, id: FeedId) -> Result<FeedState, StoreError> {
        self.call(false, self.disk.store.feed_state(id)).await
    }

    async fn poll_start(&self, feed: FeedId) -> Result<Option<PollStart>, StoreError> {
        self.call(false, self.disk.store.poll_start(feed)).await
    }

    async fn stand(&self, feed: FeedId, parent: &str) -> Result<(Progress, LogHead), StoreError> {
        self.call(false, self.disk.store.stand(feed, parent)).await
    }

    async fn progress(&self, feed: FeedId, parent: &str) -> Result<Progress, StoreError> {
        self.call(false, self.disk.store.progress(feed, parent)).await
    }

    async fn feed_due(&self, id: FeedId) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.call(false, self.disk.store.feed_due(id)).await
    }

    async fn due_feeds(
        &self,
        shards: &[ShardId],
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueFeed>, StoreError> {
        self.call(false, self.disk.store.due_feeds(shards, until, limit)).await
    }

    async fn ping_feed(&self, feed: FeedId, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.call(true, self.disk.store.ping_feed(feed, now)).await
    }

    async fn pings(&self, feed: FeedId) -> Result<u64, StoreError> {
        self.call(false, self.disk.store.pings(feed)).await
    }

    async fn ledger(&self, feed: FeedId, ids: &[&str]) -> Result<Vec<Option<LedgerEntry>>, StoreError> {
        self.call(false, self.disk.store.ledger(feed, ids)).await
    }

    async fn commit_page(&self, commit: PageCommit) -> Result<PageCommitted, StoreError> {
        self.commit_in_order(commit).await
    }

    async fn finish_run(&self, finish: RunFinish) -> Result<(), StoreError> {
        let run = finish.call.as_ref().map(|call| (finish.feed, (call.at, !call.is_failure())));
        let kept = self.call(true, self.fenced(finish.fence, self.disk.store.finish_run(finish))).await;
        self.disk.runs.lock().unwrap().extend(run.filter(|_| kept.is_ok()));
        kept
    }

    async fn clean_up(&self, rows_max: usize) -> Result<bool, StoreError> {
        self.call(true, self.disk.store.clean_up(rows_max)).await
    }
}

#[async_trait]
impl Moves for EngineStore {
    async fn unsettled_move(&self) -> Result<Option<Move>, StoreError> {
        self.call(false, self.disk.store.unsettled_move()).await
    }

    async fn reopen_moved(&self) -> Result<Option<Move>, StoreError> {
        self.call(true, self.disk.store.reopen_moved()).await
    }
}

impl Store for EngineStore {
    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.disk.store.wakes()
    }
}
