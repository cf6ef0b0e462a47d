//! What only a store on disk can promise.

use crate::world::{EVER, World, at, entry, limits, page};
use anyhook::limits::StoreLimits;
use anyhook::store::{
    Duty, Fence, JobMode, Outcome, PageCommit, PageCommitted, Position, Progress, SledStore, StoreError, Stream,
    Webhook,
};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Set for a process that writes until it is killed.
const WRITES_TO: &str = "STORE_SUITE_WRITES_TO";
const RECORDS_PER_PAGE: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_disk(directory.path());
    let webhook = world.webhook().await;
    let job = world.job(&webhook, JobMode::Initial);
    world.store.insert_job(job.clone()).await.unwrap();
    let fence = world.fence(webhook.shard).await;
    let large = "x".repeat(200_000);
    world.log(&webhook, fence, &["small", &large]).await;
    world.store.commit_listing(world.listing(&job, fence, &["listed"])).await.unwrap();
    let position = Position { sequence: 1, offset: 0 };
    let outcome = Outcome::Delivered { stream: Stream::Live, position, is_last: false };
    world.store.finish_attempt(world.attempt(&webhook, fence, outcome)).await.unwrap();
    let key = world.store.store_key([1; 32]).await.unwrap();
    drop(world);

    let world = World::on_disk(directory.path());
    assert_eq!(world.store.store_key([2; 32]).await.unwrap(), key);
    assert_eq!(world.store.webhook(webhook.id).await.unwrap(), Some(webhook.clone()));
    assert_eq!(world.store.log_page(webhook.feed_id, 1).await.unwrap().unwrap(), large.as_bytes());
    assert_eq!(world.store.spool_page(job.id, 0).await.unwrap().unwrap(), b"listed");
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.position, state.listing), (position, Some(job.id)));
    assert_eq!(world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_the_process_before_are_void() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_disk(directory.path());
    let webhook = world.webhook().await;
    let old = world.fence(webhook.shard).await;
    drop(world);
    let world = World::on_disk(directory.path());
    let commit = world.page_commit(&webhook, old).await;
    assert_eq!(world.store.commit_page(commit).await, Err(StoreError::Fenced(old)));
    let beat = world.store.heartbeat(world.node_id(), &Duty::ALL, at(0), 1_000).await.unwrap();
    assert_eq!(
        (beat.nodes.len(), beat.free.len()),
        (1, 128),
        "nobody waits for a lease to expire whose process is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let _world = World::on_disk(directory.path());
    assert!(matches!(SledStore::open(directory.path(), &limits()), Err(StoreError::Unavailable(_))));
}

/// Work in a hurry does not wait for work in none, and takes it along.
#[tokio::test(flavor = "multi_thread")]
async fn positions_wait_for_company_and_nobody_waits_for_them() {
    let directory = tempfile::tempdir().unwrap();
    let limits = StoreLimits { position_linger_ms: 600_000, ..limits() };
    let world = World::new(Arc::new(SledStore::open(directory.path(), &limits).unwrap()));
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let passed = |sequence| Outcome::Passed { stream: Stream::Live, position: Position { sequence, offset: 0 } };

    let mut lazy = Box::pin(world.store.finish_attempt(world.attempt(&webhook, fence, passed(1))));
    assert!(futures_util::poll!(&mut lazy).is_pending());
    world.store.ping_feed(webhook.feed_id, at(0)).await.unwrap();
    lazy.await.unwrap();

    let many = (0..512).map(|sequence| world.store.finish_attempt(world.attempt(&webhook, fence, passed(sequence))));
    let many = tokio::time::timeout(Duration::from_secs(60), futures_util::future::join_all(many)).await;
    assert!(many.expect("a full group waits no longer").iter().all(Result::is_ok));
}

/// A unit that fails in the middle of a group takes nothing of its neighbours along.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_unit_leaves_its_group_alone() {
    let directory = tempfile::tempdir().unwrap();
    let limits = StoreLimits { page_linger_us: 200_000, ..limits() };
    let world = World::new(Arc::new(SledStore::open(directory.path(), &limits).unwrap()));
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let stale = Fence { epoch: fence.epoch - 1, ..fence };
    let base = world.page_commit(&webhook, fence).await;
    let commit = |fence, expected_end, text: &str| {
        world.store.commit_page(PageCommit { fence, expected_end, pages: vec![page(text)], ..base.clone() })
    };
    let group = [commit(fence, 0, "a"), commit(stale, 1, "b"), commit(fence, 1, "c"), commit(fence, 9, "d")];
    let results = futures_util::future::join_all(group).await;
    let conflict = Err(StoreError::Conflict("log"));
    let kept = |end| Ok(PageCommitted { end });
    assert_eq!(results, [kept(1), Err(StoreError::Fenced(stale)), kept(2), conflict]);
    assert_eq!(world.store.log_page(webhook.feed_id, 1).await.unwrap().unwrap(), b"c");
}

