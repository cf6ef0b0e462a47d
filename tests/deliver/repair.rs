//! What a person sees of deliveries, and what can be done about them.

use crate::harness::{World, limits};
use crate::receiver::{Receiver, status};
use anyhook::api::{ApiOptions, Guards, router};
use anyhook::limits::Limits;
use anyhook::log::Found;
use anyhook::outbound::guard::Guard;
use anyhook::store::{Webhook, WebhookHealth, Workspace};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

const KEY: &str = "key-of-the-workspace";

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1 << 22;

pub(crate) fn loopback() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
}

/// A world whose API is asked.
pub(crate) async fn world(limits: Limits) -> World {
    let world = World::with(limits, loopback()).await;
    let store = &world.context.store;
    let known = store.workspace(world.connection.workspace_id).await.unwrap().unwrap();
    store.replace_workspace(Workspace { key_hash: Sha256::digest(KEY).into(), ..known }).await.unwrap();
    world
}

/// Asks the API; a path that begins with `~` is one under the webhook's.
pub(crate) async fn ask(
    world: &World,
    webhook: &Webhook,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let path = path.replace('~', &format!("/unified/webhook/{}", webhook.id));
    let request = Request::builder().method(method).uri(path).header("authorization", KEY);
    let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
    let options = ApiOptions { guards: Guards { destinations: loopback(), ..Guards::default() }, ..Default::default() };
    let answer = router(world.context.clone(), options).oneshot(request.body(body).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.unwrap();
    assert!(!bytes.windows(5).any(|part| part == b":null"), "null in {bytes:?}");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub(crate) async fn get(world: &World, webhook: &Webhook, path: &str) -> Value {
    let (status, answer) = ask(world, webhook, "GET", path, None).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

pub(crate) async fn post(world: &World, webhook: &Webhook, path: &str, body: Value) -> Value {
    let (status, answer) = ask(world, webhook, "POST", path, Some(body)).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn full() -> Response {
    let headers = [("x-reason", "disk full"), ("set-cookie", "session=s3cret"), ("x-api-key", "s3cret")];
    (StatusCode::INTERNAL_SERVER_ERROR, headers, "no room: ".repeat(200)).into_response()
}

fn states(deliveries: &Value) -> Vec<&str> {
    deliveries.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_delivery_tells_its_attempts_and_its_payload() {
    let world = world(limits()).await;
    let receiver = Receiver::scripted(|number| if number == 0 { full() } else { status(200) }).await;
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1", "2"]).await;
    world.until(webhook.id, |state| state.delivered == 1).await;
    let seen = receiver.seen();
    let listed = get(&world, &webhook, "~/deliveries").await;
    let [one] = &listed.as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!((&one["id"], &one["type"]), (&json!(seen[0].header("webhook-id")), &json!("VIRTUAL")));
    assert_eq!((&one["state"], &one["records"]), (&json!("delivered"), &json!(2)));
    assert_eq!(one["size"], seen[0].body.len());
    assert_eq!(one["sequence"].to_string(), seen[0].header("anyhook-sequence"));
    assert_eq!((&one["stream"], one.get("next_attempt_at")), (&json!("live"), None));
    let attempts = one["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["status"], &attempts[1]["status"]), (2, &json!(500), &json!(200)));
    assert_eq!((&attempts[0]["at"], &attempts[1]["at"]), (&one["created_at"], &one["updated_at"]));
    assert!(attempts[0]["error"].as_str().unwrap().contains("500") && attempts[1].get("error").is_none());
    assert_eq!(attempts[0]["response_headers"]["x-reason"], "disk full");
    assert!(!listed.to_string().contains("s3cret"), "{listed}");
    assert_eq!(attempts[0]["response_body"], "no room: ".repeat(200)[..1024]);
    assert_eq!(attempts[0]["response_body_is_cut"], true);
    assert!(attempts[1].get("response_body").is_none() && attempts[1].get("response_headers").is_none());

    let whole = get(&world, &webhook, &format!("~/deliveries/{}", seen[0].header("webhook-id"))).await;
    let sent: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(whole["payload"], sent, "the very same, signatures included");
    assert!(one.get("payload").is_none());
    let (code, _) = ask(&world, &webhook, "GET", "~/deliveries/msg_none", None).await;
    assert_eq!(code, 404);
    engine.stop().await;
}

#[tokio::test]
async fn states_say_what_becomes_of_a_batch() {
    let mut limits = limits();
    limits.deliver.retry_schedule_ms = vec![1_000_000];
    let world = world(limits).await;
    let receiver = Receiver::scripted(|number| status(if number == 0 { 200 } else { 500 })).await;
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    receiver.until(1).await;
    world.log(webhook.feed_id, Found::Native, &["2"]).await;
    let retry = world.until(webhook.id, |state| state.retry.is_some()).await.retry.unwrap();
    let listed = get(&world, &webhook, "~/deliveries").await;
    assert_eq!(states(&listed), ["retrying", "delivered"]);
    assert_eq!(listed[0]["type"], "NATIVE");
    let next_at: chrono::DateTime<chrono::Utc> = listed[0]["next_attempt_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(next_at, retry.next_at);
    for (query, expected) in [
        ("?state=retrying", vec!["retrying"]),
        ("?state=delivered&limit=5.0", vec!["delivered"]),
        ("?state=failed", vec![]),
        ("?limit=1", vec!["retrying"]),
        ("?limit=1&offset=1", vec!["delivered"]),
        (&format!("?updated_gte={}", listed[0]["updated_at"].as_str().unwrap()), vec!["retrying"]),
    ] {
        assert_eq!(states(&get(&world, &webhook, &format!("~/deliveries{query}")).await), expected, "{query}");
    }
    receiver.answer(|_| status(410));
    world.context.store.resume_webhook(webhook.id, world.context.clock.now()).await.unwrap();
    world.until(webhook.id, |state| state.health != WebhookHealth::Healthy).await;
    let listed = get(&world, &webhook, "~/deliveries").await;
    assert_eq!(states(&listed), ["failed", "delivered"]);
    assert!(listed[0].get("next_attempt_at").is_none(), "it waits for a person");
    assert_eq!(ask(&world, &webhook, "GET", "~/deliveries?state=lost", None).await.0, 400);
    engine.stop().await;
}

#[tokio::test]
async fn a_payload_that_would_be_another_now_is_not_shown_as_what_was_sent() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let engine = world.start();
    world.log(webhook.feed_id, Found::Virtual, &["1"]).await;
    world.until(webhook.id, |state| state.delivered == 1).await;
    let path = format!("~/deliveries/{}", receiver.seen()[0].header("webhook-id"));
    assert!(get(&world, &webhook, &path).await.get("payload").is_some());
    let known = world.context.store.webhook(webhook.id).await.unwrap().unwrap();
    let fields = vec!["name".to_owned()];
    world.context.store.replace_webhook(Webhook { fields, ..known }).await.unwrap();
    let shown = get(&world, &webhook, &path).await;
    assert!(shown.get("payload").is_none() && shown["notice"].as_str().unwrap().contains("set otherwise"), "{shown}");
    engine.stop().await;
}

#[tokio::test]
async fn a_test_is_a_whole_sample_marked_as_such_and_moves_nothing() {
    let (world, receiver) = (world(limits()).await, Receiver::new().await);
    let webhook = world.subscribe(&receiver.url).await;
    let before = world.delivery(webhook.id).await;
    let told = post(&world, &webhook, "~/test", json!({})).await;
    assert_eq!((&told["status"], &told["is_delivered"]), (&json!(200), &json!(true)));
    let seen = receiver.seen();
    assert_eq!((seen.len(), told["id"].as_str().unwrap()), (1, seen[0].header("webhook-id")));
    assert_eq!((seen[0].header("anyhook-test"), seen[0].header("anyhook-stream")), ("true", "test"));
    assert!(!seen[0].headers.contains_key("anyhook-sequence"), "it has no place in a stream");
    standardwebhooks::Webhook::new(crate::harness::SECRET).unwrap().verify(&seen[0].body, &seen[0].headers).unwrap();
    let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!((&body["is_test"], &body["type"]), (&json!(true), &json!("VIRTUAL")));
    assert_eq!(body["webhook"]["id"], webhook.id.to_string());
    for field in anyhook_connectors::model::ObjectType::CrmContact.fields().iter().filter(|field| **field != "raw") {
        assert!(body["data"][0].get(*field).is_some(), "{field} is not in {body}");
    }
    assert_eq!(world.delivery(webhook.id).await, before);
    assert_eq!(get(&world, &webhook, "~/deliveries").await, json!([]));

    receiver.answer(|_| full());
    let told = post(&world, &webhook, "~/test", json!({})).await;
    assert_eq!((&told["status"], &told["is_delivered"]), (&json!(500), &json!(false)));
    assert!(told["error"].as_str().unwrap().contains("500") && told["response_headers"]["x-reason"] == "disk full");
    assert!(told["response_body"].as_str().unwrap().starts_with("no room"));
    let seen = receiver.seen();
    assert_ne!(seen[0].header("webhook-id"), seen[1].header("webhook-id"), "a second test is no repeat");

    let url = json!({"hook_url": receiver.url, "object_type": "task_task", "fields": "name,raw"});
    post(&world, &webhook, "/unified/webhook/test", url).await;
    let body: Value = serde_json::from_slice(&receiver.seen()[2].body).unwrap();
    let names: Vec<_> = body["data"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["id", "name", "raw"]);
}
