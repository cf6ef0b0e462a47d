//! `/unified/notification`

use crate::http_support::Server;
use serde_json::json;

#[tokio::test]
async fn what_was_done_is_listed_newest_first() {
    let server = Server::start().await;
    assert_eq!(server.get("/unified/notification").await.ok(), json!([]));
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({})).await;
    let path = format!("/unified/webhook/{}", webhook["id"].as_str().unwrap());
    server.call("PATCH", &path, &json!({"is_paused": true})).await.ok();
    let listed = server.get("/unified/notification?limit=10.0&offset=0&sort=updated_at").await.ok();
    let events: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["WEBHOOK_PAUSED", "WEBHOOK_CREATED", "CONNECTION_CREATED"]);
    let newest = &listed[0];
    assert_eq!(newest["id"].as_str().unwrap().len(), 24);
    assert_eq!((&newest["webhook_id"], &newest["connection_id"]), (&webhook["id"], &json!(connection)));
    assert_eq!(newest["workspace_id"], server.workspace.to_string());
    assert_eq!((&newest["integration_type"], &newest["integration_name"]), (&json!("sandbox"), &json!("Sandbox")));
    assert_eq!(newest["environment"], "Production");
    assert_eq!(newest["created_at"], newest["updated_at"]);
    assert!(!newest["description"].as_str().unwrap().is_empty());
    let oldest_first = server.get("/unified/notification?order=asc&offset=1&limit=1").await.ok();
    assert_eq!(oldest_first, json!([listed[1]]));
    let since = newest["created_at"].as_str().unwrap();
    assert_eq!(server.get(&format!("/unified/notification?updated_gte={since}")).await.ok(), json!([newest]));
}

#[tokio::test]
async fn a_workspace_sees_its_own() {
    let server = Server::start().await;
    server.connection().await;
    let other = server.other_key().await;
    let answer = server.send("GET", "/unified/notification", &[("authorization", &other)], b"").await;
    assert_eq!(answer.ok(), json!([]));
    server.send("GET", "/unified/notification", &[], b"").await.refused(401, "key");
    server.get("/unified/notification?order=up").await.refused(400, "order");
}

#[tokio::test]
async fn they_are_found_by_event_connection_and_webhook() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({})).await;
    server.connection().await;
    let list = async |query: &str| {
        let listed = server.get(&format!("/unified/notification?order=asc&{query}")).await.ok();
        listed.as_array().unwrap().iter().map(|one| one["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("event=WEBHOOK_*").await, ["WEBHOOK_CREATED"]);
    assert_eq!(list("event=CONNECTION_CREATED&event=WEBHOOK_CREATED").await.len(), 3);
    assert_eq!(list(&format!("connection_id={connection}")).await, ["CONNECTION_CREATED", "WEBHOOK_CREATED"]);
    let of_webhook = format!("webhook_id={}", webhook["id"].as_str().unwrap());
    assert_eq!(list(&of_webhook).await, ["WEBHOOK_CREATED"]);
    server.get("/unified/notification?event=NOTHING").await.refused(400, "event: `NOTHING` is not known; use *");
    server.get("/unified/notification?connection_id=x").await.refused(400, "connection_id");
}
