//! `/unified/destination`

use crate::http_support::{NoNetwork, Server};
use anyhook::limits::Limits;
use anyhook::store::Destination;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const PATH: &str = "/unified/destination";

/// A destination as a client asks for it, with changes to the usual one; null takes a field out.
fn asked(changes: Value) -> Value {
    let mut body = json!({
        "name": "ops",
        "hook_url": "https://ops.example/hook",
        "subscriptions": [{ "events": ["CONNECTION_*", "SYNC_COMPLETED"] }],
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name.as_str()] = value.clone();
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    body
}

async fn make(server: &Server, changes: Value) -> Value {
    server.call("POST", PATH, &asked(changes)).await.ok()
}

fn path(made: &Value) -> String {
    format!("{PATH}/{}", made["id"].as_str().unwrap())
}

async fn stored(server: &Server, made: &Value) -> Destination {
    server.store.destination(made["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap()
}

async fn secret(server: &Server, made: &Value) -> String {
    let row = stored(server, made).await;
    let plain = server.context.vault.open(&Destination::seal(row.id), &row.signing.secret).unwrap();
    String::from_utf8(plain.to_vec()).unwrap()
}

#[tokio::test]
async fn one_is_made_seen_listed_changed_and_deleted() {
    let server = Server::start().await;
    let made = make(&server, json!({})).await;
    assert_eq!((&made["name"], &made["hook_url"]), (&json!("ops"), &json!("https://ops.example/hook")));
    assert_eq!(made["subscriptions"], json!([{ "events": ["CONNECTION_*", "SYNC_COMPLETED"] }]));
    assert_eq!((&made["is_paused"], &made["is_healthy"]), (&json!(false), &json!(true)));
    assert_eq!((&made["health"], &made["delivered"]), (&json!({"state": "healthy"}), &json!(0)));
    assert_eq!(made["workspace_id"], server.workspace.to_string());

    let mut seen = made.clone();
    seen.as_object_mut().unwrap().remove("secret");
    assert_eq!(server.get(&path(&made)).await.ok(), seen, "a secret is answered once");
    assert_eq!(server.get(PATH).await.ok(), json!([seen]));
    assert_eq!(server.get("/unified/webhook").await.ok(), json!([]), "it is no webhook");
    server.get(&format!("/unified/webhook/{}", made["id"].as_str().unwrap())).await.refused(404, "webhook");

    let changes = json!({"name": "night", "is_paused": true, "retry_schedule": [1, 60], "subscriptions": []});
    let changed = server.call("PATCH", &path(&made), &changes).await.ok();
    assert_eq!((&changed["name"], &changed["is_paused"]), (&json!("night"), &json!(true)));
    assert_eq!((&changed["retry_schedule"], &changed["subscriptions"]), (&json!([1, 60]), &json!([])));
    assert_eq!((&changed["hook_url"], &changed["created_at"]), (&made["hook_url"], &made["created_at"]));
    assert!(changed.get("secret").is_none());
    let echoed = server.call("PUT", &path(&made), &changed).await.ok();
    assert_eq!(echoed, changed, "what is sent back unchanged changes nothing");

    assert_eq!(server.call("DELETE", &path(&made), &json!({})).await.status, 200);
    server.get(&path(&made)).await.refused(404, "destination");
    assert_eq!(server.get(PATH).await.ok(), json!([]));
}

#[tokio::test]
async fn secrets_are_made_or_given_sealed_and_replaced() {
    let server = Server::start().await;
    let made = make(&server, json!({})).await;
    let shown = made["secret"].as_str().unwrap();
    assert!(shown.starts_with("whsec_") && shown.len() > 40, "{shown}");
    assert_eq!(secret(&server, &made).await, shown);
    let given = make(&server, json!({"secret": "a-secret-of-my-own"})).await;
    assert_eq!(
        (&given["secret"], secret(&server, &given).await.as_str()),
        (&json!("a-secret-of-my-own"), "a-secret-of-my-own")
    );
    assert!(!serde_json::to_string(&stored(&server, &given).await).unwrap().contains("of-my-own"));
    let before = stored(&server, &given).await;
    server.call("PATCH", &path(&given), &json!({"secret": "a-secret-of-my-own"})).await.ok();
    assert_eq!(stored(&server, &given).await, before, "the same one changes nothing");
    let answer = server.call("PATCH", &path(&given), &json!({"secret": "another-one-of-mine"})).await.ok();
    assert!(answer.get("secret").is_none(), "who gives it knows it");
    assert_eq!(secret(&server, &given).await, "another-one-of-mine");
}

#[tokio::test]
async fn a_secret_is_replaced_with_an_overlap_and_the_old_one_ended() {
    let server = Server::start().await;
    let made = make(&server, json!({})).await;
    let secrets = async || server.get(&path(&made)).await.ok()["secrets"].clone();
    let first = secrets().await[0]["id"].clone();
    let of_it = format!("{}/secret", path(&made));
    let rotated = server.call("POST", &of_it, &json!({"overlap": 600})).await.ok();
    assert_eq!(secret(&server, &made).await, rotated["secret"].as_str().unwrap());
    let live = secrets().await;
    assert_eq!((live.as_array().unwrap().len(), &live[1]["id"]), (2, &first), "both sign, the newest first");
    assert!(live[0].get("expires_at").is_none() && live[1]["expires_at"].is_string(), "{live}");
    assert!(!live.to_string().contains("whsec_"));

    let newest = live[0]["id"].as_str().unwrap();
    server.call("DELETE", &format!("{of_it}/{newest}"), &json!({})).await.refused(409, "newest");
    server.call("DELETE", &format!("{of_it}/none"), &json!({})).await.refused(404, "secret");
    let ended = server.call("DELETE", &format!("{of_it}/{}", first.as_str().unwrap()), &json!({})).await;
    assert_eq!((ended.status, secrets().await.as_array().unwrap().len()), (200, 1));
    server.call("POST", &of_it, &json!({"secret": "short"})).await.refused(400, "secret");
}

#[tokio::test]
async fn subscriptions_are_read_in_every_form() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({})).await;
    for (given, shown) in [
        (json!([{"event": "*"}]), json!([{"events": ["*"]}])),
        (
            json!([{"events": "WEBHOOK_*, CONNECTION_UNHEALTHY"}]),
            json!([{"events": ["WEBHOOK_*", "CONNECTION_UNHEALTHY"]}]),
        ),
        (
            json!([{"event": "SYNC_COMPLETED", "events": ["SYNC_COMPLETED", "INSIGHT_POPULATED"]}]),
            json!([{"events": ["SYNC_COMPLETED", "INSIGHT_POPULATED"]}]),
        ),
        (json!([{"event": "*"}, {"event": "*"}]), json!([{"events": ["*"]}])),
        (
            json!([{"event": "*", "connection_id": connection, "object_type": "crm_contact", "webhook_id": webhook["id"]}]),
            json!([{"events": ["*"], "connection_id": connection, "object_type": "crm_contact", "webhook_id": webhook["id"]}]),
        ),
        (json!(null), json!([])),
    ] {
        let made = make(&server, json!({"subscriptions": given})).await;
        assert_eq!(made["subscriptions"], shown);
        assert_eq!(server.get(&path(&made)).await.ok()["subscriptions"], shown);
    }
}

#[tokio::test]
async fn whatever_is_wrong_is_named_and_changes_nothing() {
    let mut limits = Limits::default();
    (limits.api.destinations_max, limits.api.subscriptions_max) = (2, 3);
    let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
    let connection = server.connection().await;
    let webhook = server.webhook(&connection, json!({})).await;
    let second = server.connection().await;
    let made = make(&server, json!({})).await;
    let nobody = "000000000000000000000000";
    let one = |subscription: Value| json!({"subscriptions": [{"event": "*"}, subscription]});
    for (changes, part) in [
        (json!({"name": ""}), "name: is missing"),
        (json!({"hook_url": "not a url"}), "hook_url: expected a whole URL"),
        (json!({"hook_url": "http://169.254.169.254/"}), "ANYHOOK_DESTINATIONS_ALLOW"),
        (json!({"is_paused": "yes"}), "is_paused: expected true or false"),
        (json!({"secret": "short"}), "secret: expected 16 to 256"),
        (json!({"secret": "with a space in between"}), "secret: expected 16 to 256"),
        (json!({"secret": "whsec_this-is-no-base64!"}), "secret: begins with `whsec_`"),
        (json!({"retry_schedule": [0]}), "retry_schedule: expected seconds"),
        (json!({"subscriptions": {}}), "subscriptions: expected a list of objects, got an object"),
        (json!({"subscriptions": ["*"]}), "subscriptions: expected a list of objects, got text"),
        (json!({"subscriptions": vec![json!({"event": "*"}); 4]}), "subscriptions: more than the 3"),
        (one(json!({})), "subscriptions[1].events: is missing"),
        (one(json!({"event": ""})), "subscriptions[1].events: is missing"),
        (one(json!({"event": "SYNC"})), "subscriptions[1].event: `SYNC` is not known"),
        (one(json!({"events": ["CONN*"]})), "subscriptions[1].events: `CONN*` is not known"),
        (one(json!({"events": ["NO_SUCH_*"]})), "subscriptions[1].events: `NO_SUCH_*` is not known"),
        (one(json!({"event": "*", "connection_id": "x"})), "subscriptions[1].connection_id: `x`: an id is 24"),
        (one(json!({"event": "*", "connection_id": nobody})), "subscriptions[1].connection_id: there is no connection"),
        (one(json!({"event": "*", "webhook_id": nobody})), "subscriptions[1].webhook_id: there is no webhook"),
        (one(json!({"event": "*", "webhook_id": made["id"]})), "subscriptions[1].webhook_id: there is no webhook"),
        (one(json!({"event": "*", "object_type": "crm_nothing"})), "subscriptions[1].object_type: `crm_nothing`"),
        (
            one(json!({"event": "*", "webhook_id": webhook["id"], "connection_id": second})),
            "subscriptions[1].webhook_id: the webhook is of another connection",
        ),
        (
            one(json!({"event": "CONNECTION_*", "object_type": "crm_contact"})),
            "subscriptions[1].object_type: CONNECTION_* is about no object type",
        ),
        (
            one(json!({"event": "CONNECTION_DELETED", "webhook_id": webhook["id"]})),
            "subscriptions[1].webhook_id: CONNECTION_DELETED is about no webhook",
        ),
        (
            one(json!({"event": "DESTINATION_*", "connection_id": connection})),
            "subscriptions[1].connection_id: DESTINATION_* is about no connection",
        ),
    ] {
        server.call("POST", PATH, &asked(changes.clone())).await.refused(400, part);
        server.call("PATCH", &path(&made), &changes).await.refused(400, part);
    }
    for field in ["name", "hook_url"] {
        let part = format!("{field}: is missing");
        server.call("POST", PATH, &asked(json!({field: null}))).await.refused(400, &part);
    }
    assert_eq!(server.get(PATH).await.ok().as_array().unwrap().len(), 1);
    assert_eq!(server.get(&path(&made)).await.ok()["updated_at"], made["updated_at"]);
    make(&server, json!({})).await;
    server.call("POST", PATH, &asked(json!({}))).await.refused(422, "2 destinations already");
}

#[tokio::test]
async fn what_it_listens_to_may_go_and_is_sent_back_all_the_same() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = make(&server, json!({"subscriptions": [{"event": "*", "connection_id": connection}]})).await;
    server.call("DELETE", &format!("/unified/connection/{connection}"), &json!({})).await;
    let body = json!({"name": "b", "subscriptions": made["subscriptions"]});
    assert_eq!(server.call("PATCH", &path(&made), &body).await.ok()["name"], "b");
    server
        .call("POST", PATH, &asked(json!({"subscriptions": made["subscriptions"]})))
        .await
        .refused(400, "connection_id");
}

