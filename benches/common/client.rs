//! The bench as a user: over the HTTP API, the vendor's control API and the receiver's count.

use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Records that share one time at the vendor.
const RECORDS_PER_MS: u64 = 10;

/// What one of our own processes answers.
#[allow(clippy::disallowed_methods)] // answers of our own processes
pub(crate) async fn get_text(url: &str) -> String {
    reqwest::get(url).await.expect("an answer").text().await.expect("a body")
}

pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    key: String,
}

impl Client {
    pub(crate) fn new(server: &str, key: &str) -> Self {
        // Not done yet where the server is another process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Client { http, server: server.to_owned(), key: key.to_owned() }
    }

    pub(crate) async fn connect(&self, vendor: &str) -> String {
        let auth = json!({"api_url": vendor, "token": "sandbox"});
        self.import("sandbox", &auth).await
    }

    /// Imports a connection and answers its id.
    pub(crate) async fn import(&self, integration: &str, auth: &Value) -> String {
        let body = json!({"integration_type": integration, "categories": ["crm"], "permissions": [], "auth": auth});
        self.make("/unified/connection", &body).await
    }

    pub(crate) async fn subscribe(
        &self,
        connection: &str,
        hook_url: &str,
        limit: u32,
        include_all: bool,
        interval_ms: f64,
    ) -> String {
        let body = json!({
            "connection_id": connection, "object_type": "crm_contact", "event": "updated", "hook_url": hook_url,
            "webhook_type": "virtual", "interval": interval_ms / 60_000.0, "page_max_limit": limit,
        });
        self.make(&format!("/unified/webhook?include_all={include_all}"), &body).await
    }

    /// Makes something and answers its id.
    pub(crate) async fn make(&self, path: &str, body: &Value) -> String {
        self.post(&format!("{}{path}", self.server), body).await["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn trigger(&self, webhook: &str) {
        let url = format!("{}/unified/webhook/{webhook}/trigger", self.server);
        let answer = self.http.put(url).header("authorization", &self.key).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Waits until the webhook was polled: its feed has begun.
    pub(crate) async fn wait_polled(&self, webhook: &str) {
        self.wait_polled_for(webhook, PATIENCE).await;
    }

    /// The same where that takes long.
    pub(crate) async fn wait_polled_for(&self, webhook: &str, patience: Duration) {
        let start = Instant::now();
        while start.elapsed() < patience {
            if self.checked_at(webhook).await.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the webhook was not polled");
    }

    /// When the webhook's feed was last polled.
    pub(crate) async fn checked_at(&self, webhook: &str) -> Option<Value> {
        let url = format!("{}/unified/webhook/{webhook}", self.server);
        self.get(&url).await.get("checked_at").cloned()
    }

    pub(crate) async fn polls(&self, vendor: &str) -> u64 {
        self.get(&format!("{vendor}/_control/stats")).await["requests"].as_u64().unwrap_or(0)
    }

    /// Makes records a few a millisecond, as many vendors' times are no finer.
    pub(crate) async fn create(&self, vendor: &str, count: u64) {
        let url = format!("{vendor}/_control/contacts/bulk");
        let mut left = count;
        while left > 0 {
            let few = left.min(RECORDS_PER_MS);
            self.post(&url, &json!({"count": few})).await;
            left -= few;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Payloads and records that the receiver has taken.
    pub(crate) async fn taken(&self, receiver: &str) -> (u64, u64) {
        let answer = self.http.get(format!("{receiver}/taken")).send().await.expect("an answer");
        let text = self.text(answer).await;
        let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// Waits until the receiver has taken that many records.
    pub(crate) async fn wait_taken(&self, receiver: &str, records: u64) -> (u64, u64) {
        self.wait_taken_for(receiver, records, PATIENCE).await
    }

    /// The same where that takes long.
    pub(crate) async fn wait_taken_for(&self, receiver: &str, records: u64, patience: Duration) -> (u64, u64) {
        let start = Instant::now();
        while start.elapsed() < patience {
            let taken = self.taken(receiver).await;
            if taken.1 >= records {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the receiver took {:?} of {records} records", self.taken(receiver).await);
    }

    pub(crate) async fn get(&self, url: &str) -> Value {
        let answer = self.http.get(url).header("authorization", &self.key).send().await.expect("an answer");
        serde_json::from_str(&self.text(answer).await).expect("JSON")
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Value {
        let request = self.http.post(url).header("authorization", &self.key).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        let status = answer.status();
        let text = self.text(answer).await;
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    #[allow(clippy::disallowed_methods)] // answers of our own processes
    async fn text(&self, answer: reqwest::Response) -> String {
        answer.text().await.expect("a body")
    }
}