/// Bystanders get their turn while one feed commits without a pause.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_feed_starves_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_disk(directory.path());
    let (busy, other) = (world.webhook().await, world.webhook().await);
    let fence = world.fence(busy.shard).await;
    let base = world.page_commit(&busy, fence).await;
    let store = world.store.clone();
    let stop = Arc::new(tokio::sync::Notify::new());
    let stopped = stop.clone();
    let flood = tokio::spawn(async move {
        let commits = (0..).map(|end| PageCommit { expected_end: end, pages: vec![page("p")], ..base.clone() });
        let commits = futures_util::stream::iter(commits.map(|commit| {
            let store = store.clone();
            async move { store.commit_page(commit).await.unwrap().end }
        }));
        use futures_util::StreamExt;
        commits.buffered(500).take_until(stopped.notified()).fold(0, async |_, end| end).await
    });
    for ping in 1..=20 {
        let answer = world.store.ping_feed(other.feed_id, at(0));
        let answer = tokio::time::timeout(Duration::from_secs(30), answer).await.expect("it gets its turn");
        assert_eq!(answer, Ok(ping));
    }
    stop.notify_one();
    assert!(flood.await.unwrap() > 0);
}

fn numbered(number: u64) -> PageParts {
    let ledger = (0..RECORDS_PER_PAGE).map(|record| (format!("{number}-{record}"), entry(number as i64, number)));
    PageParts { text: format!("page {number}"), cursor: number.to_string(), ledger: ledger.collect() }
}

struct PageParts {
    text: String,
    cursor: String,
    ledger: Vec<(String, anyhook::store::LedgerEntry)>,
}

async fn the_webhook(world: &World) -> Webhook {
    world.store.webhooks_of_feed(the_feed(world).await, None, 1).await.unwrap().remove(0)
}

async fn the_feed(world: &World) -> anyhook::ids::FeedId {
    let shards: Vec<_> = (0..anyhook::store::SHARDS).map(anyhook::store::ShardId).collect();
    world.store.due_feeds(&shards, EVER, 1).await.unwrap()[0].feed
}

/// Not a test of its own: what the killed process runs. It says what was acknowledged, on a line each.
#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_is_killed() {
    let Some(directory) = std::env::var_os(WRITES_TO) else { return };
    let world = World::on_disk(Path::new(&directory));
    let webhook = the_webhook(&world).await;
    let fence = world.fence(webhook.shard).await;
    let base = world.page_commit(&webhook, fence).await;
    let commits = (base.expected_end..).map(|number| {
        let PageParts { text, cursor, ledger } = numbered(number);
        let progress = Progress { cursor: Some(cursor), ..Progress::default() };
        let commit = PageCommit { expected_end: number, ledger, progress, pages: vec![page(&text)], ..base.clone() };
        let passed = Outcome::Passed { stream: Stream::Live, position: Position { sequence: number, offset: 0 } };
        let attempt = world.attempt(&webhook, fence, passed);
        let store = world.store.clone();
        async move {
            let (page, position) = tokio::join!(store.commit_page(commit), store.finish_attempt(attempt));
            (page.unwrap().end, position.unwrap()).0
        }
    });
    use futures_util::StreamExt;
    let mut acknowledged = futures_util::stream::iter(commits).buffered(32);
    while let Some(end) = acknowledged.next().await {
        // Beside the harness, which captures what is printed.
        let mut out = std::io::stderr().lock();
        writeln!(out, "acknowledged {end}").unwrap();
    }
}

/// The end that the last line from a process which is killed after a while tells of.
fn write_until_killed(directory: &Path, lines: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["sled_only::the_process_that_is_killed", "--exact", "--nocapture"])
        .env(WRITES_TO, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let is_told = |line: &String| line.starts_with("acknowledged ");
    let told: Vec<_> = out.by_ref().filter(is_told).take(lines).collect();
    assert_eq!(told.len(), lines, "the process has failed");
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died counts too; its last line may be cut short.
    let rest: Vec<_> = out.filter(is_told).collect();
    let ends = told.iter().chain(&rest[..rest.len().saturating_sub(1)]);
    ends.map(|line| line["acknowledged ".len()..].parse().unwrap()).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_acknowledged_and_tears_no_unit() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::on_disk(directory.path());
    let webhook = world.webhook().await;
    drop(world);
    for kill in 0..10 {
        let begun = Instant::now();
        let acknowledged = write_until_killed(directory.path(), 20 + kill * 37);
        let world = World::on_disk(directory.path());
        let end = world.store.log_head(webhook.feed_id).await.unwrap().end;
        assert!(end >= acknowledged, "kill {kill}: {acknowledged} pages were acknowledged, {end} are there");
        let cursor = world.store.progress(webhook.feed_id, "").await.unwrap().cursor;
        assert_eq!(cursor, Some((end - 1).to_string()), "progress and log are one unit");
        for number in 0..end {
            let PageParts { text, ledger, .. } = numbered(number);
            let stored = world.store.log_page(webhook.feed_id, number).await.unwrap().unwrap();
            assert_eq!(stored, text.as_bytes());
            let ids: Vec<_> = ledger.iter().map(|(id, _)| id.as_str()).collect();
            let known = world.store.ledger(webhook.feed_id, &ids).await.unwrap();
            assert!(known.iter().zip(&ledger).all(|(known, (_, entry))| *known == Some(*entry)), "page {number}");
        }
        let beyond = numbered(end).ledger;
        let ids: Vec<_> = beyond.iter().map(|(id, _)| id.as_str()).collect();
        let known = world.store.ledger(webhook.feed_id, &ids).await.unwrap();
        assert!(known.iter().all(Option::is_none), "nothing is there of a page that is not");
        let position = world.store.delivery(webhook.id).await.unwrap().unwrap().position.sequence;
        assert!(position + 1 >= acknowledged, "kill {kill}: position {position} of {acknowledged}");
        eprintln!("kill {kill}: {acknowledged} acknowledged, {end} there, {:?}", begun.elapsed());
    }
}
