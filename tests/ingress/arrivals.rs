//! What is believed: logged where it can be compared, else a ping.

use crate::http_support::Server;
use crate::vendor::{contact, event, push};
use anyhook::ids::{FeedId, WebhookId};
use anyhook::log::{Found, LogPage};
use anyhook::store::{Duty, FeedState, PageCommit, Progress, RunFinish};
use anyhook_connectors::contract::Change;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

struct Line {
    server: Server,
    connection: String,
    feed: FeedId,
}

impl Line {
    async fn start(changes: Value) -> Self {
        let server = Server::start().await;
        let connection = server.connection().await;
        let webhook = server.webhook(&connection, changes).await;
        let id: WebhookId = webhook["id"].as_str().unwrap().parse().unwrap();
        let feed = server.store.webhook(id).await.unwrap().unwrap().feed_id;
        Line { server, connection, feed }
    }

    /// As if the feed had been polled whole up to now.
    async fn polled(&self) {
        let (store, now) = (&self.server.store, self.server.context.clock.now());
        let feed = store.feed(self.feed).await.unwrap().unwrap();
        let fence = self.server.context.leases.lease(Duty::Poll, feed.shard).unwrap().fence;
        let earlier = now - TimeDelta::minutes(10);
        let progress = Progress { watermark: Some(earlier), server_time: Some(now), ..Progress::default() };
        let commit = PageCommit {
            fence,
            feed: feed.id,
            feed_revision: feed.revision,
            expected_end: store.log_head(feed.id).await.unwrap().end,
            parent: String::new(),
            progress,
            ledger: Vec::new(),
            forget_before_ms: None,
            pages: Vec::new(),
        };
        store.commit_page(commit).await.unwrap();
        let state = FeedState {
            started_at: Some(earlier),
            pings_done: store.pings(feed.id).await.unwrap(),
            ..FeedState::default()
        };
        store
            .finish_run(RunFinish { fence, feed: feed.id, state, due_at: None, call: None, contact: None })
            .await
            .unwrap();
    }

    async fn push(&self, name: &str, record: &Value) {
        let answer = push(&self.server, &self.connection, &event(name, record)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Every change in the log: how it was found, what it was, and the object.
    async fn log(&self) -> Vec<(Found, Change, Value, Vec<u8>)> {
        let head = self.server.store.log_head(self.feed).await.unwrap();
        let mut changes = Vec::new();
        for sequence in head.start..head.end {
            let stored = self.server.store.log_page(self.feed, sequence).await.unwrap().unwrap();
            let page = LogPage::decode(&stored, 1 << 20).unwrap();
            for index in 0..page.len() {
                let object = serde_json::from_slice(&page.object(index)).unwrap();
                changes.push((page.meta.found, page.change(index).unwrap(), object, page.raw(index).to_vec()));
            }
        }
        changes
    }

    async fn pings(&self) -> u64 {
        self.server.store.pings(self.feed).await.unwrap()
    }
}

fn changed(record: &Value, at: DateTime<Utc>) -> Value {
    let mut record = record.clone();
    record["updated_at"] = json!(at.to_rfc3339_opts(SecondsFormat::Millis, true));
    record
}

#[tokio::test]
async fn before_the_first_poll_an_arrival_is_a_ping() {
    let line = Line::start(json!({})).await;
    line.push("contact.updated", &contact()).await;
    assert_eq!((line.log().await.len(), line.pings().await), (0, 1));
}

#[tokio::test]
async fn a_record_is_logged_once_and_as_native() {
    let line = Line::start(json!({"fields": "id,raw"})).await;
    line.polled().await;
    let record = contact();
    line.push("contact.created", &record).await;
    line.push("contact.created", &record).await;
    let log = line.log().await;
    assert_eq!(log.len(), 1, "a repeat is no news");
    let (found, change, object, raw) = &log[0];
    assert_eq!((*found, *change), (Found::Native, Change::Created));
    assert_eq!(object["id"], record["id"]);
    assert_eq!(serde_json::from_slice::<Value>(raw).unwrap(), record);
    assert_eq!(line.pings().await, 0);
    let now = line.server.context.clock.now() + TimeDelta::seconds(2);
    line.push("contact.updated", &changed(&record, now)).await;
    line.push("contact.updated", &changed(&record, now - TimeDelta::seconds(1))).await;
    let log = line.log().await;
    assert_eq!(log.len(), 2, "one older than what is held is dropped");
    assert_eq!(log[1].1, Change::Updated);
}

#[tokio::test]
async fn what_polling_has_passed_is_no_news_but_a_deletion_is() {
    let line = Line::start(json!({})).await;
    line.polled().await;
    let mut old = contact();
    old["created_at"] = json!("2020-01-01T00:00:00.000Z");
    let old = changed(&old, line.server.context.clock.now() - TimeDelta::days(30));
    line.push("contact.updated", &old).await;
    assert_eq!(line.log().await.len(), 0);
    line.push("contact.deleted", &old).await;
    line.push("contact.deleted", &old).await;
    let log = line.log().await;
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].0, log[0].1, &log[0].2["id"]), (Found::Native, Change::Deleted, &old["id"]));
}

#[tokio::test]
async fn other_objects_and_unknown_events_touch_nothing() {
    let line = Line::start(json!({})).await;
    line.polled().await;
    for name in ["company.merged", "invoice.updated", "ping", ""] {
        line.push(name, &contact()).await;
    }
    assert_eq!((line.log().await.len(), line.pings().await), (0, 0));
}

#[tokio::test]
async fn arrivals_at_the_same_time_are_all_kept() {
    let line = std::sync::Arc::new(Line::start(json!({})).await);
    line.polled().await;
    let first = contact();
    let pushes = (0..12).map(|number| {
        let line = line.clone();
        let mut record = first.clone();
        record["id"] = json!(format!("con_{number}"));
        tokio::spawn(async move { line.push("contact.created", &record).await })
    });
    for pushed in pushes.collect::<Vec<_>>() {
        pushed.await.unwrap();
    }
    let mut ids: Vec<_> = line.log().await.iter().map(|change| change.2["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12);
}
