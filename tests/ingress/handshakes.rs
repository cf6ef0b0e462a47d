//! How senders make sure of an address, each in its own way.

use crate::custom::{Sender, hex_of};
use serde_json::json;

#[tokio::test]
async fn a_handshake_is_answered_and_no_other() {
    let sender = Sender::start(json!({"handshake": "head"})).await;
    assert_eq!(sender.server.send("HEAD", &sender.path, &[], b"").await.status, 200);
    sender.server.send("GET", &sender.path, &[], b"").await.refused(405, "GET");

    let meta = json!({"handshake": "query", "handshake_parameter": "hub.challenge", "handshake_check_parameter": "hub.verify_token"});
    let sender = Sender::start(meta).await;
    let get = async |query: &str| sender.server.get(&format!("{}{query}", sender.path)).await;
    let answer = get("?hub.mode=subscribe&hub.challenge=%3Cb%3E1&hub.verify_token=s1").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "<b>1"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    get("?hub.challenge=1&hub.verify_token=s2").await.refused(401, "hub.verify_token");
    get("?hub.challenge=1").await.refused(400, "hub.verify_token");
    get("?hub.verify_token=s1").await.refused(400, "hub.challenge");
    assert_eq!(sender.server.send("HEAD", &sender.path, &[], b"").await.status, 405);

    let meta = json!({"handshake": "body", "handshake_path": "type", "handshake_value": "verify", "handshake_field": "challenge"});
    let sender = Sender::start(meta).await;
    let asked = r#"{"type":"verify","challenge":"abc"}"#;
    assert_eq!(sender.push("s1", asked).await.ok(), json!({"challenge": "abc"}));
    sender.push("other", asked).await.refused(401, "signature");
    assert_eq!(sender.push("s1", r#"{"type":"order","challenge":"abc","id":"a"}"#).await.text, "", "it is an event");
}

/// As Microsoft Graph does: a POST with a token in its query, which nothing signs.
#[tokio::test]
async fn a_token_in_the_query_of_a_post_is_answered_as_text() {
    let meta = json!({"handshake": "query", "handshake_verb": "post", "handshake_parameter": "validationToken"});
    let sender = Sender::start(meta).await;
    let feed = sender.subscribe(json!({})).await;
    let asked = format!("{}?validationToken=a%20b%3Cc", sender.path);
    let answer = sender.server.send("POST", &asked, &[], b"").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "a b<c"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    sender.server.get(&asked).await.refused(405, "GET");
    sender.server.send("POST", &sender.path, &[], br#"{"id":"a"}"#).await.refused(400, "x-signature");
    assert_eq!(sender.push("s1", r#"{"id":"a"}"#).await.status, 200);
    assert_eq!(sender.log(feed).await.len(), 1, "a handshake is no event");
}

/// As monday.com does: the body holds a challenge and no signature stands beside it.
#[tokio::test]
async fn an_unsigned_challenge_is_answered_and_an_unsigned_event_is_not_taken() {
    let meta = json!({"handshake": "body", "handshake_signed": "no", "handshake_path": "challenge",
        "handshake_field": "challenge"});
    let sender = Sender::start(meta).await;
    let feed = sender.subscribe(json!({})).await;
    let post = async |body: &str| sender.server.send("POST", &sender.path, &[], body.as_bytes()).await;
    assert_eq!(post(r#"{"challenge":"3eZbrw1aBm2r"}"#).await.ok(), json!({"challenge": "3eZbrw1aBm2r"}));
    post(r#"{"id":"a"}"#).await.refused(400, "x-signature");
    assert_eq!(sender.log(feed).await.len(), 0);
}

/// As Zoom does: a signed token, answered with its digest under the secret that signed.
#[tokio::test]
async fn a_signed_token_is_answered_with_its_digest() {
    let meta = json!({"webhook_secret_previous": "s0", "handshake": "token", "handshake_path": "event",
        "handshake_value": "endpoint.url_validation", "handshake_field": "payload.plainToken",
        "handshake_digest_field": "encryptedToken"});
    let sender = Sender::start(meta).await;
    let asked = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#;
    for secret in ["s1", "s0"] {
        let digest = hex_of(secret, "qgg8vlvZRS6UYooatFL8Aw");
        let answer = json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": digest});
        assert_eq!(sender.push(secret, asked).await.ok(), answer, "{secret}");
    }
    sender.push("other", asked).await.refused(401, "signature");
    sender.server.send("POST", &sender.path, &[], asked.as_bytes()).await.refused(400, "x-signature");
}

/// As Asana does: the sender tells the secret in a header and wants it back.
#[tokio::test]
async fn a_secret_that_the_sender_tells_is_taken_once() {
    let meta = json!({"webhook_secret": "", "handshake": "secret", "handshake_header": "x-hook-secret"});
    let sender = Sender::start(meta).await;
    let feed = sender.subscribe(json!({})).await;
    let told = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";
    let tell = async |secret: &str| sender.server.send("POST", &sender.path, &[("x-hook-secret", secret)], b"{}").await;
    let event = r#"{"id":"a"}"#;
    sender.push(told, event).await.refused(400, "auth.meta.webhook_secret");
    tell("short").await.refused(400, "x-hook-secret");
    let answer = tell(told).await;
    assert_eq!((answer.status, answer.header("x-hook-secret")), (200, told));
    assert_eq!(sender.push(told, event).await.status, 200);
    tell("another-secret-of-someone-else").await.refused(401, "webhook_secret");
    sender.push("another-secret-of-someone-else", r#"{"id":"b"}"#).await.refused(401, "signature");
    assert_eq!(tell(told).await.status, 200, "the same again is fine");
    assert_eq!(sender.log(feed).await.len(), 1);
    let shown = sender.server.call("GET", &format!("/unified/connection/{}", sender.connection), &json!({})).await;
    assert!(!shown.text.contains(told), "{}", shown.text);
}
