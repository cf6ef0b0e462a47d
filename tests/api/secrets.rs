//! Signing secrets and payload versions, as workspaces and webhooks are set to them.

use crate::http_support::Server;
use anyhook::store::{SigningSecrets, Webhook, Workspace};
use serde_json::{Value, json};

const WORKSPACE: &str = "/unified/workspace";
const GIVEN: &str = "a-secret-of-our-own";

/// The secrets that a row has, in the clear, newest first.
fn opened(server: &Server, owner: &str, signing: &SigningSecrets) -> Vec<String> {
    let former = signing.former_at(server.context.clock.now()).map(|former| &former.secret);
    let all = std::iter::once(&signing.secret).chain(former);
    all.map(|sealed| String::from_utf8(server.context.vault.open(owner, sealed).unwrap().to_vec()).unwrap()).collect()
}

async fn of_workspace(server: &Server) -> Vec<String> {
    let row = server.store.workspace(server.workspace).await.unwrap().unwrap();
    opened(server, &Workspace::seal(row.id), &row.signing)
}

/// None where the workspace's sign.
async fn of_webhook(server: &Server, webhook: &Value) -> Option<Vec<String>> {
    let row = server.store.webhook(webhook["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    row.delivery.signing.map(|signing| opened(server, &Webhook::seal(row.id), &signing))
}

fn path(webhook: &Value) -> String {
    format!("/unified/webhook/{}", webhook["id"].as_str().unwrap())
}

fn ids(shown: &Value) -> Vec<&str> {
    shown["secrets"].as_array().unwrap().iter().map(|secret| secret["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_workspaces_secret_is_replaced_with_an_overlap_and_answered_once() {
    let server = Server::start().await;
    let first = server.get(WORKSPACE).await.ok();
    let made = server.send("POST", "/unified/workspace/secret", &[("authorization", &server.key)], b"").await.ok();
    let secret = made["secret"].as_str().unwrap();
    standardwebhooks::Webhook::new(secret).unwrap();
    assert_eq!(secret.len(), "whsec_".len() + 44, "256 bits");
    assert_eq!(made["id"], made["secrets"][0]["id"]);
    assert!(made.get("expires_at").is_none() && made["secrets"][0].get("expires_at").is_none());
    assert_eq!(ids(&made)[1], ids(&first)[0]);
    let times = |at: &Value| at.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let overlap = times(&made["secrets"][1]["expires_at"]) - times(&made["created_at"]);
    assert_eq!(overlap.num_seconds(), 86_400, "a day, where nothing is said");
    assert_eq!(of_workspace(&server).await, [secret, "wsecret"]);

    let shown = server.get(WORKSPACE).await;
    assert_eq!(shown.json()["secrets"], made["secrets"]);
    assert!(!shown.text.contains(secret) && !shown.text.contains("wsecret"), "{}", shown.text);
}

#[tokio::test]
async fn a_given_secret_sent_again_changes_nothing_and_an_old_one_can_come_back() {
    let server = Server::start().await;
    let set = |secret: &'static str, overlap: u32| {
        let body = json!({"secret": secret, "overlap": overlap});
        let server = &server;
        async move { server.call("POST", "/unified/workspace/secret", &body).await.ok() }
    };
    let made = set(GIVEN, 3_600).await;
    assert_eq!(made["secret"], GIVEN);
    assert_eq!(set(GIVEN, 60).await, made);
    set("another-secret-of-ours", 3_600).await;
    set(GIVEN, 3_600).await;
    assert_eq!(of_workspace(&server).await, [GIVEN, "another-secret-of-ours", "wsecret"]);
    set("without-any-overlap", 0).await;
    let left = ["without-any-overlap", "another-secret-of-ours", "wsecret"];
    assert_eq!(of_workspace(&server).await, left, "others keep their own time");
}

#[tokio::test]
async fn an_old_secret_is_ended_at_once_and_the_newest_is_not() {
    let server = Server::start().await;
    let made = server.call("POST", "/unified/workspace/secret", &json!({"secret": GIVEN})).await.ok();
    let secrets = ids(&made);
    let at = |id: &str| format!("/unified/workspace/secret/{id}");
    server.call("DELETE", &at(secrets[0]), &json!({})).await.refused(409, "newest");
    server.call("DELETE", &at("000000000000"), &json!({})).await.refused(404, "000000000000");
    assert_eq!(server.call("DELETE", &at(secrets[1]), &json!({})).await.status, 200);
    assert_eq!(of_workspace(&server).await, [GIVEN]);
    server.call("DELETE", &at(secrets[1]), &json!({})).await.refused(404, "no secret");
}

#[tokio::test]
async fn few_secrets_sign_at_a_time_and_bad_ones_are_refused() {
    let server = Server::start().await;
    for (body, part) in [
        (json!({"secret": "fifteen-letters"}), "secret: expected 16 to 256"),
        (json!({"secret": "x".repeat(257)}), "secret"),
        (json!({"secret": "a secret with spaces"}), "visible"),
        (json!({"secret": "a-sécret-that-is-not-ascii"}), "ASCII"),
        (json!({"secret": "whsec_this-is-no-base64"}), "secret: begins with `whsec_`"),
        (json!({"secret": 5}), "secret"),
        (json!({"overlap": -1}), "overlap"),
        (json!({"overlap": 31 * 86_400 + 1}), "overlap: expected a whole number from 0 to 2678400"),
    ] {
        server.call("POST", "/unified/workspace/secret", &body).await.refused(400, part);
    }
    for _ in 0..3 {
        server.call("POST", "/unified/workspace/secret", &json!({})).await.ok();
    }
    server.call("POST", "/unified/workspace/secret", &json!({})).await.refused(422, "4 secrets sign already");
    assert_eq!(of_workspace(&server).await.len(), 4);
}

#[tokio::test]
async fn a_webhook_has_a_secret_of_its_own_from_its_making() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let plain = server.webhook(&connection, json!({})).await;
    assert!(plain.get("secrets").is_none() && plain.get("secret").is_none());
    assert_eq!(of_webhook(&server, &plain).await, None);
    let given = server.webhook(&connection, json!({"secret": GIVEN})).await;
    assert_eq!((&given["secret"], ids(&given).len()), (&json!(GIVEN), 1));
    assert_eq!(of_webhook(&server, &given).await, Some(vec![GIVEN.to_owned()]));
    let made = server.webhook(&connection, json!({"secret": true})).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));

    let shown = server.get(&path(&made)).await;
    assert!(!shown.text.contains(&secret), "{}", shown.text);
    assert_eq!(shown.json()["secrets"], made["secrets"]);
    let listed = server.get("/unified/webhook").await.text;
    assert!(!listed.contains(&secret) && !listed.contains(GIVEN), "{listed}");
    let echoed = server.call("PUT", &path(&made), &made).await.ok();
    assert_eq!(echoed["updated_at"], made["updated_at"], "what is sent back changes nothing");
    assert!(echoed.get("secret").is_none());
    let again = server.call("PATCH", &path(&made), &json!({"secret": true})).await.ok();
    assert_eq!((&again["secrets"], again.get("secret")), (&made["secrets"], None), "it has one of its own");
}