#[tokio::test]
async fn a_workspace_has_its_own() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = make(&server, json!({})).await;
    let other = server.other_key().await;
    let headers = [("authorization", other.as_str()), ("content-type", "application/json")];
    let send = async |method: &str, path: &str, body: Value| {
        server.send(method, path, &headers, body.to_string().as_bytes()).await
    };
    assert_eq!(send("GET", PATH, json!({})).await.ok(), json!([]));
    for (method, path) in [
        ("GET", path(&made)),
        ("PATCH", path(&made)),
        ("DELETE", path(&made)),
        ("PUT", format!("{}/resume", path(&made))),
        ("POST", format!("{}/test", path(&made))),
        ("POST", format!("{}/replay", path(&made))),
        ("GET", format!("{}/replay", path(&made))),
        ("DELETE", format!("{}/replay", path(&made))),
        ("POST", format!("{}/skip", path(&made))),
        ("GET", format!("{}/deliveries", path(&made))),
        ("GET", format!("{}/deliveries/msg_1", path(&made))),
    ] {
        send(method, &path, json!({"name": "mine"})).await.refused(404, "destination");
    }
    let body = asked(json!({"subscriptions": [{"event": "*", "connection_id": connection}]}));
    send("POST", PATH, body).await.refused(400, "there is no connection");
    server.send("GET", PATH, &[], b"").await.refused(401, "key");
}

