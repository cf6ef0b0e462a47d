//! The API on a real listener over a store in memory, and a client that reads answers to a cap.
#![allow(dead_code, unreachable_pub)] // each test binary uses its share

use anyhook::api::{ApiOptions, Guards, router, serve};
use anyhook::clock::Clock;
use anyhook::context::Context;
use anyhook::ids::{NodeId, WorkspaceId};
use anyhook::leases::LeaseKeeper;
use anyhook::limits::{Limits, StoreLimits};
use anyhook::outbound::guard::Guard;
use anyhook::outbound::{HttpClient, Outbound, OutboundError, OutboundRequest, OutboundResponse};
use anyhook::random::Random;
use anyhook::secrets::Vault;
use anyhook::settings::{OAuthClient, Roles, Secret};
use anyhook::store::MemoryStore;
use anyhook::store::{Store, Workspace};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A way out that leads nowhere: whoever uses it fails the test by the error.
#[derive(Debug)]
pub struct NoNetwork;

#[async_trait]
impl Outbound for NoNetwork {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        Err(OutboundError::Forbidden(format!("{} was called in a test without a network", request.url)))
    }
}

/// A running server.
pub struct Server {
    pub context: Context,
    pub store: Arc<dyn Store>,
    pub url: String,
    pub key: String,
    pub workspace: WorkspaceId,
    pub stop: CancellationToken,
    client: HttpClient,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer's JSON, which has to be a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        assert!(!has_null(&self.json()), "null in {}", self.text);
        self.json()
    }

    /// Asserts that it is an error with this status, whose message has this in it.
    pub fn refused(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let body = self.json();
        assert_eq!(body["statusCode"], status);
        assert!(body["error"].is_string(), "{body}");
        assert!(body["message"].as_str().unwrap().contains(part), "`{part}` is not in {body}");
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The simulator's own client.
fn oauth_clients() -> Vec<OAuthClient> {
    vec![OAuthClient {
        integration: "sandbox".to_owned(),
        client_id: "sandbox-client".to_owned(),
        client_secret: Secret::new("sandbox-client-secret".to_owned()),
    }]
}

fn loopback() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(Limits::default(), Arc::new(NoNetwork)).await
    }

    pub async fn start_with(limits: Limits, vendors: Arc<dyn Outbound>) -> Self {
        Self::start_as(limits, vendors, Roles::default()).await
    }

    pub async fn start_as(limits: Limits, vendors: Arc<dyn Outbound>, roles: Roles) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(&StoreLimits::default()));
        let (clock, random) = (Clock::system(), Random::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Nobody renews it.
        let lasting = StoreLimits { lease_ttl_ms: 86_400_000, ..limits.store.clone() };
        let limits = Limits { store: lasting, ..limits };
        let leases = LeaseKeeper::new(NodeId::new(&clock, &random).unwrap(), &roles.duties(), &limits, &clock);
        leases.renew(store.as_ref()).await.unwrap();
        let context = Context {
            store: store.clone(),
            leases: Arc::new(leases),
            clock,
            vault: Arc::new(Vault::new(&[7; 32], random.clone())),
            random,
            vendors,
            destinations: Arc::new(NoNetwork),
            limits: Arc::new(limits),
            public_url: url.clone().into(),
        };
        let guards = Guards { destinations: Guard::default(), vendors: loopback() };
        let stop = CancellationToken::new();
        tokio::spawn(serve(
            listener,
            router(
                context.clone(),
                ApiOptions { guards, metrics: None, oauth_clients: oauth_clients(), has_dashboard: true, roles },
            ),
            stop.clone(),
        ));
        let (workspace, key) = add_workspace(&context, "key-of-the-first-workspace").await;
        let client = HttpClient::destinations(loopback()).unwrap();
        Server { context, store, url, key, workspace, stop, client }
    }

    /// Another workspace's key.
    pub async fn other_key(&self) -> String {
        add_workspace(&self.context, "key-of-another-workspace").await.1
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let request = OutboundRequest {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            url: format!("{}{path}", self.url).parse().unwrap(),
            headers: map,
            body: if body.is_empty() { Vec::new() } else { vec![Bytes::copy_from_slice(body)] },
            deadline: Duration::from_secs(20),
            body_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = self.client.send(request).await.unwrap();
        assert!(!answer.is_cut);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        Answer { status: answer.status, headers: answer.headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("authorization", &self.key)], b"").await
    }

    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("authorization", self.key.as_str()), ("content-type", "application/json")];
        self.send(method, path, &headers, body.to_string().as_bytes()).await
    }

    /// A connection to the sandbox; its id.
    pub async fn connection(&self) -> String {
        let answer = self.call("POST", "/unified/connection", &sandbox()).await.ok();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// A webhook on it, made in a millisecond of its own so that lists have an order.
    pub async fn webhook(&self, connection: &str, changes: Value) -> Value {
        let made = self.call("POST", "/unified/webhook", &webhook(connection, changes)).await.ok();
        let answered_ms = self.context.clock.now_ms();
        while self.context.clock.now_ms() == answered_ms {
            tokio::task::yield_now().await;
        }
        made
    }
}

async fn add_workspace(context: &Context, key: &str) -> (WorkspaceId, String) {
    let id = WorkspaceId::new(&context.clock, &context.random).unwrap();
    let secret = context.vault.seal(&Workspace::seal(id), b"wsecret").unwrap();
    let key_hash = Sha256::digest(key.as_bytes()).into();
    let workspace = Workspace::new(id, key, key_hash, secret, context.clock.now());
    context.store.insert_workspace(workspace).await.unwrap();
    (id, key.to_owned())
}

/// A connection as a client asks for it.
pub fn sandbox() -> Value {
    json!({
        "integration_type": "sandbox",
        "categories": ["crm"],
        "permissions": [],
        "auth": { "token": "t-very-secret", "api_url": "http://127.0.0.1:4/", "meta": { "webhook_secret": "whs-very-secret" } },
    })
}

/// A webhook as a client asks for it, with changes to the usual one; null takes a field out.
pub fn webhook(connection: &str, changes: Value) -> Value {
    let mut body = json!({
        "connection_id": connection,
        "event": "updated",
        "object_type": "crm_contact",
        "hook_url": "https://receiver.example/hook",
        "interval": 1.0,
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name.as_str()] = value.clone();
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    body
}
