//! Kept samples of each version: whole deliveries of each payload type, and every unified object with all of its fields.
//!
//! `samples/<version>/` is never changed. What is kept there has to come out as it did: a field may be added, but one that
//! goes, is renamed or holds something else needs a new [`PayloadVersion`] with samples of its own, and webhooks of the
//! old one go on getting the old shape. `ANYHOOK_KEEP_SAMPLES=1` writes those that are not there yet.

use crate::harness::{SECRET, World};
use anyhook::ids::{ConnectionId, JobId, WebhookId, WorkspaceId};
use anyhook::log::Found;
use anyhook::outbound::{Outbound, OutboundError, OutboundRequest, OutboundResponse};
use anyhook::store::{
    Connection, DeliverySettings, JobMode, ListingJob, NewWebhook, PayloadVersion, Webhook, Workspace,
};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use http::HeaderMap;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Headers that tell of the moment: those are verified instead of compared.
const OF_THE_MOMENT: [&str; 2] = ["webhook-timestamp", "webhook-signature"];

/// Takes requests in place of the network.
#[derive(Debug)]
struct Taken(Sender<OutboundRequest>);

#[async_trait]
impl Outbound for Taken {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        self.0.try_send(request).unwrap();
        Ok(OutboundResponse { status: 200, headers: HeaderMap::new(), body: Bytes::new(), is_cut: false })
    }
}

/// One delivery of each type, for fixed keys, ids and records.
async fn deliveries(version: PayloadVersion) -> Vec<OutboundRequest> {
    let mut world = World::new().await;
    let (sender, taken) = channel(16);
    world.context.destinations = Arc::new(Taken(sender));
    let store = world.context.store.clone();
    store.store_key([7; 32]).await.unwrap();
    let at = DateTime::from_timestamp(1_700_000_000, 5_000_000).unwrap();
    let id = WorkspaceId::from_bytes([2; 12]);
    let secret = world.context.vault.seal(&Workspace::seal(id), SECRET.as_bytes()).unwrap();
    store.insert_workspace(Workspace::new(id, "kept", [9; 32], secret, at)).await.unwrap();
    let connection = ConnectionId::from_bytes([3; 12]);
    world.connection = Connection { id: connection, workspace_id: id, ..world.connection.clone() };
    store.insert_connection(world.connection.clone()).await.unwrap();
    let webhook = Webhook {
        id: WebhookId::from_bytes([1; 12]),
        fields: vec!["id".to_owned(), "name".to_owned(), "emails".to_owned(), "raw".to_owned()],
        page_max_limit: Some(100),
        created_at: at,
        updated_at: at,
        delivery: DeliverySettings { version, hub_signature: Some(true), ..DeliverySettings::default() },
        ..world.webhook("https://receiver.example/hook", Change::Updated)
    };
    let job = JobId::from_bytes([4; 12]);
    let initial = ListingJob { id: job, ..world.job(&webhook, JobMode::Initial) };
    let webhook = store.insert_webhook(NewWebhook { webhook, initial: Some(initial) }).await.unwrap();
    let engine = world.start();
    world.list(job, &["1", "2"], false).await;
    world.list(job, &["3"], true).await;
    world.log(webhook.feed_id, Found::Virtual, &["4"]).await;
    world.log(webhook.feed_id, Found::Native, &["5"]).await;
    let requests = all_of(taken).await;
    engine.stop().await;
    requests
}

async fn all_of(mut taken: Receiver<OutboundRequest>) -> Vec<OutboundRequest> {
    let mut requests = Vec::new();
    while requests.len() < 4 {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), taken.recv()).await;
        requests.push(next.expect("another delivery comes").unwrap());
    }
    requests
}

fn body(request: &OutboundRequest) -> String {
    String::from_utf8(request.body.concat()).unwrap()
}

fn headers(request: &OutboundRequest) -> Vec<(String, String)> {
    let text =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    let mut headers: Vec<_> = request.headers.iter().map(text).collect();
    headers.sort();
    headers
}

/// A kept file, or what it is to be.
fn kept(version: PayloadVersion, name: &str, now: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/deliver/samples").join(version.as_str());
    let path = folder.join(format!("{name}.txt"));
    if !path.exists() && std::env::var_os("ANYHOOK_KEEP_SAMPLES").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, now).unwrap();
    }
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails unless all that was is there as it was; at `place`.
fn holds(place: &str, was: &Value, is: &Value) {
    let rule = "has changed: give the payload a new version, or keep this as it was";
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for (name, value) in was {
                let place = format!("{place}.{name}");
                holds(&place, value, is.get(name).unwrap_or_else(|| panic!("{place} is gone: it {rule}")));
            }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            was.iter().zip(is).enumerate().for_each(|(index, (was, is))| holds(&format!("{place}[{index}]"), was, is));
        }
        _ => assert_eq!(was, is, "{place} {rule}"),
    }
}

#[tokio::test]
async fn deliveries_of_every_version_are_as_they_were() {
    for version in PayloadVersion::ALL {
        let requests = deliveries(*version).await;
        for (request, kind) in requests.iter().zip(["INITIAL-PARTIAL", "INITIAL-COMPLETE", "VIRTUAL", "NATIVE"]) {
            let (headers, body) = (headers(request), body(request));
            let lines = headers.iter().map(|(name, value)| match OF_THE_MOMENT.contains(&name.as_str()) {
                true => format!("{name}: of the moment\n"),
                false => format!("{name}: {value}\n"),
            });
            let text = kept(
                *version,
                kind,
                &format!("{} {}\n{}\n{body}\n", request.method, request.url, lines.collect::<String>()),
            );
            let (kept_head, kept_body) = text.trim_end().split_once("\n\n").unwrap();
            let mut kept_head = kept_head.lines();
            assert_eq!(kept_head.next(), Some(&*format!("{} {}", request.method, request.url)));
            for line in kept_head {
                let (name, value) = line.split_once(": ").unwrap();
                let found = headers.iter().find(|(known, _)| known == name);
                let (_, found) = found.unwrap_or_else(|| panic!("{kind}: the header {name} is gone"));
                // GitHub's is over the whole body, where fields may be added.
                let is_compared =
                    !OF_THE_MOMENT.contains(&name) && (name != "x-hub-signature-256" || body == kept_body);
                assert!(!is_compared || found == value, "{kind}: {name} was {value} and is {found}");
            }
            holds(kind, &serde_json::from_str(kept_body).unwrap(), &serde_json::from_str(&body).unwrap());
            let now = DateTime::from_timestamp(
                headers.iter().find(|(name, _)| name == "webhook-timestamp").unwrap().1.parse().unwrap(),
                0,
            );
            let report = anyhook::verify::check(body.as_bytes(), &headers, SECRET, now.unwrap()).unwrap();
            assert!(report.is_good(), "{kind}: {report:?}");
        }
    }
}

#[test]
fn objects_of_every_version_are_as_they_were() {
    let samples: String = ObjectType::ALL.iter().map(|kind| format!("{kind} {}\n", kind.sample().unwrap())).collect();
    for version in PayloadVersion::ALL {
        let text = kept(*version, "objects", &samples);
        for line in text.lines() {
            let (name, was) = line.split_once(' ').unwrap();
            let is: ObjectType = name.parse().unwrap_or_else(|_| panic!("{name} is gone"));
            holds(name, &serde_json::from_str(was).unwrap(), &serde_json::from_str(&is.sample().unwrap()).unwrap());
        }
        for kind in ObjectType::ALL {
            assert!(text.lines().any(|line| line.starts_with(&format!("{kind} "))), "keep a sample of {kind} too");
        }
    }
}
