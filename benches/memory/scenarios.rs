//! The loads, and the memory that each may take.

use crate::common::peers::Peer;
use crate::server::Server;
use crate::table::{Phase, Table};
use crate::vendor::{self, Ids};
use anyhook::limits::Limits;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// How long a load may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(4 * 3_600);
/// Records changed at once under a full ledger.
const CHANGES: u64 = 20_000;
/// Requests at the same time that make feeds.
const MAKERS: usize = 32;
/// How long idle feeds are watched.
const IDLE_FOR: Duration = Duration::from_secs(180);

/// MiB that a server may take beside what its store's cache does: code, connections, pages on their way.
const BESIDE_MIB: u64 = 256;
/// Bytes that a feed may take with its webhook and connection while nothing happens.
const FEED_BYTES: u64 = 8 << 10;

/// What the store may take: sled holds about four times its cache's setting.
fn store_mib() -> u64 {
    4 * (Limits::default().store.cache_bytes >> 20)
}

/// Runs the loads whose names were given, or all.
pub(crate) fn run(named: &[String]) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let wanted = |name: &str, usual: u64| {
        if named.is_empty() {
            return Some(usual);
        }
        named.iter().find_map(|given| match given.split_once('=') {
            Some((given, count)) if given == name => Some(count.parse().expect("a count")),
            None if given == name => Some(usual),
            _ => None,
        })
    };
    let mut table = Table::new();
    runtime.block_on(async {
        if let Some(records) = wanted("ledger", 10_000_000) {
            ledger(&mut table, records, Ids::Growing, "growing ids").await;
        }
        if let Some(records) = wanted("drawn", 1_000_000) {
            ledger(&mut table, records, Ids::Drawn, "drawn ids").await;
        }
        if let Some(records) = wanted("backfill", 1_000_000) {
            backfill(&mut table, records).await;
        }
        if let Some(feeds) = wanted("idle", 10_000) {
            idle(&mut table, feeds).await;
        }
    });
    if table.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A feed that remembers every record: it learns them by one listing, and then finds changes all over them.
async fn ledger(table: &mut Table, records: u64, ids: Ids, kind: &str) {
    let (vendor, receiver) = (vendor::start(records, ids), Peer::receiver());
    let bound = store_mib() + BESIDE_MIB;
    let mut server = Server::start();
    let auth = json!({
        "api_url": vendor.url, "user_id": "bench", "token": "bench", "meta": {"bucket": "b", "collection": "c"},
    });
    let connection = server.client.import("kinto", &auth).await;
    let phase = Phase::begin(&server, 0);
    let subscribe = async |server: &Server, event: &str| {
        let hook = json!({
            "connection_id": connection, "object_type": "crm_contact", "event": event, "webhook_type": "virtual",
            "hook_url": format!("{}/hook/{event}", receiver.url), "interval": 1.0 / 30.0, "page_max_limit": 100,
        });
        server.client.make("/unified/webhook", &hook).await
    };
    // Kinto does not say when a record was created, so that whoever asks for that makes the feed remember all.
    let created = subscribe(&server, "created").await;
    server.client.wait_polled_for(&created, PATIENCE).await;
    let requests = server.client.polls(&vendor.url).await;
    table.row(&format!("ledger, {kind}: learned"), records, &server, &phase, requests, bound).await;

    subscribe(&server, "updated").await;
    let mut taken = 0;
    for name in ["changes all over it", "the same after a new start"] {
        let phase = if taken == 0 {
            Phase::begin(&server, server.client.polls(&vendor.url).await)
        } else {
            let requests = server.client.polls(&vendor.url).await;
            server = server.start_again();
            Phase::from_start(&server, requests)
        };
        let answer = server.client.post(&format!("{}/change", vendor.url), &json!({"count": CHANGES})).await;
        let changed = answer["changed"].as_u64().expect("a count");
        taken += changed;
        server.client.wait_taken(&receiver.url, taken).await;
        let requests = server.client.polls(&vendor.url).await;
        table.row(&format!("ledger, {kind}: {name}"), changed, &server, &phase, requests, bound).await;
    }
}

/// The history of a vendor to one receiver.
async fn backfill(table: &mut Table, records: u64) {
    let vendor = Peer::vendor(u32::try_from(records).expect("a count"));
    let receiver = Peer::receiver();
    let server = Server::start();
    let connection = server.client.connect(&vendor.url).await;
    let phase = Phase::begin(&server, 0);
    server.client.subscribe(&connection, &format!("{}/hook/0", receiver.url), 100, true, 60_000.0).await;
    server.client.wait_taken_for(&receiver.url, records, PATIENCE).await;
    let requests = server.client.polls(&vendor.url).await;
    table.row("history to one receiver", records, &server, &phase, requests, store_mib() + BESIDE_MIB).await;
}

/// Feeds that are polled each minute while nothing changes.
async fn idle(table: &mut Table, feeds: u64) {
    let (vendor, receiver) = (Peer::vendor(0), Peer::receiver());
    let server = Server::start();
    let bound = store_mib() + BESIDE_MIB + ((feeds * FEED_BYTES) >> 20);
    let phase = Phase::begin(&server, 0);
    let mut left = 0..feeds;
    let mut last = String::new();
    loop {
        let few = left.by_ref().take(MAKERS).map(|index| {
            let (server, vendor, hook) = (&server, &vendor, format!("{}/hook/{index}", receiver.url));
            async move {
                let connection = server.client.connect(&vendor.url).await;
                server.client.subscribe(&connection, &hook, 100, false, 60_000.0).await
            }
        });
        match futures_util::future::join_all(few).await.pop() {
            Some(webhook) => last = webhook,
            None => break,
        }
    }
    server.client.wait_polled(&last).await;
    let requests = server.client.polls(&vendor.url).await;
    table.row("feeds made and begun", feeds, &server, &phase, requests, bound).await;
    let phase = Phase::begin(&server, server.client.polls(&vendor.url).await);
    tokio::time::sleep(IDLE_FOR).await;
    let requests = server.client.polls(&vendor.url).await;
    table.row("idle feeds, polled each minute", feeds, &server, &phase, requests, bound).await;
}
