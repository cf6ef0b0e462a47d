//! `/unified/webhook/{id}/backfill`

use crate::http_support::Server;
use anyhook::ids::{JobId, WebhookId};
use anyhook::store::{
    ArrivalCommit, ArrivalFeed, Duty, JobMode, JobState, ListingCommit, ListingTally, PaceMark, Trim, Webhook,
};
use chrono::TimeDelta;
use serde_json::{Value, json};

struct World {
    server: Server,
    webhook: Webhook,
    path: String,
}

impl World {
    async fn new(changes: Value) -> World {
        let server = Server::start().await;
        let connection = server.connection().await;
        World::on(server, &connection, changes).await
    }

    async fn on(server: Server, connection: &str, changes: Value) -> World {
        let made = server.webhook(connection, changes).await;
        let id: WebhookId = made["id"].as_str().unwrap().parse().unwrap();
        let webhook = server.store.webhook(id).await.unwrap().unwrap();
        World { path: format!("/unified/webhook/{id}/backfill"), server, webhook }
    }

    async fn begin(&self, body: &Value) -> Value {
        self.server.call("POST", &self.path, body).await.ok()
    }

    async fn delete(&self) -> crate::http_support::Answer {
        self.server.send("DELETE", &self.path, &[("authorization", &self.server.key)], b"").await
    }

    /// Ends the open one as the engine would.
    async fn finish(&self, id: &str, state: JobState) {
        let job = self.server.store.job(id.parse().unwrap()).await.unwrap().unwrap();
        let fence = self.server.context.leases.lease(Duty::Deliver, job.shard).unwrap().fence;
        let commit = ListingCommit { state, ..ListingCommit::of(&job, fence, self.server.context.clock.now()) };
        self.server.store.commit_listing(commit).await.unwrap();
    }
}

#[tokio::test]
async fn one_is_begun_shown_and_cancelled() {
    for kind in ["virtual", "native"] {
        let world = World::new(json!({"webhook_type": kind})).await;
        world.server.get(&world.path).await.refused(404, "begin one by POST /unified/webhook/");
        world.delete().await.refused(404, "nothing to cancel");
        let range = json!({"updated_gte": "2024-05-31T12:00:00Z", "updated_lt": "2024-06-30T12:00:00+02:00"});
        let begun = world.begin(&range).await;
        assert_eq!(begun["mode"], "backfill");
        assert_eq!((&begun["state"], &begun["records"], &begun["failures"]), (&json!("running"), &json!(0), &json!(0)));
        assert_eq!(begun["updated_gte"], range["updated_gte"]);
        assert_eq!(begun["updated_lt"], "2024-06-30T10:00:00Z");
        assert!(begun.get("notice").is_none() && begun.get("finished_at").is_none(), "{begun}");
        let job =
            world.server.store.job(begun["id"].as_str().unwrap().parse::<JobId>().unwrap()).await.unwrap().unwrap();
        assert_eq!(
            (job.mode, job.webhook_id, job.feed_id),
            (JobMode::Backfill, world.webhook.id, world.webhook.feed_id)
        );
        let shown = world.server.get(&world.path).await.ok();
        assert_eq!((&shown["id"], &shown["earlier"]), (&begun["id"], &json!([])));
        let cancelled = world.delete().await.ok();
        assert_eq!((&cancelled["id"], &cancelled["state"]), (&begun["id"], &json!("cancelled")));
        assert!(cancelled["finished_at"].is_string());
        world.delete().await.refused(404, "nothing to cancel");
        let second = world.begin(&json!({})).await;
        let shown = world.server.get(&world.path).await.ok();
        assert_eq!((&shown["id"], &shown["earlier"][0]["id"]), (&second["id"], &begun["id"]));
    }
}

#[tokio::test]
async fn a_body_may_be_left_out() {
    let world = World::new(json!({})).await;
    let headers = [("authorization", world.server.key.as_str())];
    let begun = world.server.send("POST", &world.path, &headers, b"").await.ok();
    assert!(begun.get("updated_gte").is_none() && begun.get("updated_lt").is_none());
}

#[tokio::test]
async fn what_is_wrong_with_a_range_is_named() {
    let world = World::new(json!({})).await;
    for (body, part) in [
        (json!({"updated_gte": "yesterday"}), "updated_gte: expected a time"),
        (json!({"updated_gte": 1_700_000_000}), "updated_gte: expected text, got a number"),
        (json!({"updated_gte": "2024-05-31"}), "updated_gte: expected a time with zone"),
        (json!({"updated_lt": "2024-05-31T12:00:00"}), "updated_lt: expected a time with zone"),
        (json!({"updated_lt": ["2024-05-31T12:00:00Z"]}), "updated_lt: expected text, got a list"),
        (
            json!({"updated_gte": "2024-05-31T12:00:00Z", "updated_lt": "2024-05-31T12:00:00Z"}),
            "updated_lt: expected a time after updated_gte",
        ),
        (
            json!({"updated_gte": "2024-05-31T12:00:00Z", "updated_lt": "2024-05-31T13:59:59+02:00"}),
            "updated_lt: expected a time after updated_gte",
        ),
        (json!([]), "no object"),
    ] {
        world.server.call("POST", &world.path, &body).await.refused(400, part);
    }
    world.server.get(&world.path).await.refused(404, "no back-fill");
}

