//! Kept samples of every row that was ever written. A build must read them all.
//!
//! `samples/v1.txt` holds a line for each kind: its name, then JSON, or hexadecimal for compact rows; `v2.txt` the kinds
//! that have a second format, and so on. They are never changed.

mod newer;

use super::calls::{Counters, Ring, Scope};
use super::delivery_row::Delivery;
use super::engine::{MemoryEngine, Read, Tree, Value};
use super::head::Head;
use super::leaf::{self, Known};
use super::leases::{Held, Life};
use super::marks::Marks;
use super::txn::Txn;
use super::{call_rings, insight_row, keys, leases, pages, progress, rows, sweeps, workspaces};
use crate::ids::{ConnectionId, FeedId, JobId, NodeId, WebhookId, WorkspaceId};
use crate::limits::StoreLimits;
use crate::store::{
    ApiCall, Beside, ChangeCounts, Connection, DeliveryState, Destination, Duty, Feed, FeedHealth, FeedState, Fence,
    Figures, Kept, KeptDeletion, Lags, LedgerEntry, ListingJob, LogHead, Missed, Move, Notification, Pause, Position,
    Progress, Replay, ReplayState, Retry, ShardId, StoreError, Stream, Sweep, Webhook, WebhookHealth, Workspace,
};
use anyhook_connectors::walk::Checkpoint;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const KEPT: &str = include_str!("samples/v1.txt");
const KEPT_2: &str = include_str!("samples/v2.txt");
const KEPT_3: &str = include_str!("samples/v3.txt");
const KEPT_4: &str = include_str!("samples/v4.txt");
const KEPT_5: &str = include_str!("samples/v5.txt");

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 5_000_000).unwrap()
}

/// The row that was kept, and what it is now.
fn kept(kind: &str) -> Value {
    kept_in(KEPT, kind)
}

fn kept_in(file: &str, kind: &str) -> Value {
    let line = file.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("there is no sample of {kind}"));
    match line.starts_with('{') {
        true => Value::from([&[1], line.as_bytes()].concat()),
        false => Value::from(hex::decode(line).unwrap()),
    }
}

/// Sees that a compact row is read as what it was written from, still written so, and refused if it is newer or cut.
fn compact<T: PartialEq + Debug>(
    kind: &str,
    expected: &T,
    written: &Value,
    read: impl Fn(&[u8]) -> Result<T, StoreError>,
) {
    compact_in(KEPT, kind, expected, written, read);
}

fn compact_in<T: PartialEq + Debug>(
    file: &str,
    kind: &str,
    expected: &T,
    written: &Value,
    read: impl Fn(&[u8]) -> Result<T, StoreError>,
) {
    let row = kept_in(file, kind);
    assert_eq!(&read(&row).unwrap(), expected, "{kind}");
    assert_eq!(hex::encode(written), hex::encode(&row), "{kind} is written otherwise: give it a new format number");
    let newer = [&[row[0] + 1], &row[1..]].concat();
    assert!(read(&newer).unwrap_err().to_string().contains("newer than this build"), "{kind}");
    for wrong in [&[][..], &[0], &row[..2]] {
        assert!(matches!(read(wrong), Err(StoreError::Unreadable(_))), "{kind}");
    }
}

/// Sees that a JSON row is read, and that nothing of it is lost when it is written again.
fn json<T: Serialize + DeserializeOwned>(kind: &'static str) {
    json_in::<T>(KEPT, kind);
}

fn json_in<T: Serialize + DeserializeOwned>(file: &str, kind: &'static str) {
    let row = kept_in(file, kind);
    let read: T = rows::from_json(kind, &row).unwrap();
    let again = rows::to_json(kind, &read).unwrap();
    let (before, after): (serde_json::Value, serde_json::Value) =
        (serde_json::from_slice(&row[1..]).unwrap(), serde_json::from_slice(&again[1..]).unwrap());
    for (field, value) in before.as_object().unwrap() {
        assert_eq!(after.get(field), Some(value), "{kind}.{field}");
    }
    newer::is_readable_with_more_fields::<T>(kind, &before);
    let newer = rows::from_json::<T>(kind, &[&[2], &row[1..]].concat());
    assert!(matches!(newer, Err(StoreError::Unreadable(text)) if text.contains("newer than this build")));
}

