//! The simulated vendor as the engine reaches it: in process, under simulated time, with the faults it is told to have.

use super::disk::EngineStore;
use anyhook::clock::Clock;
use anyhook::outbound::{Outbound, OutboundError, OutboundRequest, OutboundResponse};
use anyhook::random::Random;
use anyhook::simulator::{Answer, Request, Simulator, Transport};
use async_trait::async_trait;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where the vendor lives.
pub const VENDOR_URL: &str = "http://vendor.test";

/// A request that the vendor got.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: tokio::time::Instant,
    /// When it had answered.
    pub until: tokio::time::Instant,
    pub target: String,
    pub status: u16,
}

/// The way to the simulator.
pub struct SimVendor {
    pub simulator: Simulator,
    pub clock: Clock,
    pub random: Random,
    pub latency_ms_max: u64,
    pub calls: Arc<Mutex<Vec<Call>>>,
    pub engine: Arc<EngineStore>,
}

#[async_trait]
impl Outbound for SimVendor {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        self.engine.live().await;
        let deadline = request.deadline;
        let sent = tokio::time::timeout(deadline, self.answer(request)).await;
        self.engine.live().await;
        sent.unwrap_or(Err(OutboundError::Deadline(deadline)))
    }
}

impl SimVendor {
    async fn travel(&self) {
        self.clock.sleep(Duration::from_millis(self.random.up_to(self.latency_ms_max))).await;
    }

    async fn answer(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        self.travel().await;
        let body = request.body.concat();
        let header = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
        let asked = Request {
            method: request.method.as_str(),
            path: request.url.path(),
            query: request.url.query().unwrap_or_default(),
            authorization: header(AUTHORIZATION),
            if_none_match: header(IF_NONE_MATCH),
            if_modified_since: header(IF_MODIFIED_SINCE),
            body: &body,
        };
        let answer = self.simulator.with(|vendor, now| vendor.answer(&asked, now));
        let target = request.url[url::Position::BeforePath..].to_owned();
        let at = tokio::time::Instant::now();
        let until = at + Duration::from_millis(answer.delay_ms);
        self.calls.lock().unwrap().push(Call { at, until, target, status: answer.status });
        self.clock.sleep(Duration::from_millis(answer.delay_ms)).await;
        self.travel().await;
        respond(answer, request.body_bytes_max).await
    }
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
