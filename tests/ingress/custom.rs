//! A sender that its connection describes: believed by what is declared, told as it came, greeted as it asks.

use crate::http_support::{NoNetwork, Server, webhook};
use anyhook::ids::WebhookId;
use anyhook::limits::Limits;
use anyhook::log::LogPage;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;

pub(crate) struct Sender {
    pub(crate) server: Server,
    pub(crate) connection: String,
    pub(crate) path: String,
}

pub(crate) fn hex_of(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn declared(more: Value) -> Value {
    let mut meta = json!({
        "webhook_secret": "s1",
        "signature_header": "x-signature",
        "signature_prefix": "sha256=",
        "event_id_path": "id",
        "event_type_path": "type",
        "event_time_path": "at",
    });
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"integration_type": "custom", "auth": {"meta": meta}})
}

impl Sender {
    pub(crate) async fn start(meta: Value) -> Self {
        Self::start_with(Limits::default(), meta).await
    }

    async fn start_with(limits: Limits, meta: Value) -> Self {
        let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
        let connection = server.call("POST", "/unified/connection", &declared(meta)).await.ok();
        let connection = connection["id"].as_str().unwrap().to_owned();
        let path = format!("/ingress/{connection}");
        Sender { server, connection, path }
    }

    /// A webhook's feed.
    pub(crate) async fn subscribe(&self, filters: Value) -> anyhook::ids::FeedId {
        let body =
            webhook(&self.connection, json!({"object_type": "custom_event", "event": "created", "filters": filters}));
        let made = self.server.call("POST", "/unified/webhook", &body).await.ok();
        assert_eq!(made["webhook_type"], "native");
        let id: WebhookId = made["id"].as_str().unwrap().parse().unwrap();
        self.server.store.webhook(id).await.unwrap().unwrap().feed_id
    }

    pub(crate) async fn push(&self, secret: &str, body: &str) -> crate::http_support::Answer {
        let signature = format!("sha256={}", hex_of(secret, body));
        self.server.send("POST", &self.path, &[("x-signature", &signature)], body.as_bytes()).await
    }

    /// The objects in a feed's log, as they stand there.
    pub(crate) async fn log(&self, feed: anyhook::ids::FeedId) -> Vec<String> {
        let head = self.server.store.log_head(feed).await.unwrap();
        let mut objects = Vec::new();
        for sequence in head.start..head.end {
            let stored = self.server.store.log_page(feed, sequence).await.unwrap().unwrap();
            let page = LogPage::decode(&stored, 1 << 20).unwrap();
            objects.extend((0..page.len()).map(|index| String::from_utf8(page.object(index).to_vec()).unwrap()));
        }
        objects
    }
}