#[test]
fn json_rows_of_version_1_are_read() {
    json::<Workspace>("workspace");
    json::<Connection>("connection");
    json::<Webhook>("webhook");
    json::<Feed>("feed");
    json::<FeedState>("feed_state");
    json::<ListingJob>("listing_job");
    json::<ApiCall>("api_call");
    json::<Move>("move");
    json::<Move>("move_left");
    let state: FeedState = rows::from_json("feed state", &kept("feed_state")).unwrap();
    assert!(matches!(state.health, FeedHealth::Unhealthy { is_credential: true, .. }));
    let feed: Feed = rows::from_json("feed", &kept("feed")).unwrap();
    assert_eq!(feed.id, FeedId::from_bytes([4; 12]));
    let job: ListingJob = rows::from_json("listing job", &kept("listing_job")).unwrap();
    assert_eq!((job.id, job.webhook_id), (JobId::from_bytes([5; 12]), WebhookId::from_bytes([3; 12])));
    let connection: Connection = rows::from_json("connection", &kept("connection")).unwrap();
    assert_eq!(connection.id, ConnectionId::from_bytes([2; 12]));
    let workspace: Workspace = rows::from_json("workspace", &kept("workspace")).unwrap();
    assert_eq!(workspace.id, WorkspaceId::from_bytes([1; 12]));
}

#[test]
fn rows_of_replays_are_read() {
    json_in::<Replay>(KEPT_2, "replay");
    json_in::<Kept>(KEPT_2, "kept_pages");
    let replay: Replay = rows::from_json("replay", &kept_in(KEPT_2, "replay")).unwrap();
    assert_eq!(replay.state, ReplayState::Failed { message: "no longer kept".into() });
    assert_eq!((replay.parts[0].records, replay.parts[1].records), (Some(7), None));
}

#[test]
fn rows_of_attempts_of_version_2_are_read() {
    json_in::<ApiCall>(KEPT_2, "api_call");
    let call: ApiCall = rows::from_json("api call", &kept_in(KEPT_2, "api_call")).unwrap();
    let note = call.attempt.unwrap();
    assert_eq!(note.stream(), Stream::Listing(JobId::from_bytes([5; 12])));
    assert_eq!(note.span.to, Position { sequence: 8, offset: 0 });
    let old: ApiCall = rows::from_json("api call", &kept("api_call")).unwrap();
    assert_eq!(old.attempt, None);
}

#[test]
fn rows_that_tell_changes_by_kind_are_read() {
    let kinds = Some(ChangeCounts { created: 1, updated: 2, deleted: 3 });
    json_in::<ApiCall>(KEPT_3, "api_call");
    let call: ApiCall = rows::from_json("api call", &kept_in(KEPT_3, "api_call")).unwrap();
    assert_eq!(call.changes, kinds);
    json_in::<Notification>(KEPT_3, "notification");
    let told: Notification = rows::from_json("notification", &kept_in(KEPT_3, "notification")).unwrap();
    assert_eq!(told.details.unwrap().kinds, kinds);
}

#[test]
fn rows_of_feeds_of_version_1_are_read() {
    let head = Head { log: LogHead { start: 3, end: 9, bytes: 4_000 }, revision: 2, swept: b"id7".to_vec() };
    compact("log_head", &head, &head.encode(), Head::decode);
    let marks = Marks { shard: ShardId(7), due: Some(at()), pings: 5, is_active: true, is_held: false };
    compact("feed_mark", &marks, &marks.encode(), Marks::decode);
    let checkpoint = Checkpoint { from: Some(at()), offset: 4, token: Some("next".into()), ..Checkpoint::default() };
    let read = Progress {
        watermark: Some(at()),
        server_time: Some(at()),
        cursor: Some("cursor".into()),
        checkpoint: Some(checkpoint),
        etag: None,
        created_from: None,
    };
    assert_eq!(progress::decode(&kept("progress")).unwrap(), read);
    let read = Progress { created_from: Some(at()), ..read };
    let row = kept_in(KEPT_2, "progress");
    compact_in(KEPT_2, "progress", &read, &row, progress::decode);
    assert_eq!(progress::encode(&read).unwrap().len(), row.len());
}

#[test]
fn rows_of_sweeps_are_read() {
    let hashes = vec![7, u64::MAX];
    assert_eq!(sweeps::decode_seen(&kept_in(KEPT_2, "sweep_seen")).unwrap(), hashes);
    compact_in(KEPT_2, "sweep_seen", &hashes, &sweeps::encode_seen(&hashes), sweeps::decode_seen);
    let ids = vec!["12".to_owned(), "7".to_owned()];
    compact_in(KEPT_2, "sweep_suspects", &ids, &sweeps::encode_suspects(&ids), sweeps::decode_suspects);
    json_in::<Sweep>(KEPT_2, "sweep");
}

