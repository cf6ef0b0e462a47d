//! Rules that hold for every request.

use crate::http_support::{NoNetwork, Server, sandbox, webhook};
use anyhook::limits::Limits;
use anyhook::store::Duty;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn the_key_comes_raw_or_as_a_bearer_token() {
    let server = Server::start().await;
    let path = "/unified/webhook";
    for value in [server.key.clone(), format!("Bearer {}", server.key), format!("bEaReR {}", server.key)] {
        let answer = server.send("GET", path, &[("authorization", &value), ("cookie", "")], b"").await;
        assert_eq!(answer.ok(), json!([]));
    }
    server.send("GET", path, &[], b"").await.refused(401, "authorization");
    let wrong = server.send("GET", path, &[("authorization", "wrong")], b"").await;
    wrong.refused(401, "not known");
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_in_the_same_shape() {
    let server = Server::start().await;
    server.get("/unified/nothing").await.refused(404, "/unified/nothing");
    let answer = server.call("PUT", "/unified/webhook", &json!({})).await;
    answer.refused(405, "PUT");
    assert!(answer.header("allow").contains("POST"), "{answer:?}");
    server.get("/unified/webhook/%ff").await.refused(400, "UTF-8");
}

#[tokio::test]
async fn numbers_lists_and_unknown_fields_are_read_leniently() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let extra = json!({"webhook_type": "virtual", "interval": 2.0, "page_max_limit": 50.0, "fields": "id, name,raw", "future": {"a": [null]}, "filters": null});
    let mut made = webhook(&connection, extra);
    made["db_url"] = json!(null);
    let webhook = server.call("POST", "/unified/webhook", &made).await.ok();
    assert_eq!(webhook["interval"].as_f64(), Some(2.0));
    assert_eq!(webhook["page_max_limit"], 50);
    assert_eq!(webhook["fields"], "id,name,raw");
    let listed = server.get("/unified/webhook?limit=10.0&offset=0.0&is_healthy=true&future=1&env=").await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    for query in ["categories=crm&categories=task", "categories=crm,task", "categories=task"] {
        let listed = server.get(&format!("/unified/connection?{query}")).await.ok();
        assert_eq!(listed.as_array().unwrap().len(), usize::from(query.contains("crm")), "{query}");
    }
}

#[tokio::test]
async fn verbs_that_take_no_body_take_any() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let id = server.webhook(&connection, json!({})).await["id"].as_str().unwrap().to_owned();
    for verb in ["PUT", "PATCH"] {
        let headers = [("authorization", server.key.as_str())];
        let trigger = server.send(verb, &format!("/unified/webhook/{id}/trigger"), &headers, b"").await;
        assert_eq!(trigger.status, 200);
        let headers = [("authorization", server.key.as_str()), ("content-type", "text/plain")];
        let resume = server.send(verb, &format!("/unified/webhook/{id}/resume"), &headers, b"x").await;
        assert_eq!(resume.ok()["id"], id.as_str());
    }
}

