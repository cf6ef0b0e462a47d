//! How deliveries are made, as webhooks set it.

use crate::http_support::Server;
use anyhook::ids::WebhookId;
use serde_json::{Value, json};

async fn stored(server: &Server, webhook: &Value) -> Option<Vec<u64>> {
    let id: WebhookId = webhook["id"].as_str().unwrap().parse().unwrap();
    server.store.webhook(id).await.unwrap().unwrap().delivery.retry_schedule_ms
}

#[tokio::test]
async fn a_webhook_has_waits_of_its_own_until_null_takes_them_out() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({"retry_schedule": [0.5, 60.0, 3600]})).await;
    assert_eq!(made["retry_schedule"], json!([0.5, 60, 3600]));
    assert_eq!(stored(&server, &made).await, Some(vec![500, 60_000, 3_600_000]));
    let path = format!("/unified/webhook/{}", made["id"].as_str().unwrap());
    let named = server.call("PATCH", &path, &json!({"page_max_limit": 7})).await.ok();
    assert_eq!(named["retry_schedule"], made["retry_schedule"], "what is not given stays");
    let once = server.call("PATCH", &path, &json!({"retry_schedule": []})).await.ok();
    assert_eq!((once["retry_schedule"].clone(), stored(&server, &made).await), (json!([]), Some(Vec::new())));
    let plain = server.call("PUT", &path, &json!({"retry_schedule": null})).await.ok();
    assert!(plain.get("retry_schedule").is_none(), "{plain}");
    assert_eq!(stored(&server, &made).await, None);
    let without = server.webhook(&connection, json!({})).await;
    assert!(without.get("retry_schedule").is_none(), "{without}");
}

#[tokio::test]
async fn a_schedule_that_cannot_be_kept_is_refused_by_name() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({})).await;
    let path = format!("/unified/webhook/{}", made["id"].as_str().unwrap());
    for (schedule, told) in [
        (json!("60"), "retry_schedule: expected a list of numbers, got text"),
        (json!([60, "soon"]), "retry_schedule: expected a list of numbers, got text"),
        (json!([60, null]), "retry_schedule: expected a list of numbers, got null"),
        (json!([0]), "retry_schedule: expected seconds from 0.1 to 604800"),
        (json!([1, 604800.5]), "retry_schedule: expected seconds from 0.1 to 604800"),
        (json!([1e300]), "retry_schedule: expected seconds from 0.1 to 604800"),
        (json!(vec![1; 51]), "retry_schedule: more than the 50 retries that are taken"),
    ] {
        let body = crate::http_support::webhook(&connection, json!({"retry_schedule": schedule}));
        server.call("POST", "/unified/webhook", &body).await.refused(400, told);
        server.call("PATCH", &path, &json!({"retry_schedule": schedule})).await.refused(400, told);
    }
    assert_eq!(stored(&server, &made).await, None);
}
