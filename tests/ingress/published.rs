//! Slack and Trello: who is believed, by what they publish of their signatures, and how each makes sure of an address.

use crate::http_support::{Server, webhook};
use anyhook::ids::{FeedId, WebhookId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;

async fn connect(server: &Server, integration: &str, meta: Value) -> (String, String) {
    let body = json!({"integration_type": integration, "auth": {"token": "t", "meta": meta}});
    let connection = server.call("POST", "/unified/connection", &body).await.ok();
    let id = connection["id"].as_str().unwrap().to_owned();
    let path = format!("/ingress/{id}");
    (id, path)
}

async fn subscribe(server: &Server, connection: &str, changes: Value) -> FeedId {
    let made = server.call("POST", "/unified/webhook", &webhook(connection, changes)).await.ok();
    let id: WebhookId = made["id"].as_str().unwrap().parse().unwrap();
    server.store.webhook(id).await.unwrap().unwrap().feed_id
}

/// docs.slack.dev/authentication/verifying-requests-from-slack, the example of its steps.
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const EXAMPLE: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                       channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                       response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
                       96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

/// A body's signature of now, as the page says; its time.
fn slack_signature(server: &Server, body: &str) -> (String, String) {
    let time = server.context.clock.now().timestamp().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("v0:{time}:{body}").as_bytes());
    (format!("v0={}", hex::encode(mac.finalize().into_bytes())), time)
}

#[tokio::test]
async fn slacks_published_signature_holds_and_is_too_old() {
    let server = Server::start().await;
    let (_, path) = connect(&server, "slack", json!({"webhook_secret": SECRET})).await;
    let push = async |signature: &str, time: &str, body: &str| {
        let headers = [("x-slack-signature", signature), ("x-slack-request-timestamp", time)];
        server.send("POST", &path, &headers, body.as_bytes()).await
    };
    // That its time is looked at, and found years old, is that the signature holds.
    push(SIGNATURE, "1531420618", EXAMPLE).await.refused(401, "300 s");
    push(SIGNATURE, "1531420618", &EXAMPLE.replace("text=", "text=x")).await.refused(401, "signature");
    push(SIGNATURE, "1531420619", EXAMPLE).await.refused(401, "signature");
    let time = [("x-slack-request-timestamp", "1531420618")];
    server.send("POST", &path, &time, EXAMPLE.as_bytes()).await.refused(400, "x-slack-signature");
    let signature = [("x-slack-signature", SIGNATURE)];
    server.send("POST", &path, &signature, EXAMPLE.as_bytes()).await.refused(400, "x-slack-request-timestamp");
}

#[tokio::test]
async fn slacks_challenge_is_answered_and_a_message_reaches_its_feed() {
    let server = Server::start().await;
    let (connection, path) = connect(&server, "slack", json!({"webhook_secret": SECRET})).await;
    let changes = json!({"object_type": "messaging_message", "filters": {"channel_id": "C123ABC456"}});
    let feed = subscribe(&server, &connection, changes).await;
    let push = async |body: &str, wrong: &str| {
        let (signature, time) = slack_signature(&server, body);
        let headers = [("x-slack-signature", signature.as_str()), ("x-slack-request-timestamp", time.as_str())];
        server.send("POST", &path, &headers, format!("{body}{wrong}").as_bytes()).await
    };
    // docs.slack.dev/reference/events/url_verification
    let asked = r#"{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;
    let challenge = json!({"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"});
    assert_eq!(push(asked, "").await.ok(), challenge);
    push(asked, " ").await.refused(401, "signature");
    server.send("POST", &path, &[], asked.as_bytes()).await.refused(400, "x-slack-");
    let now = server.context.clock.now().timestamp() + 1;
    let posted = json!({"type": "event_callback", "event_id": "Ev123ABC456", "event": {"type": "message",
        "channel": "C123ABC456", "user": "U123ABC456", "text": "Hello world", "ts": format!("{now}.000005")}});
    let posted = posted.to_string();
    // A feed that was never polled is polled at once.
    let before = server.store.pings(feed).await.unwrap();
    push(&posted, " ").await.refused(401, "signature");
    assert_eq!(push(&posted, "").await.status, 200);
    assert_eq!(server.store.pings(feed).await.unwrap(), before + 1);
}

/// HMAC by its definition (RFC 2104, section 2) over SHA-1, in Base64.
fn trello_signature(secret: &[u8], text: &str) -> String {
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret);
    let padded = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha1::new().chain_update(padded(0x36)).chain_update(text).finalize();
    BASE64.encode(Sha1::new().chain_update(padded(0x5c)).chain_update(inner).finalize())
}

#[tokio::test]
async fn trellos_head_is_answered_and_a_signed_callback_asks_for_a_poll() {
    let server = Server::start().await;
    let (connection, path) =
        connect(&server, "trello", json!({"app_id": "0471642aefef5fa1", "webhook_secret": "trello-secret"})).await;
    let changes = json!({"object_type": "task_task", "filters": {"project_id": "4d5ea62fd76aa1136000000c"}});
    let feed = subscribe(&server, &connection, changes).await;
    assert_eq!(server.send("HEAD", &path, &[], b"").await.status, 200);
    server.send("GET", &path, &[], b"").await.refused(405, "GET");

    // developer.atlassian.com/cloud/trello/guides/rest-api/webhooks, "Webhook Signatures": the body, then the callbackURL.
    let body = r#"{"action":{"id":"51f9424bcd6e040f3c002412","type":"updateCard","data":{"board":{"id":"4d5ea62fd76aa1136000000c"},"card":{"id":"51a79e72dbb7e23c7c003778"}}}}"#;
    let url = format!("{}{path}", server.url);
    let push =
        async |signature: &str| server.send("POST", &path, &[("x-trello-webhook", signature)], body.as_bytes()).await;
    for wrong in [
        trello_signature(b"another", &format!("{body}{url}")),
        trello_signature(b"trello-secret", body),
        trello_signature(b"trello-secret", &format!("{url}{body}")),
    ] {
        push(&wrong).await.refused(401, "signature");
    }
    server.send("POST", &path, &[], body.as_bytes()).await.refused(400, "x-trello-webhook");
    let before = server.store.pings(feed).await.unwrap();
    let right = trello_signature(b"trello-secret", &format!("{body}{url}"));
    assert_eq!(push(&right).await.status, 200);
    assert_eq!(server.store.pings(feed).await.unwrap(), before + 1);
}
