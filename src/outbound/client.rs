//! Requests over the real network: reqwest with rustls, behind the guard.

use super::body::body;
use super::failure::{Phase, reason, translate};
use super::guard::{Guard, Refused};
use super::proxy::EgressProxy;
use super::{Outbound, OutboundError, OutboundRequest, OutboundResponse};
use crate::limits::{DeliverLimits, PollLimits};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a connection waits for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections to one host that wait for their next request.
const IDLE_PER_HOST_MAX: usize = 64;

const USER_AGENT: &str = concat!("Anyhook/", env!("CARGO_PKG_VERSION"));

/// How requests are sent.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Whether compressed answers are asked for and unpacked.
    pub gzip: bool,
    /// From looking up a name to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// From connecting to the head of the answer; none where it may take as long as the whole.
    pub first_byte_timeout: Option<Duration>,
    /// What all requests go through; none where they go out by themselves.
    pub egress_proxy: Option<EgressProxy>,
}

impl ClientOptions {
    /// For vendors: compressed answers are asked for.
    pub fn for_vendors(limits: &PollLimits) -> Self {
        let connect_timeout = Duration::from_millis(limits.connect_timeout_ms);
        ClientOptions { gzip: true, connect_timeout, first_byte_timeout: None, egress_proxy: None }
    }

    /// For destinations: no compression is asked for, and none unpacked.
    pub fn for_destinations(limits: &DeliverLimits) -> Self {
        let first_byte_ms = Some(limits.first_byte_timeout_ms).filter(|limit| *limit > 0);
        ClientOptions {
            gzip: false,
            connect_timeout: Duration::from_millis(limits.connect_timeout_ms),
            first_byte_timeout: first_byte_ms.map(Duration::from_millis),
            egress_proxy: None,
        }
    }

    /// The same, through this proxy.
    #[must_use]
    pub fn through(self, egress_proxy: Option<EgressProxy>) -> Self {
        ClientOptions { egress_proxy, ..self }
    }
}

/// Sends requests over the network, to where its guard lets it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client,
    guard: Guard,
    connect_timeout: Duration,
    first_byte_timeout: Option<Duration>,
    is_proxied: bool,
}

impl HttpClient {
    /// A client for vendors, by the default limits.
    pub fn vendors(guard: Guard) -> Result<Self, OutboundError> {
        Self::new(guard, ClientOptions::for_vendors(&PollLimits::default()))
    }

    /// A client for destinations, by the default limits.
    pub fn destinations(guard: Guard) -> Result<Self, OutboundError> {
        Self::new(guard, ClientOptions::for_destinations(&DeliverLimits::default()))
    }

    /// A client with options of one's own.
    pub fn new(guard: Guard, options: ClientOptions) -> Result<Self, OutboundError> {
        install_tls();
        let broken = |error: reqwest::Error| OutboundError::Connect(reason(&error));
        // Another proxy, such as one that the environment names, would look up names past the guard.
        let way_out = Client::builder().no_proxy();
        let way_out = match &options.egress_proxy {
            Some(egress) => {
                way_out.proxy(egress.proxy().map_err(broken)?).dns_resolver(Arc::new(egress.resolver(&guard)))
            }
            None => way_out.dns_resolver(Arc::new(guard.clone())),
        };
        let client = way_out
            .redirect(Policy::none())
            // None at most: else each request is copied in case it is sent again.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            .http1_only()
            .tcp_nodelay(true)
            .gzip(options.gzip)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .user_agent(USER_AGENT)
            .build()
            .map_err(broken)?;
        let ClientOptions { connect_timeout, first_byte_timeout, egress_proxy, .. } = options;
        Ok(HttpClient { client, guard, connect_timeout, first_byte_timeout, is_proxied: egress_proxy.is_some() })
    }

    fn failed(&self, error: reqwest::Error, phase: Phase) -> OutboundError {
        translate(error, phase, self.connect_timeout)
    }
}

#[async_trait]
impl Outbound for HttpClient {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let forbidden = |refused: Refused| OutboundError::Forbidden(refused.to_string());
        self.guard.check_url(&request.url).map_err(forbidden)?;
        let (deadline, began) = (request.deadline, Instant::now());
        let head_in = self.first_byte_timeout.unwrap_or(deadline).min(deadline);
        if self.is_proxied {
            let checked = timeout_at(began + head_in, self.guard.check_name(&request.url)).await;
            checked.map_err(|_| OutboundError::FirstByte(head_in))?.map_err(forbidden)?;
        }
        let mut sent = reqwest::Request::new(request.method, request.url);
        *sent.headers_mut() = request.headers;
        *sent.body_mut() = Some(body(request.body));
        let mut response = timeout_at(began + head_in, self.client.execute(sent))
            .await
            .map_err(|_| OutboundError::FirstByte(head_in))?
            .map_err(|error| self.failed(error, Phase::Head))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let (body, is_cut) = timeout_at(began + deadline, read_capped(response, request.body_bytes_max))
            .await
            .map_err(|_| OutboundError::Deadline(deadline))?
            .map_err(|error| self.failed(error, Phase::Body))?;
        Ok(OutboundResponse { status, headers, body, is_cut })
    }
}

/// Reads a body up to a cap, and tells whether there was more. What lies beyond is never asked for.
async fn read_capped(mut response: Response, bytes_max: usize) -> reqwest::Result<(Bytes, bool)> {
    let Some(first) = response.chunk().await? else { return Ok((Bytes::new(), false)) };
    if first.len() > bytes_max {
        return Ok((first.slice(..bytes_max), true));
    }
    let Some(second) = response.chunk().await? else { return Ok((first, false)) };
    let mut whole = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        let room = bytes_max - whole.len();
        if chunk.len() > room {
            whole.extend_from_slice(&chunk[..room]);
            return Ok((whole.freeze(), true));
        }
        whole.extend_from_slice(&chunk);
        next = response.chunk().await?;
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
