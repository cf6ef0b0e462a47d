//! A Trello card that is moved to Done posts the line that Slack's incoming webhooks expect, with nothing in between: a
//! whole server, a stub of Trello's API by its pages, and a listener in Slack's place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail by panicking

use anyhook::outbound::guard::Guard;
use anyhook::outbound::{HttpClient, Outbound, OutboundRequest};
use anyhook::server::Server;
use anyhook::settings::{Secret, Settings, StoreKind};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::IntoResponse;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const WAIT: Duration = Duration::from_secs(30);
const BOARD: &str = "4d5ea62fd76aa1136000000c";
const DOING: &str = "4d5ea62fd76aa1136000000d";
const DONE: &str = "4d5ea62fd76aa1136000000e";
const APP_SECRET: &str = "trello-app-secret";

/// Slack takes `{"text": "…"}` as application/json and answers `ok`
/// (docs.slack.dev/tools/java-slack-sdk/guides/incoming-webhooks, api.slack.com/messaging/webhooks).
const TEMPLATE: &str =
    r#"{% if object.raw.idList == "4d5ea62fd76aa1136000000e" %}{"text": "{{ object.name }} is done"}{% endif %}"#;

/// Requests as they came.
type Seen = watch::Receiver<Vec<(HeaderMap, Bytes)>>;

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

async fn slack() -> (String, Seen) {
    let (sender, seen) = watch::channel(Vec::new());
    let sender = Arc::new(sender);
    let take = move |headers: HeaderMap, body: Bytes| {
        sender.send_modify(|seen| seen.push((headers, body)));
        async { "ok" }
    };
    (serve(Router::new().fallback(take)).await, seen)
}

/// The cards of the board, and how often they were listed.
struct Trello {
    cards: Mutex<Vec<Value>>,
    listed: watch::Sender<u64>,
}

/// developer.atlassian.com/cloud/trello/rest: the list of a board's cards, and the making of a webhook.
async fn answer(State(trello): State<Arc<Trello>>, method: Method, uri: Uri) -> axum::response::Response {
    match (method.as_str(), uri.path()) {
        ("GET", path) if path == format!("/1/boards/{BOARD}/cards/all") => {
            let cards = trello.cards.lock().unwrap().clone();
            trello.listed.send_modify(|listed| *listed += 1);
            Json(cards).into_response()
        }
        ("POST", "/1/webhooks") => Json(json!({"id": "5abbe4b7ddc1b351ef9614aa"})).into_response(),
        (method, path) => panic!("{method} {path} is not asked of Trello"),
    }
}

fn card(id: &str, name: &str, list: &str) -> Value {
    let now = anyhook::clock::Clock::system().now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    json!({"id": id, "name": name, "desc": "", "closed": false, "dateLastActivity": now, "due": null,
        "dueComplete": false, "start": null, "idBoard": BOARD, "idList": list, "idMembers": [], "labels": [],
        "url": format!("https://trello.com/c/{id}")})
}

struct Api {
    url: String,
    client: HttpClient,
}

impl Api {
    async fn post(&self, path: &str, headers: &[(&'static str, &str)], body: &str) -> (u16, String) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let request = OutboundRequest {
            method: Method::POST,
            url: format!("{}{path}", self.url).parse().unwrap(),
            headers: map,
            body: vec![Bytes::copy_from_slice(body.as_bytes())],
            deadline: WAIT,
            body_bytes_max: 1 << 20,
        };
        let answer = self.client.send(request).await.unwrap();
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    }

    async fn make(&self, path: &str, body: Value) -> String {
        let headers = [("authorization", "key"), ("content-type", "application/json")];
        let (status, text) = self.post(path, &headers, &body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Trello tells of a card (developer.atlassian.com/cloud/trello/guides/rest-api/webhooks, "Webhook Signatures").
    async fn tell(&self, connection: &str, action: &str, card: &str) {
        let path = format!("/ingress/{connection}");
        let body = json!({"action": {"id": action, "type": "updateCard", "data": {"board": {"id": BOARD}, "card": {"id": card}}}});
        let body = body.to_string();
        let mut mac = Hmac::<Sha1>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
        mac.update(format!("{body}{}{path}", self.url).as_bytes());
        let signature = BASE64.encode(mac.finalize().into_bytes());
        assert_eq!(self.post(&path, &[("x-trello-webhook", &signature)], &body).await.0, 200);
    }
}

fn settings() -> Settings {
    let loopback = vec!["127.0.0.0/8".parse().unwrap()];
    Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        store: StoreKind::Memory,
        api_key: Some(Secret::new("key".to_owned())),
        master_key: Some(Secret::new(BASE64.encode([7; 32]))),
        destinations_allow: loopback.clone(),
        vendors_allow: loopback,
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_card_moved_to_done_posts_its_line() {
    let (hook_url, slack) = slack().await;
    let (listed, mut polls) = watch::channel(0);
    let (report, chores) = ("51a79e72dbb7e23c7c003778", "51a79e72dbb7e23c7c003779");
    let first = vec![card(report, "The \"big\" report", DOING), card(chores, "Chores", DOING)];
    let trello = Arc::new(Trello { cards: Mutex::new(first), listed });
    let api_url = serve(Router::new().fallback(answer).with_state(trello.clone())).await;
    let (server, _) = Server::start(&settings(), None).await.unwrap();
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let api = Api { url: server.url().to_owned(), client: HttpClient::destinations(guard).unwrap() };

    let auth =
        json!({"token": "t", "api_url": api_url, "meta": {"app_id": "0471642aefef5fa1", "webhook_secret": APP_SECRET}});
    let connection = api.make("/unified/connection", json!({"integration_type": "trello", "auth": auth})).await;
    let webhook = json!({"connection_id": connection, "object_type": "task_task", "event": "updated", "hook_url": hook_url,
        "interval": 60, "filters": {"project_id": BOARD}, "fields": "name,raw", "template": TEMPLATE, "template_per": "object"});
    api.make("/unified/webhook", webhook).await;
    let until_polled = async |polls: &mut watch::Receiver<u64>, times: u64| {
        tokio::time::timeout(WAIT, polls.wait_for(|listed| *listed >= times)).await.expect("it polls").unwrap();
    };
    until_polled(&mut polls, 1).await;

    // A card that is renamed where it is has nothing to say; the one that is moved has.
    let told = |cards: Vec<Value>| *trello.cards.lock().unwrap() = cards;
    told(vec![card(report, "The \"big\" report", DOING), card(chores, "Chores, still", DOING)]);
    let before = *polls.borrow();
    api.tell(&connection, "51f9424bcd6e040f3c002412", chores).await;
    until_polled(&mut polls, before + 1).await;
    told(vec![card(report, "The \"big\" report", DONE), card(chores, "Chores, still", DOING)]);
    api.tell(&connection, "51f9424bcd6e040f3c002413", report).await;

    let mut seen = slack.clone();
    tokio::time::timeout(WAIT, seen.wait_for(|seen| !seen.is_empty())).await.expect("Slack is told").unwrap();
    server.stop().await.unwrap();
    let posts = slack.borrow().clone();
    let bodies: Vec<_> = posts.iter().map(|(_, body)| std::str::from_utf8(body).unwrap()).collect();
    assert_eq!(bodies, [r#"{"text": "The \"big\" report is done"}"#]);
    assert_eq!(posts[0].0["content-type"], "application/json");
}
