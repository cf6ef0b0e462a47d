//! What a user of the simulator notices.

mod changes;
mod connector;
mod faults;
mod listing;
mod over_http;
mod signing_in;
mod wear;

use super::*;
use serde::Deserialize;

/// The start of every vendor here.
fn start() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn after_ms(ms: i64) -> DateTime<Utc> {
    start() + chrono::Duration::milliseconds(ms)
}

fn vendor(change: impl FnOnce(&mut SimulatorSettings)) -> Vendor {
    let mut settings = SimulatorSettings { records: 50, rate_limit: 0, page_size_max: 20, ..Default::default() };
    change(&mut settings);
    Vendor::new(settings, start())
}

fn request<'a>(method: &'a str, target: &'a str, body: &'a str) -> Request<'a> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method,
        path,
        query,
        authorization: Some("Bearer sandbox"),
        if_none_match: None,
        if_modified_since: None,
        body: body.as_bytes(),
    }
}

fn get(vendor: &mut Vendor, target: &str, now: DateTime<Utc>) -> Answer {
    vendor.answer(&request("GET", target, ""), now)
}

fn post(vendor: &mut Vendor, target: &str, body: &str, now: DateTime<Utc>) -> Answer {
    vendor.answer(&request("POST", target, body), now)
}

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    created_at: String,
    updated_at: String,
    deleted: bool,
}

#[derive(Debug, Deserialize)]
struct Page {
    data: Vec<Row>,
    has_more: bool,
    next_cursor: Option<String>,
    total: usize,
}

impl Page {
    fn ids(&self) -> Vec<&str> {
        self.data.iter().map(|row| row.id.as_str()).collect()
    }
}

fn page(vendor: &mut Vendor, target: &str, now: DateTime<Utc>) -> Page {
    let answer = get(vendor, target, now);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

/// The id of the record in an answer of the control API.
fn id_of(answer: &Answer) -> String {
    serde_json::from_slice::<Row>(&answer.body).unwrap().id
}
