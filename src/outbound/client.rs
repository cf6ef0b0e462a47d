//! Requests over the real network: reqwest with rustls, behind the guard.

use super::body::body;
use super::guard::{Guard, Refused};
use super::{Outbound, OutboundError, OutboundRequest, OutboundResponse};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use std::error::Error;
use std::sync::{Arc, Once};
use std::time::Duration;

/// From looking up a name to the end of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection waits for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections to one host that wait for their next request.
const IDLE_PER_HOST_MAX: usize = 64;

const USER_AGENT: &str = concat!("Anyhook/", env!("CARGO_PKG_VERSION"));

/// Sends requests over the network, to where its guard lets it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client,
    guard: Guard,
}

impl HttpClient {
    /// A client for vendors: asks for compressed answers.
    pub fn vendors(guard: Guard) -> Result<Self, OutboundError> {
        Self::build(guard, true)
    }

    /// A client for destinations.
    pub fn destinations(guard: Guard) -> Result<Self, OutboundError> {
        Self::build(guard, false)
    }

    fn build(guard: Guard, gzip: bool) -> Result<Self, OutboundError> {
        install_tls();
        let client = Client::builder()
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy() // a proxy would look up names past the guard
            .http1_only()
            .tcp_nodelay(true)
            .gzip(gzip)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| OutboundError::Connect(reason(&error)))?;
        Ok(HttpClient { client, guard })
    }

    async fn exchange(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let sent = self.client.request(request.method, request.url).headers(request.headers).body(body(request.body));
        let response = sent.send().await.map_err(translate)?;
        let status = response.status().as_u16();
        let mut response = response;
        let headers = std::mem::take(response.headers_mut());
        let (body, is_cut) = read_capped(response, request.body_bytes_max).await?;
        Ok(OutboundResponse { status, headers, body, is_cut })
    }
}

#[async_trait]
impl Outbound for HttpClient {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        self.guard.check_url(&request.url).map_err(|refused| OutboundError::Forbidden(refused.to_string()))?;
        let deadline = request.deadline;
        tokio::time::timeout(deadline, self.exchange(request)).await.unwrap_or(Err(OutboundError::Deadline(deadline)))
    }
}

/// Reads a body up to a cap, and tells whether there was more. What lies beyond is never asked for.
async fn read_capped(mut response: Response, bytes_max: usize) -> Result<(Bytes, bool), OutboundError> {
    let Some(first) = response.chunk().await.map_err(translate)? else { return Ok((Bytes::new(), false)) };
    if first.len() > bytes_max {
        return Ok((first.slice(..bytes_max), true));
    }
    let Some(second) = response.chunk().await.map_err(translate)? else { return Ok((first, false)) };
    let mut whole = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        let room = bytes_max - whole.len();
        if chunk.len() > room {
            whole.extend_from_slice(&chunk[..room]);
            return Ok((whole.freeze(), true));
        }
        whole.extend_from_slice(&chunk);
        next = response.chunk().await.map_err(translate)?;
    }
    Ok((whole.freeze(), false))
}

/// rustls takes its cryptography from one provider per process.
fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that one is installed already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

fn translate(error: reqwest::Error) -> OutboundError {
    let error = error.without_url(); // its query may hold a secret
    if let Some(refused) = causes(&error).find_map(|cause| cause.downcast_ref::<Refused>()) {
        return OutboundError::Forbidden(refused.to_string());
    }
    if error.is_connect() {
        return OutboundError::Connect(reason(&error));
    }
    OutboundError::Broken(reason(&error))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The innermost cause, which says most.
fn reason(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