#[tokio::test]
async fn a_webhooks_secret_takes_over_from_its_workspaces_and_back() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({})).await;
    let changed = server.call("PATCH", &path(&webhook), &json!({"secret": GIVEN})).await.ok();
    assert_eq!(changed["secret"], GIVEN);
    assert_eq!(of_webhook(&server, &webhook).await, Some(vec![GIVEN.to_owned(), "wsecret".to_owned()]));

    let rotate = format!("{}/secret", path(&webhook));
    let made = server.call("POST", &rotate, &json!({"overlap": 60})).await.ok();
    let secrets = of_webhook(&server, &webhook).await.unwrap();
    assert_eq!(secrets, [made["secret"].as_str().unwrap(), GIVEN, "wsecret"]);
    assert_eq!(server.get(&path(&webhook)).await.ok()["secrets"], made["secrets"]);
    for old in &ids(&made)[1..] {
        assert_eq!(server.call("DELETE", &format!("{rotate}/{old}"), &json!({})).await.status, 200);
    }
    assert_eq!(of_webhook(&server, &webhook).await.unwrap(), secrets[..1]);
    server.call("DELETE", &format!("{rotate}/{}", ids(&made)[0]), &json!({})).await.refused(409, "newest");

    let without = server.call("PATCH", &path(&webhook), &json!({"secret": null})).await.ok();
    assert!(without.get("secrets").is_none());
    assert_eq!(of_webhook(&server, &webhook).await, None);
    server.call("DELETE", &format!("{rotate}/{}", ids(&made)[0]), &json!({})).await.refused(404, "of its own");
    let alone = server.call("POST", &rotate, &json!({"secret": GIVEN, "overlap": 0})).await.ok();
    assert_eq!((of_webhook(&server, &webhook).await.unwrap(), ids(&alone).len()), (vec![GIVEN.to_owned()], 1));
    assert_eq!(of_workspace(&server).await, ["wsecret"]);

    let other = server.other_key().await;
    let headers = [("authorization", other.as_str()), ("content-type", "application/json")];
    server.send("POST", &rotate, &headers, b"{}").await.refused(404, "webhook");
    server.call("PATCH", &path(&webhook), &json!({"secret": "short"})).await.refused(400, "secret");
}

#[tokio::test]
async fn every_answer_names_the_version_and_a_webhook_keeps_its_own() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({"hub_signature": true})).await;
    assert_eq!((&webhook["version"], &webhook["hub_signature"]), (&json!("2026-11-22"), &json!(true)));
    for path in ["/", WORKSPACE, "/unified/nothing", "/health/live", &path(&webhook)] {
        assert_eq!(server.get(path).await.header("anyhook-version"), "2026-11-22", "{path}");
    }
    let moved = server.call("PATCH", &path(&webhook), &json!({"version": "2026-11-22"})).await.ok();
    assert_eq!(moved["updated_at"], webhook["updated_at"]);
    server
        .call("PATCH", &path(&webhook), &json!({"version": "2020-01-01"}))
        .await
        .refused(400, "version: `2020-01-01`");
    let body = crate::http_support::webhook(&connection, json!({"version": "1"}));
    server
        .call("POST", "/unified/webhook", &body)
        .await
        .refused(400, "version: `1` is not known; use one of 2026-11-22");
    let unset = server.call("PATCH", &path(&webhook), &json!({"hub_signature": null})).await.ok();
    assert!(unset.get("hub_signature").is_none());
}
