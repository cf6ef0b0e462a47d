//! A vendor of many accounts with many records, none of which it holds: each is made of its number when it is listed.
//!
//! It speaks as much as listing needs of the sandbox's API (a token is an account) and of Kinto's (a collection is one).
//! Records are published and changed in spans, so that an account of a thousand records is a few numbers.

use crate::common::peers::{self, Peer};
use anyhook::clock::Clock;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const FLAG: &str = "--accounts";

/// Starts one in a process of its own.
pub(crate) fn start() -> Peer {
    Peer::start(&[FLAG])
}

/// Plays it, if the arguments say so.
pub(crate) fn play(arguments: &[String]) -> Option<ExitCode> {
    (arguments == [FLAG]).then(|| {
        let router = Router::new()
            .route("/v1/{object}", get(sandbox))
            .route("/buckets/b/collections/{account}/records", get(kinto))
            .route("/publish", post(publish))
            .route("/_control/stats", get(stats))
            .with_state(Arc::<Vendor>::default());
        peers::serve(router)
    })
}

/// Records that follow each other, one a millisecond.
struct Span {
    first_number: u64,
    /// From one record's number to the next one's.
    step: u64,
    first_ms: u64,
    count: u64,
}

impl Span {
    fn end_ms(&self) -> u64 {
        self.first_ms + self.count
    }

    /// Numbers and times of its records from a time on.
    fn from(&self, from_ms: u64) -> impl Iterator<Item = (u64, u64)> {
        let skipped = from_ms.saturating_sub(self.first_ms).min(self.count);
        (skipped..self.count).map(|index| (self.first_number + index * self.step, self.first_ms + index))
    }
}

/// What an account has of an object, in the order of its times.
type Account = Vec<Span>;

#[derive(Default)]
struct Vendor {
    accounts: Mutex<HashMap<String, Account>>,
    requests: std::sync::atomic::AtomicU64,
}

#[derive(Deserialize)]
struct Publish {
    /// `{token}/{object}`, or a collection.
    accounts: Vec<String>,
    /// Records of each.
    count: u64,
    first_number: u64,
    #[serde(default)]
    step: Option<u64>,
}

#[derive(Deserialize)]
struct SandboxListing {
    updated_gte: Option<DateTime<Utc>>,
    #[serde(default)]
    offset: usize,
    limit: usize,
}

#[derive(Deserialize)]
struct KintoListing {
    #[serde(rename = "_since")]
    since: Option<u64>,
    #[serde(rename = "_token")]
    token: Option<u64>,
    #[serde(rename = "_limit")]
    limit: usize,
}

fn now_ms() -> u64 {
    u64::try_from(Clock::system().now().timestamp_millis()).unwrap_or(0)
}

impl Vendor {
    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers and times from a time on, oldest first, and one more than the limit where there are more.
    fn list(&self, account: &str, from_ms: u64, offset: usize, limit: usize) -> Vec<(u64, u64)> {
        self.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let accounts = self.accounts();
        let spans = accounts.get(account).map_or(&[][..], Vec::as_slice);
        let begin = spans.partition_point(|span| span.end_ms() <= from_ms);
        spans[begin..].iter().flat_map(|span| span.from(from_ms)).skip(offset).take(limit + 1).collect()
    }
}

/// Publishes records, or changes them, the last of them now.
async fn publish(State(vendor): State<Arc<Vendor>>, Json(publish): Json<Publish>) {
    let mut accounts = vendor.accounts();
    let now = now_ms();
    for account in publish.accounts {
        let spans = accounts.entry(account).or_default();
        let last_ms = spans.last().map_or(0, Span::end_ms);
        let first_ms = (now + 1).saturating_sub(publish.count).max(last_ms);
        let (first_number, step, count) = (publish.first_number, publish.step.unwrap_or(1), publish.count);
        spans.push(Span { first_number, step, first_ms, count });
    }
}

fn time(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

async fn sandbox(
    State(vendor): State<Arc<Vendor>>,
    Path(object): Path<String>,
    headers: HeaderMap,
    Query(listing): Query<SandboxListing>,
) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(token) = token else { return StatusCode::UNAUTHORIZED.into_response() };
    let from = listing.updated_gte.map_or(0, |at| u64::try_from(at.timestamp_millis()).unwrap_or(0));
    let rows = vendor.list(&format!("{token}/{object}"), from, listing.offset, listing.limit);
    let mut body = String::with_capacity(64 + rows.len() * 320);
    body.push_str("{\"data\":[");
    for (index, (number, ms)) in rows.iter().take(listing.limit).enumerate() {
        let (comma, at) = (if index > 0 { "," } else { "" }, time(*ms));
        let _ = write!(
            body,
            r#"{comma}{{"id":"r_{number:012}","created_at":"{at}","updated_at":"{at}","name":"Name {number}","first_name":"Person","last_name":"{number}","email":"person.{number}@example.com","subject":"Question {number}","title":"Engineer"}}"#
        );
    }
    let _ = write!(body, "],\"has_more\":{}}}", rows.len() > listing.limit);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn kinto(
    State(vendor): State<Arc<Vendor>>,
    Path(account): Path<String>,
    Query(listing): Query<KintoListing>,
) -> impl IntoResponse {
    let from = listing.token.or(listing.since).map_or(0, |since| since + 1);
    let rows = vendor.list(&account, from, 0, listing.limit);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let shown = &rows[..rows.len().min(listing.limit)];
    if let Some((_, ms)) = shown.last().filter(|_| rows.len() > listing.limit) {
        let next = format!("http://accounts.invalid/?_token={ms}");
        headers.insert("next-page", HeaderValue::from_str(&next).expect("a header"));
    }
    let mut body = String::with_capacity(64 + rows.len() * 220);
    body.push_str("{\"data\":[");
    for (index, (number, ms)) in shown.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(
            body,
            r#"{comma}{{"id":"{number:012}","last_modified":{ms},"name":"Person {number}","email":"person.{number}@example.com","company":"Company {}","phone":"+44 20 7946 0{:03}","title":"Engineer"}}"#,
            number % 997,
            number % 1_000,
        );
    }
    body.push_str("]}");
    (headers, body)
}

async fn stats(State(vendor): State<Arc<Vendor>>) -> Json<serde_json::Value> {
    Json(json!({"requests": vendor.requests.load(std::sync::atomic::Ordering::Relaxed)}))
}
