//! What is not believed leaves nothing behind.

use crate::http_support::{NoNetwork, Server, sandbox};
use crate::vendor::{SECRET, contact, event, push, signature};
use anyhook::ids::{FeedId, WebhookId};
use anyhook::limits::Limits;
use anyhook::store::LogHead;
use serde_json::json;
use std::sync::Arc;

async fn feed_of(server: &Server, webhook: &serde_json::Value) -> FeedId {
    let id: WebhookId = webhook["id"].as_str().unwrap().parse().unwrap();
    server.store.webhook(id).await.unwrap().unwrap().feed_id
}

async fn state(server: &Server, feed: FeedId) -> (LogHead, u64) {
    (server.store.log_head(feed).await.unwrap(), server.store.pings(feed).await.unwrap())
}

#[tokio::test]
async fn what_is_not_the_vendors_leaves_nothing_behind() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({})).await;
    let feed = feed_of(&server, &webhook).await;
    let before = state(&server, feed).await;
    let path = format!("/ingress/{connection}");
    let body = event("contact.updated", &contact());
    let now = server.context.clock.now().timestamp();
    let right = signature(SECRET, now, &body);
    for (header, sent, status, part) in [
        (None, &body, 400, "x-sandbox-signature"),
        (Some(String::new()), &body, 400, "x-sandbox-signature"),
        (Some(right.replace("v1=", "v2=")), &body, 400, "x-sandbox-signature"),
        (Some(signature("another secret", now, &body)), &body, 401, "signature"),
        (Some(right.clone()), &format!("{body} "), 401, "signature"),
        (Some(signature(SECRET, now - 301, &body)), &body, 401, "300 s"),
        (Some(signature(SECRET, now + 400, &body)), &body, 401, "300 s"),
        (Some(format!("t={now},v1=zz")), &body, 401, "signature"),
    ] {
        let headers: Vec<_> = header.iter().map(|header| ("x-sandbox-signature", header.as_str())).collect();
        server.send("POST", &path, &headers, sent.as_bytes()).await.refused(status, part);
    }
    push(&server, &connection, "{").await.refused(400, "cannot be read");
    push(&server, "000000000000000000000000", &body).await.refused(404, "no connection");
    push(&server, "nonsense", &body).await.refused(404, "no connection");
    server.send("GET", &path, &[], b"").await.refused(405, "GET");
    assert_eq!(state(&server, feed).await, before);
}

#[tokio::test]
async fn limits_pauses_and_missing_secrets_are_told() {
    let mut limits = Limits::default();
    limits.api.ingress_body_bytes_max = 10_000;
    let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
    let connection = server.connection().await;
    push(&server, &connection, &"x".repeat(10_001)).await.refused(413, "10000 bytes");
    let mut without_secret = sandbox();
    without_secret["auth"]["meta"] = json!({});
    let other = server.call("POST", "/unified/connection", &without_secret).await.ok();
    push(&server, other["id"].as_str().unwrap(), "{}").await.refused(400, "auth.meta.webhook_secret");
    server.call("PATCH", &format!("/unified/connection/{connection}"), &json!({"is_paused": true})).await.ok();
    let body = event("contact.updated", &contact());
    push(&server, &connection, &body).await.refused(403, "paused");
}

#[tokio::test]
async fn each_connection_has_a_rate() {
    let mut limits = Limits::default();
    limits.api.ingress_per_second_max = 1;
    let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
    let (one, other) = (server.connection().await, server.connection().await);
    let body = event("ping", &json!({}));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(push(&server, &one, &body).await.status);
    }
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(push(&server, &other, &body).await.status, 200);
}

#[tokio::test]
async fn github_published_vector() {
    let server = Server::start().await;
    let body = json!({
        "integration_type": "github",
        "auth": { "token": "t", "meta": { "webhook_secret": "It's a Secret to Everybody" } },
    });
    let connection = server.call("POST", "/unified/connection", &body).await.ok();
    let path = format!("/ingress/{}", connection["id"].as_str().unwrap());
    let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("x-hub-signature-256", right), ("x-github-event", "ping")];
    assert_eq!(server.send("POST", &path, &headers, b"Hello, World!").await.status, 400, "believed, but no JSON");
    assert_eq!(server.send("POST", &path, &headers[..1], b"Hello, World!").await.status, 200, "believed: no event");
    server.send("POST", &path, &headers, b"Hello, World?").await.refused(401, "signature");
    server.send("POST", &path, &headers[1..], b"Hello, World!").await.refused(400, "x-hub-signature-256");
}
