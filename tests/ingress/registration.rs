//! From a native webhook to the vendor's push: registered in the background, removed when it is not wanted any more.

use crate::http_support::{NoNetwork, Server, sandbox, webhook};
use anyhook::clock::Clock;
use anyhook::engine::Engine;
use anyhook::ids::WebhookId;
use anyhook::limits::Limits;
use anyhook::log::{Found, LogPage};
use anyhook::outbound::HttpClient;
use anyhook::outbound::guard::Guard;
use anyhook::simulator::{Object, Simulator, SimulatorSettings};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A simulator, a server and its engine.
struct Stand {
    server: Server,
    simulator: Simulator,
    vendor_url: String,
    engine: Engine,
}

impl Stand {
    async fn start() -> Self {
        let simulator =
            Simulator::new(SimulatorSettings { records: 3, ..SimulatorSettings::default() }, Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor_url = format!("http://{}", listener.local_addr().unwrap());
        let served = simulator.clone();
        tokio::spawn(async move { served.serve(listener, std::future::pending()).await });
        let mut limits = Limits::default();
        limits.api.interval_floor_ms = 20;
        let client = HttpClient::vendors(Guard::new(vec!["127.0.0.0/8".parse().unwrap()])).unwrap();
        let server = Server::start_with(limits, Arc::new(client)).await;
        let engine = Engine::start(server.context.clone()).await.unwrap();
        Stand { server, simulator, vendor_url, engine }
    }

    /// A connection without a webhook secret.
    async fn connection(&self) -> String {
        let mut body = sandbox();
        body["auth"] = json!({"token": "sandbox", "api_url": self.vendor_url});
        self.server.call("POST", "/unified/connection", &body).await.ok()["id"].as_str().unwrap().to_owned()
    }

    /// A native webhook.
    async fn native(&self, connection: &str) -> WebhookId {
        let body = webhook(connection, json!({"webhook_type": "native", "interval": 60}));
        let made = self.server.call("POST", "/unified/webhook", &body).await.ok();
        made["id"].as_str().unwrap().parse().unwrap()
    }

    /// What is registered at the vendor.
    async fn hooks(&self) -> Vec<Value> {
        let client = HttpClient::vendors(Guard::new(vec!["127.0.0.0/8".parse().unwrap()])).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", "Bearer sandbox".parse().unwrap());
        let request = anyhook::outbound::OutboundRequest {
            method: http::Method::GET,
            url: format!("{}/v1/webhooks", self.vendor_url).parse().unwrap(),
            headers,
            body: Vec::new(),
            deadline: Duration::from_secs(5),
            body_bytes_max: 1 << 20,
        };
        let answer = anyhook::outbound::Outbound::send(&client, request).await.unwrap();
        serde_json::from_slice::<Value>(&answer.body).unwrap()["data"].as_array().unwrap().clone()
    }

    async fn hooks_become(&self, count: usize) {
        until("the vendor's webhooks", async || self.hooks().await.len() == count).await;
    }

    async fn is_registered(&self, id: WebhookId) -> bool {
        self.server.store.webhook(id).await.unwrap().is_some_and(|webhook| webhook.registered.is_some())
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let reached = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come about"));
}

#[tokio::test]
async fn a_native_webhook_is_registered_pushed_to_and_removed() {
    let stand = Stand::start().await;
    let (server, store) = (&stand.server, &stand.server.store);
    let connection = stand.connection().await;
    let first = stand.native(&connection).await;
    let second = stand.native(&connection).await;
    until("both registrations", async || stand.is_registered(first).await && stand.is_registered(second).await).await;
    let hooks = stand.hooks().await;
    assert_eq!(hooks.len(), 1, "one feed is registered once: {hooks:?}");
    assert_eq!(hooks[0]["url"], format!("{}/ingress/{connection}", server.url));
    assert!(server.get(&format!("/unified/connection/{connection}")).await.ok()["auth"].get("meta").is_none());

    let feed = store.webhook(first).await.unwrap().unwrap().feed_id;
    until("the first poll", async || store.feed_state(feed).await.unwrap().started_at.is_some()).await;
    stand
        .simulator
        .with(|vendor, now| vendor.create(Object::Contacts, Default::default(), now.timestamp_millis()))
        .unwrap();
    until("a native page", async || {
        let head = store.log_head(feed).await.unwrap();
        let mut found = false;
        for sequence in head.start..head.end {
            let stored = store.log_page(feed, sequence).await.unwrap().unwrap();
            found |= LogPage::decode(&stored, 1 << 20).unwrap().meta.found == Found::Native;
        }
        found
    })
    .await;

    let headers = [("authorization", server.key.as_str())];
    server.send("DELETE", &format!("/unified/webhook/{first}"), &headers, b"").await;
    server.call("PATCH", &format!("/unified/webhook/{second}"), &json!({"is_paused": true})).await.ok();
    stand.hooks_become(0).await;
    until("the row", async || !stand.is_registered(second).await).await;
    server.call("PATCH", &format!("/unified/webhook/{second}"), &json!({"is_paused": false})).await.ok();
    stand.hooks_become(1).await;
    server.send("DELETE", &format!("/unified/connection/{connection}"), &headers, b"").await;
    stand.hooks_become(0).await;
    stand.engine.stop().await;
}

#[tokio::test]
async fn a_registration_that_fails_is_told_and_tried_again_with_new_credentials() {
    let stand = Stand::start().await;
    let connection = stand.connection().await;
    let path = format!("/unified/connection/{connection}");
    stand.server.call("PATCH", &path, &json!({"auth": {"token": "wrong"}})).await.ok();
    let id = stand.native(&connection).await;
    until("the failure in the audit trail", async || {
        let calls = stand.server.get(&format!("/unified/apicall?connection_id={connection}&error=true")).await.ok();
        calls.as_array().unwrap().iter().any(|call| call["name"] == "register webhook crm_contact")
    })
    .await;
    assert_eq!(stand.hooks().await.len(), 0);
    stand.server.call("PATCH", &path, &json!({"auth": {"token": "sandbox"}})).await.ok();
    until("the registration", async || stand.is_registered(id).await).await;
    stand.engine.stop().await;
}

#[tokio::test]
async fn a_native_webhook_that_cannot_come_about_is_refused() {
    let server = Server::start_with(Limits::default(), Arc::new(NoNetwork)).await;
    let body = json!({"integration_type": "github", "auth": {"token": "t"}});
    let connection = server.call("POST", "/unified/connection", &body).await.ok()["id"].as_str().unwrap().to_owned();
    let issue = |changes: Value| {
        let mut body = webhook(&connection, json!({"object_type": "task_task"}));
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    };
    let refused = server.call("POST", "/unified/webhook", &issue(json!({"webhook_type": "native"}))).await;
    refused.refused(400, "filters.repo_id");
    let polled = server.call("POST", "/unified/webhook", &issue(json!({}))).await.ok();
    assert_eq!(polled["webhook_type"], "virtual", "no address that GitHub could reach");
    let deleted = json!({"event": "deleted", "webhook_type": "virtual"});
    let swept = server.call("POST", "/unified/webhook", &issue(deleted)).await.ok();
    assert_eq!(swept["webhook_type"], "virtual", "sweeps find what no listing tells");
}
