//! Whatever is wrong with a request: the status, the field named, and nothing changed.

use crate::http_support::{Server, sandbox, webhook};
use serde_json::{Value, json};

/// What a client could see change.
async fn state(server: &Server) -> Value {
    json!([
        server.get("/unified/connection").await.ok(),
        server.get("/unified/webhook").await.ok(),
        server.get("/unified/apicall").await.ok(),
    ])
}

#[tokio::test]
async fn bodies_that_are_no_object() {
    let server = Server::start().await;
    let headers = [("authorization", server.key.as_str()), ("content-type", "application/json")];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for path in ["/unified/connection", "/unified/webhook"] {
        for (body, part) in [
            ("", "empty"),
            ("  ", "empty"),
            ("{", "not valid JSON"),
            ("{\"event\":}", "not valid JSON"),
            ("[]", "no object"),
            ("\"x\"", "no object"),
            ("\u{0}", "not valid JSON"),
            (deep.as_str(), "not valid JSON"),
        ] {
            server.send("POST", path, &headers, body.as_bytes()).await.refused(400, part);
        }
        server.send("POST", path, &headers, b"{\"a\":\"\xff\"}").await.refused(400, "not valid JSON");
    }
    assert_eq!(state(&server).await, json!([[], [], []]));
}

#[tokio::test]
async fn connections_name_the_field() {
    let server = Server::start().await;
    let long = "x".repeat(5_000);
    let many: Value = (0..100).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    for (path, value, status, part) in [
        ("/integration_type", json!(null), 400, "integration_type: is missing"),
        ("/integration_type", json!("no_such_vendor"), 400, "integration_type: `no_such_vendor` is not known"),
        ("/integration_type", json!(7), 400, "integration_type: expected text, got a number"),
        ("/categories", json!(["nothing"]), 400, "categories: `nothing`"),
        ("/categories", json!({"crm": true}), 400, "categories"),
        ("/permissions", json!(["crm_contact_steal"]), 400, "permissions: `crm_contact_steal`"),
        ("/is_paused", json!("yes"), 400, "is_paused: expected true or false"),
        ("/environment", json!(long), 400, "environment: longer"),
        ("/auth", json!("token"), 400, "auth: expected an object"),
        ("/auth", json!({}), 400, "auth.api_url"),
        ("/auth/token", json!(null), 400, "auth.token: is missing"),
        ("/auth/token", json!(5), 400, "auth.token: expected text"),
        ("/auth/api_url", json!(null), 400, "auth.api_url"),
        ("/auth/api_url", json!("not a url"), 400, "auth.api_url"),
        ("/auth/api_url", json!("http://169.254.169.254/"), 400, "auth.api_url"),
        ("/auth/api_url", json!("http://10.0.0.1/"), 400, "ANYHOOK_VENDORS_ALLOW"),
        ("/auth/api_url", json!("file:///etc/passwd"), 400, "auth.api_url"),
        ("/auth/token_url", json!("http://[::1]/"), 400, "auth.token_url"),
        ("/auth/expires_in", json!("soon"), 400, "auth.expires_in"),
        ("/auth/expiry_date", json!("soon"), 400, "auth.expiry_date"),
        ("/auth/emails", json!([1]), 400, "auth.emails"),
        ("/auth/meta", json!([]), 400, "auth.meta"),
        ("/auth/meta/nested", json!({"a": 1}), 400, "auth.meta.nested"),
        ("/auth/meta", many, 400, "auth.meta: more than"),
    ] {
        let mut body = sandbox();
        let (parent, name) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value.clone();
        let answer = server.call("POST", "/unified/connection", &body).await;
        assert_eq!(answer.status, status, "{path} {value}: {answer:?}");
        answer.refused(status, part);
    }
    assert_eq!(state(&server).await, json!([[], [], []]));
}