#[tokio::test]
async fn events_are_told_as_they_came_in_order_and_once() {
    let sender = Sender::start(json!({})).await;
    let all = sender.subscribe(json!({})).await;
    let paid = sender.subscribe(json!({"type": "order.paid"})).await;
    let body = |id: u32, kind: &str| format!(r#"{{"id":{id}, "type":"{kind}", "at":1700000000, "n":1.0}}"#);
    for id in [3, 1, 2] {
        let kind = if id == 1 { "order.paid" } else { "order.made" };
        assert_eq!(sender.push("s1", &body(id, kind)).await.status, 200);
        assert_eq!(sender.push("s1", &body(id, kind)).await.status, 200, "a repeat is fine");
    }
    let told = sender.log(all).await;
    let first = r#"{"id":"3","created_at":"2023-11-14T22:13:20Z","updated_at":"2023-11-14T22:13:20Z","payload":{"id":3,"type":"order.made","at":1700000000,"n":1},"type":"order.made"}"#;
    assert_eq!(told[0], first);
    let ids: Vec<Value> =
        told.iter().map(|object| serde_json::from_str::<Value>(object).unwrap()["id"].clone()).collect();
    assert_eq!(ids, ["3", "1", "2"], "as they arrived, each once");
    assert_eq!(sender.log(paid).await.len(), 1, "only what the filter names");
    assert_eq!(sender.server.store.pings(all).await.unwrap(), 0, "there is nothing to poll");
}

#[tokio::test]
async fn only_what_is_declared_is_believed() {
    let sender = Sender::start(json!({"webhook_secret_previous": "s0"})).await;
    let feed = sender.subscribe(json!({})).await;
    let body = r#"{"id":"a"}"#;
    assert_eq!(sender.push("s0", body).await.status, 200, "the secret before, while it is kept");
    sender.push("other", body).await.refused(401, "signature");
    sender.server.send("POST", &sender.path, &[], body.as_bytes()).await.refused(400, "x-signature");
    sender.push("s1", "{").await.refused(400, "cannot be read");
    sender.push("s1", r#"{"type":"no id"}"#).await.refused(400, "event_id_path");
    assert_eq!(sender.log(feed).await.len(), 1);
    let path = format!("/unified/connection/{}", sender.connection);
    let rolled = json!({"auth": {"meta": {"webhook_secret_previous": ""}}});
    sender.server.call("PATCH", &path, &rolled).await.ok();
    sender.push("s0", r#"{"id":"b"}"#).await.refused(401, "signature");
}

#[tokio::test]
async fn a_secret_in_a_header_and_a_time_that_is_too_old() {
    let meta =
        json!({"signature_algorithm": "equals", "signature_header": "authorization", "signature_prefix": "Bearer "});
    let sender = Sender::start(meta).await;
    let push = async |value: &str| {
        sender.server.send("POST", &sender.path, &[("authorization", value)], br#"{"id":"a"}"#).await
    };
    assert_eq!(push("Bearer s1").await.status, 200);
    push("Bearer s2").await.refused(401, "signature");
    push("s1").await.refused(400, "authorization");

    let meta =
        json!({"signed_content": "{timestamp}.{body}", "timestamp_header": "x-time", "timestamp_tolerance_s": "60"});
    let sender = Sender::start(meta).await;
    let now = sender.server.context.clock.now().timestamp();
    for (age, status) in [(0, 200), (59, 200), (70, 401)] {
        let time = (now - age).to_string();
        let signature = format!("sha256={}", hex_of("s1", &format!(r#"{time}.{{"id":"a"}}"#)));
        let headers = [("x-signature", signature.as_str()), ("x-time", time.as_str())];
        let answer = sender.server.send("POST", &sender.path, &headers, br#"{"id":"a"}"#).await;
        assert_eq!(answer.status, status, "{age} s: {answer:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_told_when_it_is_declared() {
    let server = Server::start().await;
    let body = declared(json!({"signed_content": "{boby}"}));
    server.call("POST", "/unified/connection", &body).await.refused(400, "auth.meta.signed_content");
    let sender = Sender::start(json!({})).await;
    let body = webhook(&sender.connection, json!({"object_type": "custom_event", "event": "created"}));
    sender.server.call("POST", "/unified/webhook?include_all=true", &body).await.refused(501, "only pushed");
    let mut virtual_one = body.clone();
    virtual_one["webhook_type"] = json!("virtual");
    sender.server.call("POST", "/unified/webhook", &virtual_one).await.refused(400, "webhook_type");
    let path = format!("/unified/connection/{}", sender.connection);
    let wrong = json!({"auth": {"meta": {"signature_algorithm": "md5"}}});
    sender.server.call("PATCH", &path, &wrong).await.refused(400, "auth.meta.signature_algorithm");
}

#[tokio::test]
async fn a_full_log_refuses_what_polling_cannot_make_up_for() {
    let mut limits = Limits::default();
    limits.poll.log_bytes_max = 1;
    let sender = Sender::start_with(limits, json!({})).await;
    let feed = sender.subscribe(json!({})).await;
    assert_eq!(sender.push("s1", r#"{"id":"a"}"#).await.status, 200);
    sender.push("s1", r#"{"id":"b"}"#).await.refused(503, "log is full");
    sender.push("s1", r#"{"id":"b"}"#).await.refused(503, "log is full");
    assert_eq!(sender.log(feed).await.len(), 1, "what was refused is no repeat");
}
