//! `/unified/webhook`

use crate::http_support::{Server, webhook};
use anyhook::ids::WebhookId;
use anyhook::store::{ApiCall, CallKind, Duty, FeedHealth, FeedState, JobMode, JobState, NextRun, NextWhy, RunFinish};
use serde_json::json;

fn id_of(webhook: &serde_json::Value) -> &str {
    webhook["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_webhook_is_made_answered_and_listed() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({"interval": 0.5})).await;
    assert_eq!(id_of(&made).len(), 24);
    assert_eq!(made["connection_id"], connection.as_str());
    assert_eq!(made["webhook_type"], "native", "the connection has a secret for the vendor's own");
    assert_eq!(made["integration_type"], "sandbox");
    assert_eq!(made["environment"], "Production");
    assert_eq!((&made["is_healthy"], &made["is_paused"]), (&json!(true), &json!(false)));
    assert_eq!(made["runs"], json!([]));
    let polled = server.webhook(&connection, json!({"webhook_type": "virtual", "interval": 0.5})).await;
    assert_eq!((&polled["webhook_type"], &polled["interval"]), (&json!("virtual"), &json!(0.5)));
    assert_eq!(server.get(&format!("/unified/webhook/{}", id_of(&made))).await.ok(), made);
    let listed = server.get(&format!("/unified/webhook?connection_id={connection}&object=crm_contact")).await.ok();
    assert_eq!(listed, json!([made, polled]));
}

#[tokio::test]
async fn include_all_makes_the_job_of_the_initial_sync() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let body = webhook(&connection, json!({}));
    let made = server.call("POST", "/unified/webhook?include_all=true", &body).await.ok();
    let id: WebhookId = id_of(&made).parse().unwrap();
    let jobs = server.store.jobs_of_webhook(id, 10).await.unwrap();
    let row = server.store.webhook(id).await.unwrap().unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].mode, &jobs[0].state, jobs[0].feed_id), (JobMode::Initial, &JobState::Running, row.feed_id));
    let plain = server.call("POST", "/unified/webhook?include_all=false", &body).await.ok();
    assert!(server.store.jobs_of_webhook(id_of(&plain).parse().unwrap(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn updates_merge_and_what_cannot_change_stays() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let other = server.connection().await;
    let made = server.webhook(&connection, json!({"webhook_type": "virtual"})).await;
    let path = format!("/unified/webhook/{}", id_of(&made));
    let mut whole = made.clone();
    for (field, value) in [
        ("environment", json!("Sandbox")),
        ("connection_id", json!(other)),
        ("object_type", json!("crm_deal")),
        ("webhook_type", json!("native")),
        ("is_healthy", json!(false)),
        ("filters", json!({})),
    ] {
        whole[field] = value;
    }
    assert_eq!(server.call("PUT", &path, &whole).await.ok(), made, "nothing changed, not even updated_at");
    let change = json!({"event": "created", "interval": 5.0, "fields": "id", "page_max_limit": 7.0, "is_paused": true,
        "hook_url": "https://other.example/"});
    let changed = server.call("PATCH", &path, &change).await.ok();
    for (field, value) in change.as_object().unwrap() {
        let same =
            changed[field] == *value || changed[field].as_f64().is_some_and(|number| value.as_f64() == Some(number));
        assert!(same, "{field}: {} is not {value}", changed[field]);
    }
    server.call("PUT", &path, &json!({"filters": {"a": "b"}})).await.refused(400, "filters");
    assert_eq!(server.get(&path).await.ok(), changed);
}

#[tokio::test]
async fn trigger_and_resume_are_durable_before_they_are_answered() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({})).await;
    let id: WebhookId = id_of(&made).parse().unwrap();
    let feed = server.store.webhook(id).await.unwrap().unwrap().feed_id;
    let pings = server.store.pings(feed).await.unwrap();
    let headers = [("authorization", server.key.as_str())];
    assert_eq!(server.send("PUT", &format!("/unified/webhook/{id}/trigger"), &headers, b"").await.status, 200);
    assert_eq!(server.store.pings(feed).await.unwrap(), pings + 1);
    let resumed = server.send("PUT", &format!("/unified/webhook/{id}/resume"), &headers, b"").await.ok();
    assert_eq!(resumed["is_healthy"], true);
    server.call("PATCH", &format!("/unified/webhook/{id}"), &json!({"is_paused": true})).await.ok();
    server.send("PUT", &format!("/unified/webhook/{id}/trigger"), &headers, b"").await.refused(403, "paused");
}

#[tokio::test]
async fn deleting_ends_it() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({})).await;
    let path = format!("/unified/webhook/{}", id_of(&made));
    let headers = [("authorization", server.key.as_str())];
    assert_eq!(server.send("DELETE", &path, &headers, b"").await.status, 200);
    server.send("DELETE", &path, &headers, b"").await.refused(404, id_of(&made));
    assert_eq!(server.get("/unified/webhook").await.ok(), json!([]));
}