#[test]
fn leaves_of_version_1_are_read() {
    let entry = LedgerEntry { updated_at_ms: 1_700_000_000_005, version: 77, is_deleted: true };
    let none = LedgerEntry { updated_at_ms: i64::MIN, version: 1, is_deleted: false };
    let known = [Known { id: b"12", entry }, Known { id: b"7", entry: none }];
    let written = leaf::encode(&known).unwrap();
    compact("ledger", &2, &written, |row| leaf::decode(row).map(|known| known.len()));
    assert_eq!(leaf::decode(&kept("ledger")).unwrap(), known);
    assert_eq!(leaf::oldest(&kept("ledger")), Ok(i64::MIN));
}

#[test]
fn rows_of_deliveries_of_all_versions_are_read() {
    let retry = Retry {
        stream: Stream::Listing(JobId::from_bytes([5; 12])),
        attempts: 3,
        first_at: at(),
        next_at: at(),
        records: 100,
        quick: 0,
        is_quick: false,
    };
    let state = DeliveryState {
        position: Position { sequence: 12, offset: 34 },
        health: WebhookHealth::Unhealthy { since: at(), message: "410".into() },
        retry: Some(retry.clone()),
        listing: Some(JobId::from_bytes([5; 12])),
        delivered: 56,
        delivered_at: Some(at()),
        beside: None,
        missed: None,
    };
    let delivery = Delivery { shard: ShardId(7), is_resting: true, state };
    assert_eq!(Delivery::decode(&kept("delivery")).unwrap(), delivery);
    let beside = Some(Beside { job: JobId::from_bytes([6; 12]), held_from: Some(13) });
    let delivery = Delivery { state: DeliveryState { beside, ..delivery.state }, ..delivery };
    assert_eq!(Delivery::decode(&kept_in(KEPT_2, "delivery")).unwrap(), delivery);
    let missed = Some(Missed { since: Some(at()), sequence: 11, pages: 5, lost_deletions: true });
    let delivery = Delivery { state: DeliveryState { missed, ..delivery.state }, ..delivery };
    assert_eq!(Delivery::decode(&kept_in(KEPT_3, "delivery")).unwrap(), delivery);
    let retry = Some(Retry { quick: 2, is_quick: true, ..retry });
    let delivery = Delivery { state: DeliveryState { retry, ..delivery.state }, ..delivery };
    compact_in(KEPT_4, "delivery", &delivery, &delivery.encode(), Delivery::decode);
}

#[test]
fn rows_of_leases_and_counters_of_version_1_are_read() {
    // It was of no duty: nobody holds it, but its epochs go on.
    assert_eq!(Held::decode(&kept("lease")), Ok(Held { epoch: 8, by: None }));
    let rings = [Ring { first: 1, next: 201 }, Ring { first: 0, next: 3 }];
    let counters = Counters { rings, is_foldable: true };
    compact("call_counter", &counters, &counters.encode(), Counters::decode);
}

#[test]
fn rows_of_leases_and_nodes_are_read() {
    let held = Held { epoch: 8, by: Some(NodeId::from_bytes([6; 12])) };
    compact_in(KEPT_2, "lease", &held, &held.encode(), Held::decode);
    let life = Life { duties: vec![Duty::Deliver], until: at(), ttl_ms: 30_000 };
    compact_in(KEPT_2, "node", &life, &life.encode(), Life::decode);
}

#[test]
fn epochs_go_on_from_rows_of_no_duty() {
    let (engine, limits) = (MemoryEngine::default(), StoreLimits::default());
    let mut txn = Txn::new(&engine, &limits);
    txn.put(Tree::Leases, keys::shard(ShardId(3)), kept("lease"));
    for duty in Duty::ALL {
        let (good, stale) = (Fence { duty, shard: ShardId(3), epoch: 8 }, Fence { duty, shard: ShardId(3), epoch: 7 });
        assert_eq!((leases::check(&txn, good), leases::check(&txn, stale)), (Ok(()), Err(StoreError::Fenced(stale))));
    }
}

#[test]
fn insights_of_all_versions_are_read() {
    let classes = std::array::from_fn(|class| 11 + class as u64);
    let lags = Lags { count: 8, sum_ms: 9, max_ms: 10, classes };
    let figures = Figures {
        runs: 1,
        failed_runs: 2,
        requests: 3,
        changes: 4,
        kinds: ChangeCounts::default(),
        deliveries: 5,
        records: 6,
        failures: 7,
        lags,
    };
    assert_eq!(insight_row::decode(&kept("insight")).unwrap(), figures);
    let figures = Figures { kinds: ChangeCounts { created: 23, updated: 24, deleted: 25 }, ..figures };
    compact_in(KEPT_2, "insight", &figures, &insight_row::encode(&figures), insight_row::decode);
}

