//! The simulated vendor as the engine reaches it: in process, under simulated time, with the faults it is told to have.

use super::disk::EngineStore;
use anyhook::clock::Clock;
use anyhook::outbound::{Outbound, OutboundError, OutboundRequest, OutboundResponse};
use anyhook::random::Random;
use anyhook::simulator::{Answer, Request, Simulator, Transport};
use async_trait::async_trait;
use chrono::DateTime;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Where the vendor lives.
pub const VENDOR_URL: &str = "http://vendor.test";

/// A request that the vendor got.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    /// When it had answered.
    pub until: Instant,
    pub host: String,
    pub target: String,
    pub status: u16,
    /// The number of the engine that asked, and when it did.
    pub engine: usize,
    pub sent_at: Instant,
    /// When it had the answer; none where it got none.
    pub answered_at: Option<Instant>,
    /// When nothing went to and fro for it any more: answered, broken off, or given up by whoever asked.
    pub ended_at: Option<Instant>,
    /// How long it was told to wait.
    pub pause: Option<Duration>,
}

/// A request that is under way.
struct UnderWay<'a> {
    calls: &'a Mutex<Vec<Call>>,
    index: usize,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.calls.lock().unwrap()[self.index].ended_at = Some(Instant::now());
    }
}

/// The way to the simulator.
pub struct SimVendor {
    pub simulator: Simulator,
    pub clock: Clock,
    pub random: Random,
    pub latency_ms_max: u64,
    pub page_max: u32,
    pub calls: Arc<Mutex<Vec<Call>>>,
    pub spoiled: Arc<Mutex<BTreeSet<String>>>,
    pub engine: Arc<EngineStore>,
}

#[async_trait]
impl Outbound for SimVendor {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        self.engine.live().await;
        let deadline = request.deadline;
        let sent = tokio::time::timeout(deadline, self.answer(request)).await;
        self.engine.live().await;
        let (index, response) = sent.unwrap_or(Err(OutboundError::Deadline(deadline)))?;
        self.calls.lock().unwrap()[index].answered_at = Some(Instant::now());
        Ok(response)
    }
}

impl SimVendor {
    async fn travel(&self) {
        self.clock.sleep(Duration::from_millis(self.random.up_to(self.latency_ms_max))).await;
    }

    /// An answer, and which call it is to.
    async fn answer(&self, request: OutboundRequest) -> Result<(usize, OutboundResponse), OutboundError> {
        let sent_at = Instant::now();
        self.travel().await;
        let body = request.body.concat();
        let query = self.less(request.url.query().unwrap_or_default());
        let header = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
        let asked = Request {
            method: request.method.as_str(),
            path: request.url.path(),
            query: &query,
            authorization: header(AUTHORIZATION),
            if_none_match: header(IF_NONE_MATCH),
            if_modified_since: header(IF_MODIFIED_SINCE),
            body: &body,
        };
        let answer = self.simulator.with(|vendor, now| vendor.answer(&asked, now));
        let target = request.url[url::Position::BeforePath..].to_owned();
        let host = request.url.host_str().unwrap_or_default().to_owned();
        self.note_spoiled(&answer.body);
        let (at, status, pause) = (Instant::now(), answer.status, told_pause(&answer));
        let until = at + Duration::from_millis(answer.delay_ms);
        let (engine, answered_at, ended_at) = (self.engine.number, None, None);
        let call = Call { at, until, host, target, status, engine, sent_at, answered_at, ended_at, pause };
        let index = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(call);
            calls.len() - 1
        };
        let _under_way = UnderWay { calls: &self.calls, index };
        self.clock.sleep(Duration::from_millis(answer.delay_ms)).await;
        self.travel().await;
        Ok((index, respond(answer, request.body_bytes_max).await?))
    }

    /// A query for no more records than the vendor gives.
    fn less(&self, query: &str) -> String {
        let limited = |pair: &str| match pair.strip_prefix("limit=").and_then(|limit| limit.parse::<u32>().ok()) {
            Some(limit) => format!("limit={}", limit.min(self.page_max)),
            None => pair.to_owned(),
        };
        query.split('&').map(limited).collect::<Vec<_>>().join("&")
    }

    /// Remembers the record that a page shows broken: the first one, as the fault for it writes it.
    fn note_spoiled(&self, body: &[u8]) {
        let first = body.strip_prefix(br#"{"data":[{"id":""#).unwrap_or_default();
        let end = first.iter().position(|byte| *byte == b'"').unwrap_or_default();
        if first[end..].starts_with(br#"","updated_at":"never"}"#) {
            self.spoiled.lock().unwrap().insert(String::from_utf8_lossy(&first[..end]).into_owned());
        }
    }
}

/// How long an answer asks to wait with anything else: because of too many requests, or with none left.
fn told_pause(answer: &Answer) -> Option<Duration> {
    let header = |name: &str| answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    if answer.status == 429 {
        return header("retry-after")?.parse().ok().map(Duration::from_secs);
    }
    if !matches!(answer.status, 200 | 304) || header("x-ratelimit-remaining") != Some("0") {
        return None;
    }
    let date = DateTime::parse_from_rfc2822(header("date")?).ok()?.timestamp();
    let reset: i64 = header("x-ratelimit-reset")?.parse().ok()?;
    u64::try_from(reset - date).ok().map(Duration::from_secs)
}

async fn respond(answer: Answer, body_bytes_max: usize) -> Result<OutboundResponse, OutboundError> {
    let mut body = answer.body;
    match answer.transport {
        Transport::Whole => {}
        Transport::Hang => std::future::pending().await,
        Transport::Reset => return Err(OutboundError::Broken("connection reset".to_owned())),
        Transport::LengthOff(by) if by > 0 => {
            return Err(OutboundError::Broken("the body ended early".to_owned()));
        }
        Transport::LengthOff(by) => {
            let cut = usize::try_from(by.unsigned_abs()).unwrap();
            body.truncate(body.len().saturating_sub(cut));
        }
    }
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers {
        headers.insert(name, HeaderValue::try_from(value).unwrap());
    }
    let is_cut = body.len() > body_bytes_max;
    body.truncate(body_bytes_max);
    Ok(OutboundResponse { status: answer.status, headers, body, is_cut })
}