#[tokio::test]
async fn an_interval_is_fixed_or_a_range() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let range = json!({"webhook_type": "virtual", "interval": 0.5, "interval_max": 15.0});
    let made = server.webhook(&connection, range).await;
    assert_eq!((&made["interval"], &made["interval_max"]), (&json!(0.5), &json!(15)));
    let path = format!("/unified/webhook/{}", id_of(&made));
    let row = async || server.store.webhook(id_of(&made).parse().unwrap()).await.unwrap().unwrap();
    let feed = server.store.feed(row().await.feed_id).await.unwrap().unwrap();
    assert_eq!((feed.settings.interval_ms, feed.settings.interval_max_ms), (Some(30_000), Some(900_000)));
    // The official clients do not know the field: what they send back leaves it.
    let mut echo = made.clone();
    echo.as_object_mut().unwrap().remove("interval_max");
    assert_eq!(server.call("PUT", &path, &echo).await.ok(), made);
    server.call("PATCH", &path, &json!({"interval": 20})).await.refused(400, "interval_max");
    for wrong in [json!(0.25), json!(1e9), json!(0), json!("15")] {
        server.call("PATCH", &path, &json!({"interval_max": wrong})).await.refused(400, "interval_max");
    }
    let wider = server.call("PATCH", &path, &json!({"interval": 2, "interval_max": 30.0})).await.ok();
    assert_eq!((&wider["interval"], &wider["interval_max"]), (&json!(2), &json!(30)));
    let fixed = server.call("PATCH", &path, &json!({"interval_max": null})).await.ok();
    assert_eq!((&fixed["interval"], fixed.get("interval_max")), (&json!(2), None));
    assert_eq!(row().await.interval_max_ms, None);
    let wrong = crate::http_support::webhook(&connection, json!({"interval": 5, "interval_max": 4}));
    server.call("POST", "/unified/webhook", &wrong).await.refused(400, "interval_max");
}

#[tokio::test]
async fn a_person_sees_how_it_does_and_when_it_is_polled_next() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({"webhook_type": "virtual", "interval_max": 15})).await;
    assert_eq!(made["health"], json!({"state": "preparing"}));
    assert!(made["next_check_at"].is_string() && made.get("interval_now").is_none(), "{made}");
    let path = format!("/unified/webhook/{}", id_of(&made));
    let row = server.store.webhook(id_of(&made).parse().unwrap()).await.unwrap().unwrap();
    let fence = server.context.leases.lease(Duty::Deliver, row.shard).unwrap().fence;
    let now = server.context.clock.now();
    let run = async |health: FeedHealth, error: Option<&str>, why: NextWhy| {
        let state = FeedState {
            health,
            wait_ms: Some(30_000),
            started_at: Some(now),
            checked_at: Some(now),
            ..FeedState::default()
        };
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
            error: error.map(str::to_owned),
            at: now,
            duration_ms: 41,
            size_bytes: 0,
            records: 7,
            requests: 1,
            count: 1,
            delivery: None,
            next: Some(NextRun { in_ms: 29_600, why }),
            attempt: None,
            destination_id: None,
            changes: None,
        };
        let due_at = Some(now + chrono::TimeDelta::seconds(30));
        let (feed, call) = (row.feed_id, Some(call));
        server.store.finish_run(RunFinish { fence, feed, state, due_at, call, contact: None }).await.unwrap();
        server.get(&path).await.ok()
    };
    let healthy = run(FeedHealth::Healthy, None, NextWhy::Changes).await;
    assert_eq!((&healthy["is_healthy"], &healthy["health"]), (&json!(true), &json!({"state": "healthy"})));
    assert_eq!(healthy["interval_now"], json!(0.5));
    let told = healthy["runs"][0].as_str().unwrap();
    assert!(told.ends_with("ok: 7 changes, 1 request, 41 ms, next in 30 s (changes come)"), "{told}");
    let message = "the listing goes round in a circle".to_owned();
    let bad = FeedHealth::Unhealthy { since: now, code: "listing_cycle".into(), message, is_credential: false };
    let unhealthy = run(bad, Some("round and round"), NextWhy::Failed).await;
    assert_eq!(unhealthy["is_healthy"], false);
    assert_eq!(
        (&unhealthy["health"]["state"], &unhealthy["health"]["code"]),
        (&json!("unhealthy"), &json!("listing_cycle"))
    );
    let told = unhealthy["runs"][0].as_str().unwrap();
    assert!(told.contains("failed: round and round") && told.ends_with("(the run failed)"), "{told}");
    assert_eq!(server.get("/unified/webhook?is_healthy=false").await.ok(), json!([unhealthy]));
    let headers = [("authorization", server.key.as_str())];
    let resumed = server.send("PUT", &format!("{path}/resume"), &headers, b"").await.ok();
    assert_eq!((&resumed["is_healthy"], &resumed["health"]["state"]), (&json!(true), &json!("retrying")));
    assert_eq!(server.get(&path).await.ok(), resumed, "the same to whoever asks");
    let newest = &server.get("/unified/notification?limit=1").await.ok()[0];
    assert_eq!((&newest["event"], &newest["code"]), (&json!("WEBHOOK_UNHEALTHY"), &json!("listing_cycle")));
}
