//! `/unified/connection`

use crate::http_support::{NoNetwork, Server, sandbox, webhook};
use anyhook::credentials::Credentials;
use anyhook::limits::Limits;
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn secrets_are_sealed_and_never_answered() {
    let server = Server::start().await;
    let made = server.call("POST", "/unified/connection", &sandbox()).await;
    let body = made.ok();
    assert_eq!(body["integration_type"], "sandbox");
    assert_eq!(body["integration_name"], "Sandbox");
    assert_eq!(body["environment"], "Production");
    assert_eq!(body["auth"], json!({"api_url": "http://127.0.0.1:4/"}));
    assert!(body["permissions"].as_array().unwrap().contains(&json!("crm_contact_read")));
    let id = body["id"].as_str().unwrap();
    for answer in
        [made, server.get(&format!("/unified/connection/{id}")).await, server.get("/unified/connection").await]
    {
        assert!(!answer.text.contains("very-secret"), "{answer:?}");
    }
    let stored = server.store.connection(id.parse().unwrap()).await.unwrap().unwrap();
    assert!(!serde_json::to_string(&stored).unwrap().contains("very-secret"));
    let opened = Credentials::open(&server.context.vault, &stored).unwrap();
    assert_eq!(opened.token.as_deref(), Some("t-very-secret"));
    assert_eq!(opened.webhook_secret.as_deref(), Some("whs-very-secret"));
}

#[tokio::test]
async fn both_verbs_merge_and_leave_what_is_read_only() {
    let server = Server::start().await;
    let id = server.connection().await;
    let path = format!("/unified/connection/{id}");
    let mut whole = server.get(&path).await.ok();
    whole["environment"] = json!("Sandbox");
    whole["created_at"] = json!("2001-01-01T00:00:00Z");
    whole["id"] = json!("000000000000000000000000");
    let unchanged = server.call("PUT", &path, &whole).await.ok();
    assert_eq!(unchanged["environment"], "Production");
    assert_eq!(unchanged, server.get(&path).await.ok());
    let before = server.store.connection(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((before.revision, before.auth_revision), (before.revision, 0), "an echo brings no credentials");
    let change =
        json!({"external_xref": "customer-7", "is_paused": true, "auth": {"name": "Ann", "meta": {"tenant": "a"}}});
    let changed = server.call("PATCH", &path, &change).await.ok();
    assert_eq!(changed["external_xref"], "customer-7");
    assert_eq!(changed["auth"]["meta"]["tenant"], "a");
    assert_eq!(changed["auth"]["api_url"], "http://127.0.0.1:4/");
    server.call("PUT", &path, &json!({"auth": {"token": "t2"}})).await.ok();
    let after = server.store.connection(id.parse().unwrap()).await.unwrap().unwrap();
    let opened = Credentials::open(&server.context.vault, &after).unwrap();
    assert_eq!(opened.token.as_deref(), Some("t2"));
    assert_eq!(opened.webhook_secret.as_deref(), Some("whs-very-secret"));
    assert_eq!((after.bucket == before.bucket, after.auth_revision), (true, 2));
    server.call("PATCH", &path, &json!({"auth": {"token": ""}})).await.refused(400, "auth.token");
}

#[tokio::test]
async fn a_new_reference_reaches_its_webhooks() {
    let server = Server::start().await;
    let id = server.connection().await;
    let webhook = server.webhook(&id, json!({})).await;
    let change = json!({"external_xref": "customer-8"});
    server.call("PATCH", &format!("/unified/connection/{id}"), &change).await.ok();
    let row = server.store.webhook(webhook["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.external_xref.as_deref(), Some("customer-8"));
    let listed = server.get("/unified/connection?external_xref=customer-8").await.ok();
    assert_eq!(listed[0]["id"], id.as_str());
}

#[tokio::test]
async fn deleting_one_ends_its_webhooks() {
    let server = Server::start().await;
    let id = server.connection().await;
    let webhook = server.webhook(&id, json!({})).await;
    let headers = [("authorization", server.key.as_str())];
    let answer = server.send("DELETE", &format!("/unified/connection/{id}"), &headers, b"").await;
    assert_eq!(answer.status, 200);
    server.get(&format!("/unified/connection/{id}")).await.refused(404, &id);
    let webhook = webhook["id"].as_str().unwrap();
    server.get(&format!("/unified/webhook/{webhook}")).await.refused(404, webhook);
}

#[tokio::test]
async fn the_same_credential_shares_a_budget_and_another_does_not() {
    let server = Server::start().await;
    let bucket = async |token: &str| {
        let mut body = sandbox();
        body["auth"]["token"] = json!(token);
        let id = server.call("POST", "/unified/connection", &body).await.ok()["id"].as_str().unwrap().to_owned();
        let row = server.store.connection(id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(row.shard, anyhook::store::ShardId::of_bucket(&row.bucket));
        assert!(!row.bucket.contains(token));
        row.bucket
    };
    let first = bucket("one").await;
    assert_eq!(first, bucket("one").await);
    assert_ne!(first, bucket("two").await);
}

#[tokio::test]
async fn more_than_the_limits_are_refused_until_there_is_room() {
    let mut limits = Limits::default();
    (limits.api.connections_max, limits.api.webhooks_per_connection_max) = (2, 2);
    let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
    let (first, second) = (server.connection().await, server.connection().await);
    let import = async || server.call("POST", "/unified/connection", &sandbox()).await;
    let refused = import().await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains("2 connections already"), "{refused:?}");
    let deleted = server.call("DELETE", &format!("/unified/connection/{first}"), &json!({})).await;
    assert_eq!(deleted.status, 200);
    import().await.ok();
    assert_eq!(import().await.status, 422);

    let subscribe = async |object_type: &str| {
        let body = webhook(&second, json!({"object_type": object_type}));
        server.call("POST", "/unified/webhook", &body).await
    };
    let made = subscribe("crm_contact").await.ok();
    subscribe("crm_deal").await.ok();
    let refused = subscribe("crm_contact").await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains("2 webhooks already"), "{refused:?}");
    let path = format!("/unified/webhook/{}", made["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, &json!({})).await.status, 200);
    subscribe("crm_deal").await.ok();
}