#[tokio::test]
async fn webhooks_name_the_field() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let before = state(&server).await;
    for (change, status, part) in [
        (json!({"connection_id": null}), 400, "connection_id: is missing"),
        (json!({"connection_id": 1}), 400, "connection_id: expected text"),
        (json!({"connection_id": "nope"}), 404, "connection `nope`"),
        (json!({"connection_id": "000000000000000000000000"}), 404, "connection `0000"),
        (json!({"event": null}), 400, "event: is missing"),
        (json!({"event": "exploded"}), 400, "event: `exploded` is not known; use one of created, updated, deleted"),
        (json!({"object_type": null}), 400, "object_type: is missing"),
        (json!({"object_type": "crm_unicorn"}), 400, "object_type: `crm_unicorn`"),
        (json!({"object_type": "repo_commit"}), 501, "object_type: repo_commit is not supported"),
        (json!({"hook_url": null}), 400, "hook_url: is missing"),
        (json!({"hook_url": "receiver.example"}), 400, "hook_url"),
        (json!({"hook_url": "ftp://receiver.example/"}), 400, "hook_url"),
        (json!({"hook_url": "http://127.0.0.1/"}), 400, "ANYHOOK_DESTINATIONS_ALLOW"),
        (json!({"hook_url": "http://2130706433/"}), 400, "hook_url"),
        (
            json!({"hook_url": "https://receiver.example:25/"}),
            400,
            "port 25 may not be reached; use another, such as 443 (ANYHOOK_DESTINATIONS_PORTS)",
        ),
        (json!({"hook_url": "http://[::ffff:10.0.0.1]/"}), 400, "hook_url"),
        (json!({"hook_url": "https://user:pass@receiver.example/"}), 400, "hook_url"),
        (json!({"hook_url": ["https://receiver.example"]}), 400, "hook_url: expected text, got a list"),
        (json!({"interval": "1"}), 400, "interval: expected a number, got text"),
        (json!({"interval": 0}), 400, "interval: expected minutes from"),
        (json!({"interval": -1.0}), 400, "interval"),
        (json!({"interval": 1e9}), 400, "interval"),
        (json!({"webhook_type": "magic"}), 400, "webhook_type: `magic` is not known; use one of virtual, native"),
        (json!({"filters": {"no_such_filter": "1"}}), 400, "filters.no_such_filter"),
        (json!({"filters": "a=b"}), 400, "filters: expected an object"),
        (json!({"fields": "id,no_such_field"}), 400, "fields: crm_contact has no field `no_such_field`"),
        (json!({"fields": 1}), 400, "fields: expected a list of texts"),
        (json!({"page_max_limit": 0}), 400, "page_max_limit"),
        (json!({"page_max_limit": 1.5}), 400, "page_max_limit"),
        (json!({"is_paused": 1}), 400, "is_paused: expected true or false"),
        (json!({"db_url": "postgres://x"}), 501, "db_url"),
    ] {
        let answer = server.call("POST", "/unified/webhook", &webhook(&connection, change.clone())).await;
        assert_eq!(answer.status, status, "{change}: {answer:?}");
        answer.refused(status, part);
    }
    let body = webhook(&connection, json!({}));
    server.call("POST", "/unified/webhook?include_all=perhaps", &body).await.refused(400, "include_all");
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn updates_that_are_wrong_change_nothing() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, json!({})).await;
    let before = state(&server).await;
    let path = format!("/unified/webhook/{}", made["id"].as_str().unwrap());
    for (change, part) in [
        (json!({"event": "exploded"}), "event"),
        (json!({"hook_url": "http://10.1.1.1/"}), "hook_url"),
        (json!({"interval": 0.000001}), "interval"),
        (json!({"is_paused": true, "fields": "nope"}), "fields"),
        (json!({"page_max_limit": -1}), "page_max_limit"),
    ] {
        server.call("PATCH", &path, &change).await.refused(400, part);
    }
    let path = format!("/unified/connection/{connection}");
    for (change, part) in [
        (json!({"is_paused": 1}), "is_paused"),
        (json!({"auth": {"api_url": "http://10.1.1.1/"}}), "auth.api_url"),
        (json!({"external_xref": "x", "auth": []}), "auth"),
    ] {
        server.call("PATCH", &path, &change).await.refused(400, part);
    }
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn another_workspaces_ids_are_as_good_as_none() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let webhook_id = server.webhook(&connection, json!({})).await["id"].as_str().unwrap().to_owned();
    let before = state(&server).await;
    let other = server.other_key().await;
    let headers = [("authorization", other.as_str()), ("content-type", "application/json")];
    for (method, path) in [
        ("GET", format!("/unified/connection/{connection}")),
        ("PATCH", format!("/unified/connection/{connection}")),
        ("DELETE", format!("/unified/connection/{connection}")),
        ("GET", format!("/unified/webhook/{webhook_id}")),
        ("PUT", format!("/unified/webhook/{webhook_id}")),
        ("PUT", format!("/unified/webhook/{webhook_id}/trigger")),
        ("PUT", format!("/unified/webhook/{webhook_id}/resume")),
        ("DELETE", format!("/unified/webhook/{webhook_id}")),
        ("GET", "/unified/apicall/0123".to_owned()),
        ("GET", "/unified/webhook/ABC".to_owned()),
    ] {
        let body: &[u8] = if matches!(method, "GET" | "DELETE") { b"" } else { b"{\"is_paused\":true}" };
        server.send(method, &path, &headers, body).await.refused(404, "there is no");
    }
    let body = webhook(&connection, json!({})).to_string();
    server.send("POST", "/unified/webhook", &headers, body.as_bytes()).await.refused(404, "connection");
    assert_eq!(server.send("GET", "/unified/webhook", &headers, b"").await.ok(), json!([]));
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn queries_name_the_parameter() {
    let server = Server::start().await;
    for (path, part) in [
        ("/unified/webhook?limit=ten", "limit"),
        ("/unified/webhook?is_healthy=maybe", "is_healthy"),
        ("/unified/webhook?object=crm_unicorn", "object"),
        ("/unified/webhook?connection_id=1", "connection_id"),
        ("/unified/webhook?created_lte=yesterday", "created_lte"),
        ("/unified/connection?order=sideways", "order"),
        ("/unified/connection?sort=mood", "sort"),
        ("/unified/apicall?type=secret", "type"),
        ("/unified/apicall?error=maybe", "error"),
        ("/unified/integration?summary=perhaps", "summary"),
    ] {
        server.get(path).await.refused(400, part);
    }
}

#[tokio::test]
async fn a_missing_permission_is_told() {
    let server = Server::start().await;
    let mut body = sandbox();
    body["permissions"] = json!(["crm_deal_read"]);
    let connection = server.call("POST", "/unified/connection", &body).await.ok()["id"].as_str().unwrap().to_owned();
    let refused = server.call("POST", "/unified/webhook", &webhook(&connection, json!({}))).await;
    refused.refused(403, "crm_contact_read");
    server.webhook(&connection, json!({"object_type": "crm_deal"})).await;
}
