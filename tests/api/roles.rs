//! Nodes that do not do everything.

use crate::http_support::{NoNetwork, Server};
use anyhook::limits::Limits;
use anyhook::settings::{Role, Roles};
use serde_json::json;
use std::sync::Arc;

async fn server(roles: &[Role]) -> Server {
    Server::start_as(Limits::default(), Arc::new(NoNetwork), Roles::new(roles)).await
}

#[tokio::test]
async fn a_node_without_the_api_says_so_and_who_has_it() {
    let server = server(&[Role::Poll, Role::Ingress]).await;
    for path in ["/unified/webhook", "/unified/connection/1", "/oauth/callback?code=1"] {
        server.get(path).await.refused(404, "its roles are poll, ingress; ask one that has the role api");
    }
    assert_eq!(server.get("/ingress/000000000000000000000000").await.status, 404, "no such connection");
    server.get("/ingress/000000000000000000000000").await.refused(404, "connection");
}

#[tokio::test]
async fn a_node_without_the_ingress_says_so_and_who_has_it() {
    let server = server(&[Role::Api]).await;
    for method in ["GET", "POST"] {
        let answer = server.send(method, "/ingress/000000000000000000000000", &[], b"{}").await;
        answer.refused(404, "its roles are api; ask one that has the role ingress");
    }
    assert_eq!(server.get("/unified/webhook").await.status, 200);
}

#[tokio::test]
async fn a_node_is_ready_once_it_holds_a_share_of_what_it_is_to_do() {
    let ready =
        |roles: &'static [Role]| async move { server(roles).await.send("GET", "/health/ready", &[], b"").await.ok() };
    assert_eq!(ready(&[Role::Api]).await, json!({"status": "ok"}));
    assert_eq!(ready(&[Role::Deliver]).await, json!({"status": "ok", "shards": {"deliver": 64}}));
    let both = json!({"status": "ok", "shards": {"deliver": 64, "poll": 64}});
    assert_eq!(ready(&[Role::Poll, Role::Deliver, Role::Api]).await, both);
}
