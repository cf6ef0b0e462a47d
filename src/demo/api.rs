//! What the demo asks of the server and of the vendor, over HTTP as anyone would.

use super::DemoError;
use super::compare::VendorRecord;
use crate::outbound::HttpClient;
use crate::outbound::guard::Guard;
use crate::outbound::{Outbound, OutboundRequest};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

const DEADLINE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Records of the vendor's state in one answer.
const STATE_ROWS: usize = 5_000;

/// Speaks to a server with its key.
pub(super) struct Api {
    client: HttpClient,
    url: String,
    key: String,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

#[derive(Deserialize)]
struct State {
    data: Vec<VendorRecord>,
    next_after: Option<String>,
}

impl Api {
    pub(super) fn new(url: &str, key: &str) -> Result<Self, DemoError> {
        let client = HttpClient::vendors(Guard::new([loopback()]))
            .map_err(|error| DemoError::Start(std::io::Error::other(error.to_string())))?;
        Ok(Api { client, url: url.to_owned(), key: key.to_owned() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Connects an account at the vendor; answers the connection's id.
    pub(super) async fn connect(&self, vendor_url: &str) -> Result<String, DemoError> {
        let body = json!({
            "integration_type": "sandbox",
            "categories": ["crm"],
            "permissions": ["crm_contact_read", "webhook"],
            "auth": {"token": super::stage::VENDOR_TOKEN, "api_url": vendor_url},
        });
        self.make("/unified/connection", &body).await
    }

    /// Subscribes to contacts; answers the webhook's id.
    pub(super) async fn subscribe(
        &self,
        connection_id: &str,
        event: &str,
        hook_url: &str,
        include_all: bool,
    ) -> Result<String, DemoError> {
        let body = json!({
            "connection_id": connection_id,
            "object_type": "crm_contact",
            "event": event,
            "hook_url": hook_url,
            "webhook_type": "virtual",
            "interval": super::stage::INTERVAL_MINUTES,
        });
        self.make(&format!("/unified/webhook?include_all={include_all}"), &body).await
    }

    /// Every contact that the vendor has, by its control API.
    pub(super) async fn vendor_state(&self, vendor_url: &str) -> Result<Vec<VendorRecord>, DemoError> {
        let mut records = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/_control/state/contacts?limit={STATE_ROWS}&after={after}");
            let answer = self.send(Method::GET, vendor_url, &path, None).await?;
            let state: State = serde_json::from_slice(&answer).map_err(|error| refused("GET", &path, error))?;
            records.extend(state.data);
            match state.next_after {
                Some(next) if next != after => after = next,
                _ => return Ok(records),
            }
        }
    }

    async fn make(&self, path: &str, body: &Value) -> Result<String, DemoError> {
        let answer = self.send(Method::POST, &self.url, path, Some(body)).await?;
        let made: Made = serde_json::from_slice(&answer).map_err(|error| refused("POST", path, error))?;
        Ok(made.id)
    }

    async fn send(&self, method: Method, base: &str, path: &str, body: Option<&Value>) -> Result<Bytes, DemoError> {
        let name = if method == Method::GET { "GET" } else { "POST" };
        let mut headers = HeaderMap::new();
        if base == self.url {
            let key = HeaderValue::from_str(&self.key).map_err(|error| refused(name, path, error))?;
            headers.insert(header::AUTHORIZATION, key);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = OutboundRequest {
            method,
            url: Url::parse(&format!("{base}{path}")).map_err(|error| refused(name, path, error))?,
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).into_iter().collect(),
            deadline: DEADLINE,
            body_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = self.client.send(request).await.map_err(|error| refused(name, path, error))?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(refused(name, path, format!("{} {text}", answer.status)));
        }
        Ok(answer.body)
    }
}

fn refused(method: &'static str, path: &str, answer: impl ToString) -> DemoError {
    DemoError::Refused { method, path: path.to_owned(), answer: answer.to_string() }
}

/// Everything of the demo is on this machine; nothing else may be reached.
pub(super) fn loopback() -> ipnet::IpNet {
    ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8))
}