#[tokio::test]
async fn bodies_have_a_type_and_a_size() {
    let limits = Limits::default();
    let bytes_max = limits.api.body_bytes_max;
    let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
    let body = sandbox().to_string();
    let send = |kind: &'static str| {
        let headers = vec![("authorization", server.key.as_str()), ("content-type", kind)];
        let (server, body) = (&server, body.as_bytes());
        async move { server.send("POST", "/unified/connection", &headers, body).await }
    };
    send("text/plain").await.refused(415, "application/json");
    send("application/x-www-form-urlencoded").await.refused(415, "application/json");
    send("application/json; charset=utf-8").await.ok();
    let headers = [("authorization", server.key.as_str())];
    server.send("POST", "/unified/connection", &headers, body.as_bytes()).await.ok();
    for bytes in [bytes_max + 1, bytes_max * 3] {
        let huge = json!({"integration_type": "x".repeat(bytes)});
        server.call("POST", "/unified/connection", &huge).await.refused(413, "larger");
    }
    assert_eq!(server.get("/unified/connection").await.ok().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn each_key_has_a_rate() {
    let mut limits = Limits::default();
    limits.api.requests_per_second_max = 2;
    let server = Server::start_with(limits, Arc::new(NoNetwork)).await;
    let other = server.other_key().await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = server.get("/unified/webhook").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("20 requests at once are more than 2 a second");
    refused.refused(429, "Retry-After");
    assert_eq!(refused.header("retry-after"), "1");
    server.send("GET", "/unified/webhook", &[("authorization", &other)], b"").await.ok();
}

#[tokio::test]
async fn lists_are_bare_arrays_with_limits_sorts_and_orders() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(server.webhook(&connection, json!({})).await["id"].as_str().unwrap().to_owned());
    }
    let list = |query: &'static str| {
        let server = &server;
        async move {
            let rows = server.get(&format!("/unified/webhook?{query}")).await.ok();
            rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let ascending = list("sort=created_at&order=asc").await;
    let mut descending = list("sort=created_at&order=desc").await;
    assert_eq!(ascending.len(), 3);
    descending.reverse();
    assert_eq!(ascending, descending);
    assert_eq!(list("limit=2").await, ascending[..2]);
    assert_eq!(list("limit=2&offset=2").await, ascending[2..]);
    assert_eq!(list("updated_gte=2999-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(list("created_lte=2999-01-01T00:00:00%2B01:00").await.len(), 3);
    assert_eq!(list("object=crm_deal").await.len(), 0);
    assert_eq!(list("integration_type=sandbox&env=Production").await.len(), 3);
    assert_eq!(list("env=Sandbox").await.len(), 0);
}

#[tokio::test]
async fn health_says_whether_it_lives_and_works() {
    let server = Server::start().await;
    assert_eq!(server.send("GET", "/health/live", &[], b"").await.ok()["status"], "ok");
    assert_eq!(server.send("GET", "/health/ready", &[], b"").await.ok()["status"], "ok");
    for shard in server.context.leases.shards(Duty::Poll) {
        server.context.leases.lost(server.context.leases.lease(Duty::Poll, shard).unwrap().fence);
    }
    server.send("GET", "/health/ready", &[], b"").await.refused(503, "share of the work");
    server.send("GET", "/metrics", &[], b"").await.refused(404, "metrics");
    assert!(server.send("GET", "/", &[], b"").await.text.contains("/unified"));
}

#[tokio::test]
async fn integrations_say_what_they_can_do() {
    let server = Server::start().await;
    let all = server.get("/unified/integration").await.ok();
    assert!(all.as_array().unwrap().len() >= 2);
    let sandbox = server.get("/unified/integration?type=sandbox").await.ok();
    let support = &sandbox[0]["support"]["crm_contact"];
    assert_eq!(support["raw_objects"], json!(["contacts"]));
    assert_eq!(support["webhook_events"]["updated"], json!(["native", "virtual"]));
    assert_eq!(support["list_updated_gte"], "supported");
    assert!(sandbox[0]["token_instructions"][0].as_str().unwrap().starts_with("auth.token"));
    let summary = server.get("/unified/integration?summary=true&categories=crm").await.ok();
    assert!(summary[0]["support"].is_null() && summary[0]["categories"].is_array());
    let open = format!("/unified/integration/workspace/{}?type=sandbox", server.workspace);
    assert_eq!(server.send("GET", &open, &[], b"").await.ok()[0]["type"], "sandbox");
    let unknown = "/unified/integration/workspace/000000000000000000000000";
    server.send("GET", unknown, &[], b"").await.refused(404, "workspace");
}

#[tokio::test]
async fn it_stops_when_told_and_lets_answers_end() {
    let server = Server::start().await;
    server.get("/unified/webhook").await.ok();
    server.stop.cancel();
    let gone = async {
        while tokio::net::TcpStream::connect(server.url.trim_start_matches("http://")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("it still listens");
}