/// Asks until it is so.
async fn until(server: &Server, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let answer = server.get(path).await.ok();
            if is_so(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{path} comes to it"))
}

#[tokio::test]
async fn its_deliveries_are_told_with_their_payloads_and_it_is_resumed() {
    let mut limits = Limits::default();
    limits.deliver.retry_schedule_ms = vec![];
    let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
    let made = make(&server, json!({})).await;
    // Attempts fail: a test has no network.
    let engine = tokio::spawn(anyhook::deliver::run(server.context.clone(), server.stop.clone()));
    let connection = server.connection().await;
    let unhealthy = until(&server, &path(&made), |seen| seen["is_healthy"] == false).await;
    assert_eq!(unhealthy["health"]["state"], "unhealthy");
    let of_it = format!("{}/deliveries", path(&made));
    let told = server.get(&of_it).await.ok();
    assert_eq!(
        (told.as_array().unwrap().len(), &told[0]["type"], &told[0]["state"]),
        (1, &json!("NOTIFICATION"), &json!("failed"))
    );
    assert_eq!(told[0]["attempts"].as_array().unwrap().len(), 1);
    let one = server.get(&format!("{of_it}/{}", told[0]["id"].as_str().unwrap())).await.ok();
    let payload = &one["payload"];
    assert_eq!(payload["data"][0]["event"], "CONNECTION_CREATED");
    assert_eq!((&payload["data"][0]["connection_id"], &payload["type"]), (&json!(connection), &json!("NOTIFICATION")));
    assert_eq!((&payload["destination"]["id"], &payload["webhook"]), (&made["id"], &Value::Null));
    server.get(&format!("{of_it}/msg_1")).await.refused(404, "delivery");
    let calls = server.get("/unified/apicall?type=webhook").await.ok();
    assert_eq!((&calls[0]["destination_id"], &calls[0]["webhook_id"]), (&made["id"], &Value::Null));
    assert!(calls[0].get("connection_id").is_none());
    let told = server.get("/unified/notification?event=DESTINATION_*").await.ok();
    assert_eq!((&told[0]["event"], &told[0]["destination_id"]), (&json!("DESTINATION_UNHEALTHY"), &made["id"]));
    assert!(told[0].get("connection_id").is_none());

    let resumed = server.call("PUT", &format!("{}/resume", path(&made)), &json!({})).await.ok();
    assert_eq!(resumed["is_healthy"], true);
    until(&server, &of_it, |told| told[0]["attempts"].as_array().unwrap().len() == 2).await;
    server.stop.cancel();
    engine.await.unwrap();
}

#[tokio::test]
async fn a_template_and_headers_are_checked_with_a_notification_and_kept() {
    let server = Server::start().await;
    let template = r#"{"text": "{{ object.event }} of {{ webhook.name }}, {{ object.details.pages }} pages"}"#;
    let settings =
        json!({"template": template, "template_per": "object", "headers": {"Authorization": "Bearer key-1"}});
    let made = make(&server, settings).await;
    assert_eq!((&made["template"], &made["template_per"]), (&json!(template), &json!("object")));
    assert_eq!(made["headers"], json!({"authorization": "***"}));
    let seen = server.get(&path(&made)).await;
    assert!(!seen.text.contains("key-1"), "{}", seen.text);

    let misspelt = asked(json!({"template": "{{ object.evnt }}"}));
    server.call("POST", PATH, &misspelt).await.refused(400, "template");
    let of_a_contact = json!({"template": r#"{"text": "{{ object.first_name }}"}"#});
    server.call("PATCH", &path(&made), &of_a_contact).await.refused(400, "template");
    let taken = json!({"headers": {"webhook-id": "mine"}});
    server.call("PATCH", &path(&made), &taken).await.refused(400, "headers.webhook-id");
    assert_eq!(stored(&server, &made).await.delivery.template.as_deref(), Some(template), "nothing has changed");

    let sent_back = server.call("PATCH", &path(&made), &json!({"headers": {"authorization": "***"}})).await.ok();
    assert_eq!(sent_back["headers"], json!({"authorization": "***"}));
    let cleared = server.call("PATCH", &path(&made), &json!({"template": null, "headers": null})).await.ok();
    assert!(cleared.get("template").is_none() && cleared.get("headers").is_none(), "{cleared}");
}
