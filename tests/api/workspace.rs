//! `/unified/workspace`

use crate::http_support::Server;
use serde_json::json;

#[tokio::test]
async fn a_workspace_is_shown_to_its_key_alone_and_without_its_secret() {
    let server = Server::start().await;
    let answer = server.get("/unified/workspace").await;
    let shown = answer.ok();
    assert_eq!(shown["id"], server.workspace.to_string());
    assert_eq!((&shown["name"], &shown["signature_encoding"]), (&json!(server.key), &json!("base64")));
    let secrets = shown["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0]["id"].as_str().unwrap().len(), 12);
    assert!(secrets[0]["created_at"].is_string() && secrets[0].get("expires_at").is_none());
    assert!(!answer.text.contains("wsecret"), "{}", answer.text);
    assert!(shown.get("retry_schedule").is_none());

    let other = server.other_key().await;
    let shown = server.send("GET", "/unified/workspace", &[("authorization", &other)], b"").await.ok();
    assert_eq!(shown["name"], other.as_str());
    server.send("GET", "/unified/workspace", &[], b"").await.refused(401, "authorization");
}

#[tokio::test]
async fn a_workspace_is_changed_field_by_field() {
    let server = Server::start().await;
    let path = "/unified/workspace";
    let before = server.get(path).await.ok();
    assert_eq!(server.call("PUT", path, &before).await.ok(), before, "what is sent back changes nothing");
    let change = json!({"name": "Acme", "signature_encoding": "hex", "retry_schedule": [0.5, 10, 3600.0], "id": "x"});
    let changed = server.call("PATCH", path, &change).await.ok();
    assert_eq!((&changed["name"], &changed["signature_encoding"]), (&json!("Acme"), &json!("hex")));
    assert_eq!(changed["retry_schedule"], json!([0.5, 10, 3600]));
    assert_eq!((&changed["id"], &changed["secrets"]), (&before["id"], &before["secrets"]));
    assert_eq!(server.get(path).await.ok(), changed);
    let row = server.store.workspace(server.workspace).await.unwrap().unwrap();
    assert_eq!(row.delivery.retry_schedule_ms, Some(vec![500, 10_000, 3_600_000]));

    let kept = server.call("PATCH", path, &json!({"signature_encoding": "base64"})).await.ok();
    assert_eq!((&kept["name"], &kept["retry_schedule"]), (&json!("Acme"), &json!([0.5, 10, 3600])));
    let none = server.call("PATCH", path, &json!({"retry_schedule": []})).await.ok();
    assert_eq!(none["retry_schedule"], json!([]), "no retries is a choice");
    let unset = server.call("PATCH", path, &json!({"retry_schedule": null})).await.ok();
    assert!(unset.get("retry_schedule").is_none());
}

#[tokio::test]
async fn what_a_workspace_cannot_be_is_refused_by_name() {
    let server = Server::start().await;
    for (change, part) in [
        (json!({"name": ""}), "name"),
        (json!({"name": 1}), "name"),
        (json!({"signature_encoding": "base32"}), "signature_encoding"),
        (json!({"retry_schedule": 5}), "retry_schedule"),
        (json!({"retry_schedule": ["5"]}), "retry_schedule"),
        (json!({"retry_schedule": [0.01]}), "retry_schedule: expected seconds from 0.1 to 604800"),
        (json!({"retry_schedule": [604_801]}), "retry_schedule"),
        (json!({"retry_schedule": vec![1; 51]}), "retry_schedule: more than the 50"),
    ] {
        server.call("PATCH", "/unified/workspace", &change).await.refused(400, part);
    }
}