#[tokio::test]
async fn one_at_a_time_and_the_initial_sync_counts() {
    let world = World::new(json!({})).await;
    let begun = world.begin(&json!({})).await;
    let id = begun["id"].as_str().unwrap();
    let again = world.server.call("POST", &world.path, &json!({})).await;
    again.refused(409, id);
    again.refused(409, &format!("GET {}", world.path));
    again.refused(409, &format!("DELETE {}", world.path));
    world.finish(id, JobState::Listed).await;
    world.server.call("POST", &world.path, &json!({})).await.refused(409, "not finished");
    let body = crate::http_support::webhook(&world.webhook.connection_id.to_string(), json!({}));
    let made = world.server.call("POST", "/unified/webhook?include_all=true", &body).await.ok();
    let path = format!("/unified/webhook/{}/backfill", made["id"].as_str().unwrap());
    world.server.call("POST", &path, &json!({})).await.refused(409, "initial sync");
    assert_eq!(world.server.get(&path).await.ok()["mode"], "initial");
}

#[tokio::test]
async fn how_far_it_is_and_what_went_wrong_is_shown() {
    let world = World::new(json!({})).await;
    let id = world.begin(&json!({})).await["id"].as_str().unwrap().to_owned();
    let job = world.server.store.job(id.parse().unwrap()).await.unwrap().unwrap();
    let fence = world.server.context.leases.lease(Duty::Deliver, job.shard).unwrap().fence;
    let now = world.server.context.clock.now();
    let tally = ListingTally {
        seen: 6_000,
        listed: 6_000,
        pace: vec![PaceMark { at: now - TimeDelta::seconds(60), seen: 0 }],
        error: Some("the vendor answered 500".to_owned()),
        ..ListingTally::default()
    };
    let commit = ListingCommit { tally, total: Some(18_000), failures: 2, ..ListingCommit::of(&job, fence, now) };
    world.server.store.commit_listing(commit).await.unwrap();
    let shown = world.server.get(&world.path).await.ok();
    let rate = shown["records_per_second"].as_f64().unwrap();
    assert!((50.0..=100.0).contains(&rate), "{shown}");
    assert_eq!((&shown["total"], &shown["failures"]), (&json!(18_000), &json!(2)));
    assert_eq!(shown["error"], "the vendor answered 500");
    let estimate: chrono::DateTime<chrono::Utc> = shown["estimated_finish_at"].as_str().unwrap().parse().unwrap();
    let away = (estimate - now).num_seconds();
    assert!((100..=300).contains(&away), "{away} s for twelve thousand: {shown}");
    world.finish(&id, JobState::Failed { code: "c".to_owned(), message: "why and what to do".to_owned() }).await;
    let shown = world.server.get(&world.path).await.ok();
    assert_eq!((&shown["state"], &shown["error"]), (&json!("failed"), &json!("why and what to do")));
    assert!(shown.get("records_per_second").is_none() && shown["finished_at"].is_string(), "{shown}");
    world.begin(&json!({})).await;
}

#[tokio::test]
async fn one_that_has_to_wait_says_for_what() {
    let world = World::new(json!({"is_paused": true})).await;
    let begun = world.begin(&json!({})).await;
    assert!(begun["notice"].as_str().unwrap().contains("webhook is paused"), "{begun}");
    let server = Server::start().await;
    let connection = server.connection().await;
    let path = format!("/unified/connection/{connection}");
    server.call("PATCH", &path, &json!({"is_paused": true})).await.ok();
    let world = World::on(server, &connection, json!({})).await;
    let begun = world.begin(&json!({})).await;
    assert!(begun["notice"].as_str().unwrap().contains("connection is paused"), "{begun}");
}

#[tokio::test]
async fn another_workspace_sees_and_touches_nothing() {
    let world = World::new(json!({})).await;
    let begun = world.begin(&json!({})).await;
    let other = world.server.other_key().await;
    for method in ["GET", "POST", "DELETE"] {
        let answer = world.server.send(method, &world.path, &[("authorization", &other)], b"").await;
        answer.refused(404, "there is no webhook");
        world.server.send(method, &world.path, &[], b"").await.refused(401, "authorization");
    }
    assert_eq!(world.server.get(&world.path).await.ok()["state"], begun["state"]);
    for id in ["000000000000000000000000", "nope"] {
        let path = format!("/unified/webhook/{id}/backfill");
        world.server.call("POST", &path, &json!({})).await.refused(404, id);
    }
}

#[tokio::test]
async fn resuming_says_what_was_missed_and_what_may_be_missing() {
    let world = World::new(json!({"event": "deleted"})).await;
    let path = format!("/unified/webhook/{}/resume", world.webhook.id);
    let resumed = world.server.call("PUT", &path, &json!({})).await.ok();
    assert!(resumed.get("notice").is_none(), "{resumed}");
    let fence = world.server.context.leases.lease(Duty::Deliver, world.webhook.shard).unwrap().fence;
    let page = anyhook::log::EncodedPage { records: 1, bytes: vec![1] };
    let append = ArrivalFeed { feed: world.webhook.feed_id, expected_end: 0, ledger: Vec::new(), pages: vec![page] };
    let (connection, now) = (world.webhook.connection_id, world.server.context.clock.now());
    let arrival = ArrivalCommit { connection, appends: vec![append], pings: Vec::new(), now, delivery: None };
    world.server.store.commit_arrival(arrival).await.unwrap();
    world.server.store.trim_log(Trim::new(fence, world.webhook.feed_id, 1)).await.unwrap();
    let resumed = world.server.call("PUT", &path, &json!({})).await.ok();
    let notice = resumed["notice"].as_str().unwrap();
    for part in ["fell behind", "some deletions were not kept", &format!("POST {}", world.path)] {
        assert!(notice.contains(part), "`{part}` is not in {notice}");
    }
}
