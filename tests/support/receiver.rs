//! Destinations: they keep what they get, check it as a subscriber would, and answer as they are told to.

use super::disk::EngineStore;
use anyhook::clock::Clock;
use anyhook::outbound::{Outbound, OutboundError, OutboundRequest, OutboundResponse};
use anyhook::random::Random;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha1::Sha1;
use sha2::Sha256;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Where destinations live; a path each.
pub const RECEIVER_URL: &str = "https://receiver.test/";

/// What every payload is signed with.
pub const SECRET: &str = "a workspace's secret";

/// How a destination answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reply {
    #[default]
    Ok,
    Status(u16),
    /// This status, with Retry-After in seconds.
    Later(u16, u32),
    /// Takes the payload, but never answers.
    Hang,
    Slow(Duration),
    Reset,
}

/// A payload as it arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub to: String,
    pub at: DateTime<Utc>,
    /// The same by a clock that does not jump.
    pub instant: Instant,
    pub webhook_id: String,
    pub sequence: u64,
    pub stream: String,
    pub kind: String,
    pub data: Vec<Value>,
    pub data_text: String,
    pub webhook: Value,
    pub external_xref: Option<String>,
    /// Whether the sender was told that it was taken.
    pub is_accepted: bool,
    /// The number of the engine that sent it.
    pub engine: usize,
    /// When the attempt had ended: answered, broken off, or given up by whoever sent it.
    pub ended_at: Option<Instant>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    webhook: Value,
    nonce: String,
    sig: String,
    sig256: String,
    #[serde(rename = "type")]
    kind: String,
    external_xref: Option<String>,
}

/// What destinations have come to.
#[derive(Default)]
pub struct Inbox {
    pub deliveries: Vec<Delivery>,
    /// What a subscriber would complain about.
    pub problems: Vec<String>,
    pub scripts: HashMap<String, (VecDeque<Reply>, Reply)>,
}

impl Inbox {
    fn reply(&mut self, to: &str) -> Reply {
        let (script, rest) = self.scripts.entry(to.to_owned()).or_default();
        script.pop_front().unwrap_or(*rest)
    }
}

/// The way to destinations.
pub struct SimReceiver {
    pub clock: Clock,
    pub random: Random,
    pub latency_ms_max: u64,
    pub inbox: Arc<Mutex<Inbox>>,
    pub engine: Arc<EngineStore>,
}

#[async_trait]
impl Outbound for SimReceiver {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        self.engine.live().await;
        let deadline = request.deadline;
        let mut taken = None;
        let sent = tokio::time::timeout(deadline, self.take(request, &mut taken)).await;
        if let Some(index) = taken {
            self.inbox.lock().unwrap().deliveries[index].ended_at = Some(Instant::now());
        }
        self.engine.live().await;
        sent.unwrap_or(Err(OutboundError::Deadline(deadline)))
    }
}

impl SimReceiver {
    async fn travel(&self) {
        self.clock.sleep(Duration::from_millis(self.random.up_to(self.latency_ms_max))).await;
    }

    /// Takes a payload, and says which delivery it is.
    async fn take(
        &self,
        request: OutboundRequest,
        taken: &mut Option<usize>,
    ) -> Result<OutboundResponse, OutboundError> {
        let (at, instant, engine) = (self.clock.now(), Instant::now(), self.engine.number);
        self.travel().await;
        let to = request.url.path().trim_start_matches('/').to_owned();
        let reply = {
            let mut inbox = self.inbox.lock().unwrap();
            let reply = inbox.reply(&to);
            match read(&request, &to, (at, instant, engine), reply) {
                Ok(delivery) => {
                    *taken = Some(inbox.deliveries.len());
                    inbox.deliveries.push(delivery);
                }
                Err(problem) => inbox.problems.push(format!("{to}: {problem}")),
            }
            reply
        };
        self.travel().await;
        let mut headers = HeaderMap::new();
        let status = match reply {
            Reply::Ok => 200,
            Reply::Status(status) => status,
            Reply::Later(status, seconds) => {
                headers.insert("retry-after", seconds.into());
                status
            }
            Reply::Slow(wait) => {
                self.clock.sleep(wait).await;
                200
            }
            Reply::Hang => std::future::pending().await,
            Reply::Reset => return Err(OutboundError::Broken("connection reset".to_owned())),
        };
        Ok(OutboundResponse { status, headers, body: Bytes::new(), is_cut: false })
    }
}

/// Reads a payload as a subscriber would, by code that is not the sender's.
fn read(
    request: &OutboundRequest,
    to: &str,
    (at, instant, engine): (DateTime<Utc>, Instant, usize),
    reply: Reply,
) -> Result<Delivery, String> {
    let body = request.body.concat();
    let header = |name: &str| {
        let value = request.headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).ok_or_else(|| format!("the header {name} is missing"))
    };
    let payload: Payload<'_> = serde_json::from_slice(&body).map_err(|error| format!("no payload: {error}"))?;
    let data_text = payload.data.get();
    let signed = [data_text, &payload.nonce].concat();
    expect("sig", &payload.sig, &sha1(&signed))?;
    expect("sig256", &payload.sig256, &sha256(&signed))?;
    let (webhook_id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let seconds: i64 = timestamp.parse().map_err(|_| "webhook-timestamp is no number".to_owned())?;
    let standard = standardwebhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec()).unwrap();
    let signature = standard.sign(&webhook_id, seconds, &body).map_err(|error| error.to_string())?;
    expect("webhook-signature", &header("webhook-signature")?, &signature)?;
    let data: Vec<Value> = serde_json::from_str(data_text).map_err(|error| format!("data is no list: {error}"))?;
    expect("data", data_text, &serde_json::to_string(&Spelt(data_text)).unwrap())?;
    Ok(Delivery {
        to: to.to_owned(),
        at,
        instant,
        webhook_id,
        sequence: header("anyhook-sequence")?.parse().map_err(|_| "anyhook-sequence is no number".to_owned())?,
        stream: header("anyhook-stream").unwrap_or_default(),
        kind: payload.kind,
        data,
        data_text: data_text.to_owned(),
        webhook: payload.webhook,
        external_xref: payload.external_xref,
        is_accepted: matches!(reply, Reply::Ok | Reply::Status(200..=299) | Reply::Slow(_)),
        engine,
        ended_at: None,
    })
}

/// `data` without any space outside strings, as `JSON.stringify` would write it.
struct Spelt<'a>(&'a str);

impl serde::Serialize for Spelt<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut in_string, mut escaped, mut compact) = (false, false, String::with_capacity(self.0.len()));
        for letter in self.0.chars() {
            in_string ^= letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            if in_string || !letter.is_whitespace() {
                compact.push(letter);
            }
        }
        RawValue::from_string(compact).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

fn expect(what: &str, is: &str, should: &str) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what} is {is}, and should be {should}")) }
}

fn sha1(text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    BASE64.encode(mac.finalize().into_bytes())
}

fn sha256(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    BASE64.encode(mac.finalize().into_bytes())
}
