//! `/unified/insight`

use crate::http_support::Server;
use anyhook::store::{ApiCall, CallKind, ChangeCounts, Duty, FeedState, RunFinish};
use serde_json::json;

#[tokio::test]
async fn a_connections_insights_are_told_by_hour_and_day() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({})).await;
    let row = server.store.webhook(webhook["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let query = format!("/unified/insight?connection_id={connection}");
    assert_eq!(server.get(&query).await.ok(), json!([]));
    let call = ApiCall {
        id: String::new(),
        workspace_id: row.workspace_id,
        connection_id: row.connection_id,
        feed_id: row.feed_id,
        webhook_id: None,
        integration: row.integration.clone(),
        environment: row.environment.clone(),
        external_xref: None,
        kind: CallKind::Inbound,
        method: "GET".to_owned(),
        name: "crm_contact".to_owned(),
        path: String::new(),
        status: 200,
        error: None,
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        duration_ms: 1,
        size_bytes: 1,
        records: 7,
        requests: 2,
        count: 1,
        delivery: None,
        next: None,
        attempt: None,
        destination_id: None,
        changes: Some(ChangeCounts { created: 1, updated: 4, deleted: 2 }),
    };
    let fence = server.context.leases.lease(Duty::Deliver, row.shard).unwrap().fence;
    let finish = RunFinish {
        fence,
        feed: row.feed_id,
        state: FeedState::default(),
        due_at: None,
        contact: None,
        call: Some(call),
    };
    server.store.finish_run(finish).await.unwrap();
    let mut hour = json!({"connection_id": connection, "object_type": "crm_contact", "resolution": "hour",
        "from": "2026-01-02T03:00:00Z", "to": "2026-01-02T04:00:00Z", "runs": 1, "failed_runs": 0, "requests": 2,
        "changes": 7, "created": 1, "updated": 4, "deleted": 2, "deliveries": 0, "records": 0, "failures": 0});
    assert_eq!(server.get(&format!("{query}&limit=10.0&object_type=crm_contact")).await.ok(), json!([hour]));
    (hour["resolution"], hour["from"], hour["to"]) =
        (json!("day"), json!("2026-01-02T00:00:00Z"), json!("2026-01-03T00:00:00Z"));
    assert_eq!(server.get(&format!("{query}&resolution=day")).await.ok(), json!([hour]));
    assert_eq!(server.get(&format!("{query}&updated_gte=2026-01-02T04:00:00Z")).await.ok(), json!([]));
    assert_eq!(server.get(&format!("{query}&object_type=crm_deal")).await.ok(), json!([]));
    server.get("/unified/insight").await.refused(400, "connection_id: is missing");
    server.get(&format!("{query}&resolution=week")).await.refused(400, "resolution: `week` is not known");
    server.get(&format!("{query}&object_type=x")).await.refused(400, "object_type: is not known");
    let other = server.other_key().await;
    server.send("GET", &query, &[("authorization", other.as_str())], b"").await.refused(404, "connection");
}
