//! A vendor with more records than memory would hold: each is made of its number when it is listed. It speaks as much of
//! Kinto's API as listing a collection needs.

use crate::common::peers;
use anyhook::clock::Clock;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashSet;
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FLAG: &str = "--numbered-vendor";
/// How long before the vendor started its last record was changed, in milliseconds.
const QUIET_MS: u64 = 60_000;

/// In what order the ids of records stand to their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// They grow, as with vendors that number their records.
    Growing,
    /// There is none, as with vendors that draw them.
    Drawn,
}

/// The vendor's part to play.
pub(crate) struct Role {
    records: u64,
    ids: Ids,
}

/// The vendor's role, if the arguments name it.
pub(crate) fn role(arguments: &[String]) -> Option<Role> {
    match arguments {
        [flag, records, ids] if flag == FLAG => {
            let ids = if ids == "drawn" { Ids::Drawn } else { Ids::Growing };
            Some(Role { records: records.parse().expect("a count"), ids })
        }
        _ => None,
    }
}

/// Starts one in a process of its own.
pub(crate) fn start(records: u64, ids: Ids) -> peers::Peer {
    let ids = if ids == Ids::Drawn { "drawn" } else { "growing" };
    peers::Peer::start(&[FLAG, &records.to_string(), ids])
}

impl Role {
    pub(crate) fn play(self) -> ExitCode {
        let vendor =
            Vendor { records: self.records, ids: self.ids, end_ms: now_ms() - QUIET_MS, state: Mutex::default() };
        let records = "/buckets/b/collections/c/records";
        let router = Router::new()
            .route(records, get(list))
            .route("/change", post(change))
            .route("/_control/stats", get(stats))
            .with_state(Arc::new(vendor));
        peers::serve(router)
    }
}

/// A record's number, counted from 1, and when it was changed.
type Row = (u64, u64);

#[derive(Default)]
struct Changes {
    /// In the order of their times, which all differ.
    rows: Vec<Row>,
    /// Their numbers: they no longer stand where they stood.
    moved: HashSet<u64>,
    requests: u64,
}

struct Vendor {
    records: u64,
    ids: Ids,
    /// When the last of the records that were never changed was made; the one before it a millisecond earlier.
    end_ms: u64,
    state: Mutex<Changes>,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(rename = "_since")]
    since: Option<u64>,
    #[serde(rename = "_token")]
    token: Option<u64>,
    #[serde(rename = "_limit")]
    limit: usize,
}

#[derive(Deserialize)]
struct Change {
    /// Records to change, evenly over all there are.
    count: u64,
}

fn now_ms() -> u64 {
    u64::try_from(Clock::system().now().timestamp_millis()).unwrap_or(0)
}

impl Vendor {
    /// Rows of a later time, oldest first.
    fn rows_after(&self, changes: &Changes, since: u64, limit: usize) -> Vec<Row> {
        let first_ms = self.end_ms - self.records + 1;
        let skipped = (since + 1).saturating_sub(first_ms).min(self.records);
        let old = (skipped + 1..=self.records).map(|number| (number, first_ms + number - 1));
        let from = changes.rows.partition_point(|(_, at)| *at <= since);
        let new = changes.rows[from..].iter().copied();
        old.filter(|(number, _)| !changes.moved.contains(number)).chain(new).take(limit).collect()
    }

    /// How many were changed, and when the last of them was.
    fn change(&self, count: u64) -> (usize, u64) {
        let mut changes = self.state.lock().expect("no panic");
        let changes = &mut *changes;
        let last = changes.rows.last().map_or(self.end_ms, |(_, at)| *at);
        let first = (last + 1).max(now_ms().saturating_sub(count));
        // From another record each time, so that others come up.
        let (step, offset) = ((self.records / count).max(1), 1 + changes.rows.len() as u64 % 7);
        let numbers = (0..count).map(|index| (offset + index * step).min(self.records));
        let new = numbers.filter(|number| changes.moved.insert(*number)).collect::<Vec<_>>();
        changes.rows.extend(new.iter().copied().zip(first..));
        (new.len(), first + count)
    }

    fn write(&self, body: &mut String, (number, at): Row) {
        let id = match self.ids {
            Ids::Growing => format!("{number:012}"),
            Ids::Drawn => drawn(number),
        };
        let _ = write!(
            body,
            r#"{{"id":"{id}","last_modified":{at},"name":"Person {number}","email":"person.{number}@example.com","company":"Company {}","phone":"+44 20 7946 0{:03}","title":"Engineer"}}"#,
            number % 997,
            number % 1_000,
        );
    }
}

/// An id in the form of a UUID that tells nothing of its number.
fn drawn(number: u64) -> String {
    let mix = |seed: u64| {
        let mut z = number.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let (high, low) = (mix(1), mix(1 << 32));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// A page of what was changed after a time.
async fn list(State(vendor): State<Arc<Vendor>>, Query(listing): Query<Listing>) -> impl IntoResponse {
    let mut changes = vendor.state.lock().expect("no panic");
    changes.requests += 1;
    let since = listing.token.or(listing.since).unwrap_or(0);
    let mut rows = vendor.rows_after(&changes, since, listing.limit + 1);
    drop(changes);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if rows.len() > listing.limit {
        rows.truncate(listing.limit);
        let token = rows.last().map_or(0, |(_, at)| *at);
        let next = format!("http://numbered.invalid/?_token={token}");
        headers.insert("next-page", HeaderValue::from_str(&next).expect("a header"));
    }
    let mut body = String::with_capacity(64 + rows.len() * 220);
    body.push_str("{\"data\":[");
    for (index, row) in rows.into_iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        vendor.write(&mut body, row);
    }
    body.push_str("]}");
    (headers, body)
}

/// Changes some records that were not changed before, the last of them now, and answers how many.
async fn change(State(vendor): State<Arc<Vendor>>, Json(Change { count }): Json<Change>) -> Json<serde_json::Value> {
    let (changed, until) = vendor.change(count);
    // None of their times is of the future.
    tokio::time::sleep(Duration::from_millis(until.saturating_sub(now_ms()))).await;
    Json(json!({"changed": changed}))
}

/// What it was asked.
async fn stats(State(vendor): State<Arc<Vendor>>) -> Json<serde_json::Value> {
    Json(json!({"requests": vendor.state.lock().expect("no panic").requests}))
}
