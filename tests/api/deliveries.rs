//! `/unified/webhook/{id}/deliveries` and `/runs`

use crate::http_support::Server;
use anyhook::store::{
    ApiCall, AttemptFinish, CallKind, Duty, FeedState, NextRun, NextWhy, Outcome, Position, RunFinish, Stream, Webhook,
};
use serde_json::json;

fn row(webhook: &Webhook, records: u64, error: Option<&str>) -> ApiCall {
    ApiCall {
        id: String::new(),
        workspace_id: webhook.workspace_id,
        connection_id: webhook.connection_id,
        feed_id: webhook.feed_id,
        webhook_id: None,
        integration: webhook.integration.clone(),
        environment: webhook.environment.clone(),
        external_xref: None,
        kind: CallKind::Inbound,
        method: "GET".to_owned(),
        name: "crm_contact".to_owned(),
        path: String::new(),
        status: if error.is_some() { 0 } else { 200 },
        error: error.map(str::to_owned),
        at: chrono::DateTime::from_timestamp(1_700_000_000 + i64::try_from(records).unwrap(), 0).unwrap(),
        duration_ms: 400,
        size_bytes: 9,
        records,
        requests: 2,
        count: 1,
        delivery: None,
        next: Some(NextRun { in_ms: 29_600, why: NextWhy::Changes }),
        attempt: None,
        destination_id: None,
        changes: None,
    }
}

#[tokio::test]
async fn runs_are_objects_newest_first() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({})).await;
    let path = format!("/unified/webhook/{}/runs", made["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.ok(), json!([]));
    let webhook = server.store.webhook(made["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let fence = server.context.leases.lease(Duty::Deliver, webhook.shard).unwrap().fence;
    for (records, error) in [(1, None), (2, None), (3, Some("no route to the vendor"))] {
        let (feed, call) = (webhook.feed_id, Some(row(&webhook, records, error)));
        let state = FeedState::default();
        server.store.finish_run(RunFinish { fence, feed, state, due_at: None, call, contact: None }).await.unwrap();
    }
    // What is about the webhook is no run.
    let about = ApiCall { webhook_id: Some(webhook.id), ..row(&webhook, 9, Some("no hook at the vendor")) };
    let outcome = Outcome::Passed { stream: Stream::Live, position: Position::default() };
    let finish = AttemptFinish { fence, webhook: webhook.id, outcome, at: about.at, call: Some(about) };
    server.store.finish_attempt(finish).await.unwrap();
    let runs = server.get(&path).await.ok();
    let records: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["records"].as_u64().unwrap()).collect();
    assert_eq!(records, [3, 2, 1]);
    assert_eq!((&runs[0]["status"], &runs[0]["error"]), (&json!("failed"), &json!("no route to the vendor")));
    assert!(runs[0].get("http_status").is_none() && runs[1].get("error").is_none());
    let expected = json!({
        "id": runs[1]["id"], "at": "2023-11-14T22:13:22Z", "status": "ok", "http_status": 200, "duration_ms": 400,
        "records": 2, "requests": 2, "size": 9, "count": 1,
        "next": {"at": "2023-11-14T22:13:52Z", "why": "changes"},
    });
    assert_eq!(runs[1], expected);
    assert_eq!(server.get(&format!("{path}?limit=1&offset=1")).await.ok(), json!([expected]));
    assert_eq!(server.get(&format!("{path}?error=true")).await.ok(), json!([runs[0]]));
    assert_eq!(server.get(&format!("{path}?updated_gte=2023-11-14T22:13:22Z")).await.ok(), json!([runs[0], runs[1]]));
}

#[tokio::test]
async fn another_workspace_sees_none_of_it() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({})).await;
    let other = server.other_key().await;
    let path = format!("/unified/webhook/{}", made["id"].as_str().unwrap());
    for what in ["deliveries", "deliveries/msg_1", "runs"] {
        let path = format!("{path}/{what}");
        server.send("GET", &path, &[("authorization", &other)], b"").await.refused(404, "there is no webhook");
        server.send("GET", &path, &[], b"").await.refused(401, "authorization");
    }
    assert_eq!(server.get(&format!("{path}/deliveries")).await.ok(), json!([]));
    server.get(&format!("{path}/deliveries/msg_1")).await.refused(404, "msg_1");
}

#[tokio::test]
async fn tests_are_few_and_go_where_deliveries_may() {
    let server = Server::start().await;
    let url = json!({"hook_url": "https://receiver.example/hook", "object_type": "crm_contact"});
    let path = "/unified/webhook/test";
    for (field, wrong) in [("hook_url", json!("http://127.0.0.1/hook")), ("object_type", json!("crm_unknown"))] {
        let mut body = url.clone();
        body[field] = wrong;
        server.call("POST", path, &body).await.refused(400, field);
    }
    let told = server.call("POST", path, &url).await.ok();
    assert_eq!((&told["is_delivered"], told.get("status")), (&json!(false), None));
    assert!(told["error"].as_str().unwrap().contains("not allowed"), "{told}");
    server.call("POST", path, &url).await.ok();
    let refused = server.call("POST", path, &url).await;
    refused.refused(429, "too many requests");
    assert_eq!(refused.header("retry-after"), "1");
}