#[test]
fn pauses_of_format_2_are_read_and_written_so() {
    let (engine, limits) = (MemoryEngine::default(), StoreLimits::default());
    let mut txn = Txn::new(&engine, &limits);
    let pause = Pause { until: at(), length_ms: 900_000 };
    txn.put(Tree::Pauses, b"github/1", kept_in(KEPT_2, "pause"));
    assert_eq!(leases::pause(&txn, "github/1"), Ok(Some(pause)));
    leases::extend_pause(&mut txn, "github/2", pause).unwrap();
    assert_eq!(txn.get(Tree::Pauses, b"github/2").unwrap(), Some(kept_in(KEPT_2, "pause")));
}

#[test]
fn rows_that_are_read_in_place_of_version_1_are_read() {
    let (engine, limits) = (MemoryEngine::default(), StoreLimits::default());
    let mut txn = Txn::new(&engine, &limits);
    txn.put(Tree::LogPages, keys::chunk(&[4; 12], 9, 0), kept("page_first"));
    txn.put(Tree::LogPages, keys::chunk(&[4; 12], 9, 1), kept("page_next"));
    assert_eq!(pages::get(&txn, Tree::LogPages, &[4; 12], 9).unwrap().unwrap(), b"hello");
    txn.put(Tree::Pauses, b"github/1", kept("pause"));
    assert_eq!(leases::pause(&txn, "github/1"), Ok(Some(Pause { until: at(), length_ms: 86_400_000 })));
    txn.put(Tree::Meta, b"store_key", kept("store_key"));
    assert_eq!(workspaces::store_key(&mut txn, [0; 32]), Ok([8; 32]));
    // Places of single rows: one that begins a part, and one in the midst of it.
    for sequence in [16, 19] {
        let ring = call_rings::key(Scope::webhook(WebhookId::from_bytes([3; 12])), 0, sequence);
        txn.put(Tree::CallRings, ring, kept("call_ring"));
        let key = [&[1; 12][..], &keys::time(at()), &ring].concat();
        assert_eq!(call_rings::find(&txn, &ring), Ok(Some(key.clone())));
        let keys: Vec<_> = call_rings::keys_of(&ring, &kept("call_ring")).unwrap().collect();
        assert_eq!(keys, [key]);
    }
}

/// Rings that an older build began go on: rows are found, folded into and driven out whichever build wrote them.
#[test]
fn rings_of_format_1_go_on() {
    let (engine, limits) = (MemoryEngine::default(), StoreLimits::default());
    let mut txn = Txn::new(&engine, &limits);
    let (scope, workspace) = (Scope::webhook(WebhookId::from_bytes([3; 12])), WorkspaceId::from_bytes([1; 12]));
    let ring = |sequence| call_rings::key(scope, 0, sequence);
    for sequence in 14..19 {
        txn.put(Tree::CallRings, ring(sequence), kept("call_ring"));
    }
    let key = |sequence: u64, at| [&[1; 12][..], &keys::time(at), &ring(sequence)].concat();
    let later = at() + chrono::TimeDelta::seconds(1);
    for sequence in 18..33 {
        // 18 is the one that was there last: it is folded into.
        assert_eq!(call_rings::add(&mut txn, &ring(sequence), workspace, later), Ok(key(sequence, later)));
        call_rings::forget_single(&mut txn, &ring(sequence)).unwrap();
    }
    let mut found: Vec<Vec<u8>> = Vec::new();
    for row in txn.prefix(Tree::CallRings, &scope.0) {
        let (ring, row) = row.unwrap();
        found.extend(call_rings::keys_of(&ring, &row).unwrap());
    }
    let expected = |sequence| key(sequence, if sequence < 18 { at() } else { later });
    found.sort();
    let mut all: Vec<_> = (14..33).map(expected).collect();
    all.sort();
    assert_eq!(found, all);
    for sequence in 14..33 {
        assert_eq!(call_rings::find(&txn, &ring(sequence)), Ok(Some(expected(sequence))), "{sequence}");
        assert_eq!(call_rings::drive_out(&mut txn, &ring(sequence)), Ok(Some(expected(sequence))), "{sequence}");
    }
    let left: Vec<_> = txn.prefix(Tree::CallRings, &scope.0).map(|row| row.unwrap().0).collect();
    assert_eq!(left, [ring(32).to_vec()], "parts go with their last row");
}

#[test]
fn parts_of_rings_are_read() {
    let times = vec![keys::time(at()), [255; 12], keys::time(at())];
    let part = call_rings::Part { workspace: WorkspaceId::from_bytes([1; 12]), times };
    compact_in(KEPT_5, "call_ring", &part, &part.encode(), call_rings::Part::decode);
}

#[test]
fn rows_of_destinations_and_kept_deletions_are_read() {
    json_in::<Destination>(KEPT_5, "destination");
    json_in::<KeptDeletion>(KEPT_5, "deletion");
}
