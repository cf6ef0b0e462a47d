//! Requests that leave the process: to vendors and to destinations, behind one trait so that tests can stand in for the
//! network under a simulated clock.
//!
//! Whoever sends says how long it may take and how much of the answer is read. Redirects are never followed.

mod addresses;
mod body;
mod client;
mod failure;
pub mod guard;
mod lookup;
mod ports;
mod proxy;

pub use client::{ClientOptions, HttpClient};
pub use lookup::Lookup;
pub use ports::Ports;
pub use proxy::EgressProxy;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// One request.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The headers; `host` and `content-length` are set by the client.
    pub headers: HeaderMap,
    /// The body in parts that are sent one after the other without being copied together.
    pub body: Vec<Bytes>,
    /// From the start of connecting to the last byte of the answer.
    pub deadline: Duration,
    /// How many bytes of the answer are read, after decompression.
    pub body_bytes_max: usize,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct OutboundResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, up to the cap.
    pub body: Bytes,
    /// True if there was more than the cap.
    pub is_cut: bool,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OutboundError {
    /// The guard does not let this address be reached.
    #[error("the address is not allowed: {0}")]
    Forbidden(String),
    /// No connection came about: name not found, refused, TLS failed.
    #[error("could not connect: {0}")]
    Connect(String),
    /// No connection came about in time.
    #[error("no connection within {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    /// The connection ended before an answer began. Whether the request was taken is not known.
    #[error("the connection was closed without an answer: {0}")]
    Closed(String),
    /// The head of the answer did not come in time.
    #[error("no answer began within {} ms", .0.as_millis())]
    FirstByte(Duration),
    /// The answer began, and did not end before the deadline.
    #[error("no whole answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// What came is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
    /// The connection broke in the midst of an answer.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Sends requests.
#[async_trait]
pub trait Outbound: Send + Sync + 'static {
    /// Sends one request and reads its answer. Never follows a redirect, never takes longer than the deadline, never
    /// reads more than the cap: what lies beyond it is left, and is no error.
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError>;
}
