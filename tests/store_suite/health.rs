use crate::world::{World, at};
use anyhook::store::{
    ArrivalCommit, Connection, Contact, FeedHealth, FeedState, Fence, NotificationEvent, NotificationQuery, Outcome,
    RunFinish, SweepHealth, Wake, Webhook, WebhookQuery,
};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use chrono::{DateTime, Utc};

fn unhealthy(code: &str, seconds: i64, is_credential: bool) -> FeedHealth {
    FeedHealth::Unhealthy { since: at(seconds), code: code.into(), message: format!("{code}!"), is_credential }
}

/// A run that ended so.
async fn run(world: &World, webhook: &Webhook, fence: Fence, state: FeedState, contact: Option<Contact>) {
    let finish = world.run_finish(webhook, fence, 600);
    world.store.finish_run(RunFinish { state, contact, ..finish }).await.unwrap();
}

async fn refused(world: &World, webhook: &Webhook, fence: Fence, seconds: i64) {
    let state =
        FeedState { health: unhealthy("401", seconds, true), checked_at: Some(at(seconds)), ..FeedState::default() };
    let contact = Contact::Refused { code: "401".into(), message: "refused".into() };
    run(world, webhook, fence, state, Some(contact)).await;
}

async fn accepted(world: &World, webhook: &Webhook, fence: Fence, seconds: i64) {
    let state = FeedState { checked_at: Some(at(seconds)), pings_done: 9, ..FeedState::default() };
    run(world, webhook, fence, state, Some(Contact::Accepted)).await;
}

/// What was told since the first notification of `webhook`'s making.
async fn told(world: &World, webhook: &Webhook) -> Vec<(NotificationEvent, DateTime<Utc>, bool)> {
    let query = NotificationQuery { is_ascending: true, limit: 100, ..NotificationQuery::default() };
    let rows = world.store.notifications(webhook.workspace_id, &query).await.unwrap();
    let made = [NotificationEvent::ConnectionCreated, NotificationEvent::WebhookCreated];
    let rows = rows.into_iter().filter(|row| !made.contains(&row.event));
    rows.map(|row| (row.event, row.at, row.webhook_id == Some(webhook.id))).collect()
}

async fn two_feeds(world: &World) -> (Connection, Webhook, Webhook, Fence) {
    let connection = world.connection().await;
    let one = world.keep(world.new_webhook(&connection)).await;
    let other = Webhook { object_type: ObjectType::RepoCommit, ..world.new_webhook(&connection) };
    let other = world.keep(other).await;
    let fence = world.fence(connection.shard).await;
    (connection, one, other, fence)
}

pub(crate) async fn a_connection_that_works_as_before_is_noted_and_wakes_nobody(world: &World) {
    let (connection, one, other, fence) = two_feeds(world).await;
    let row = async || world.store.connection(connection.id).await.unwrap().unwrap();
    let mut wakes = world.store.wakes();
    let mut is_woken = || {
        let told = std::iter::from_fn(|| wakes.try_recv().ok());
        told.filter(|wake| *wake == Wake::ConnectionChanged(connection.id)).count() > 0
    };
    for seconds in [10, 4_000] {
        accepted(world, &one, fence, seconds).await;
        assert_eq!(row().await.last_healthy_at, Some(at(seconds)));
        assert!(!is_woken(), "at {seconds}");
    }
    refused(world, &other, fence, 5_000).await;
    assert!(is_woken());
    accepted(world, &other, fence, 6_000).await;
    assert!(is_woken(), "what rested may go on");
}

pub(crate) async fn feeds_that_are_refused_together_are_told_of_once(world: &World) {
    let (connection, one, other, fence) = two_feeds(world).await;
    let row = async || world.store.connection(connection.id).await.unwrap().unwrap();
    tokio::join!(refused(world, &one, fence, 10), refused(world, &other, fence, 11));
    assert_eq!(told(world, &one).await.len(), 1);
    assert_eq!(told(world, &one).await[0].0, NotificationEvent::ConnectionUnhealthy);
    assert_eq!((row().await.last_unhealthy_code.as_deref(), row().await.is_retried()), (Some("401"), false));
    accepted(world, &one, fence, 20).await;
    assert_eq!(row().await.last_unhealthy_code.as_deref(), Some("401"), "the other is still refused");
    accepted(world, &other, fence, 30).await;
    let healthy = row().await;
    assert_eq!((healthy.last_unhealthy_at, healthy.last_unhealthy_code), (None, None));
    assert_eq!(healthy.last_healthy_at, Some(at(30)));
    accepted(world, &other, fence, 40).await;
    let told = told(world, &one).await;
    assert_eq!(told[1..], [(NotificationEvent::ConnectionHealthy, at(30), false)]);
    assert_eq!(row().await.updated_at, connection.updated_at, "no person has changed it");
}

pub(crate) async fn new_credentials_are_shown_as_retried_until_a_run_tells(world: &World) {
    use NotificationEvent::*;
    let (connection, one, _, fence) = two_feeds(world).await;
    refused(world, &one, fence, 10).await;
    let give = async |seconds: i64| {
        let row = world.store.connection(connection.id).await.unwrap().unwrap();
        let auth_revision = row.auth_revision + 1;
        let given = Connection { auth_revision, updated_at: at(seconds), ..row };
        world.store.replace_connection(given).await.unwrap()
    };
    let given = give(20).await;
    assert!(given.is_retried() && given.last_unhealthy_code.is_some());
    let state = world.store.feed_state(one.feed_id).await.unwrap();
    assert!(matches!(state.health, FeedHealth::Retrying { is_credential: true, .. }), "{:?}", state.health);
    // A run that began before, with the old credentials.
    refused(world, &one, fence, 21).await;
    assert!(world.store.connection(connection.id).await.unwrap().unwrap().is_retried());
    let state = world.store.feed_state(one.feed_id).await.unwrap();
    assert!(matches!(state.health, FeedHealth::Retrying { .. }), "what a ping came upon is not kept");
    // The one after it finds the new ones wrong too.
    let state = FeedState { health: unhealthy("401", 22, true), pings_done: 9, ..FeedState::default() };
    let state = FeedState { checked_at: Some(at(22)), ..state };
    let contact = Contact::Refused { code: "401".into(), message: "refused".into() };
    run(world, &one, fence, state, Some(contact)).await;
    assert!(!world.store.connection(connection.id).await.unwrap().unwrap().is_retried());
    give(30).await;
    accepted(world, &one, fence, 31).await;
    let told: Vec<_> = told(world, &one).await.iter().map(|told| told.0).collect();
    let expected = [ConnectionUnhealthy, ConnectionUpdated, ConnectionUnhealthy, ConnectionUpdated, ConnectionHealthy];
    assert_eq!(told, expected);
}

pub(crate) async fn a_feed_that_turns_is_told_of_to_its_active_webhooks(world: &World) {
    use NotificationEvent::*;
    let connection = world.connection().await;
    let active = world.keep(world.new_webhook(&connection)).await;
    let paused = world.keep(Webhook { is_paused: true, ..world.new_webhook(&connection) }).await;
    let undelivered = world.keep(world.new_webhook(&connection)).await;
    let fence = world.fence(connection.shard).await;
    let outcome = Outcome::Unhealthy { message: "410".into() };
    world.store.finish_attempt(world.attempt(&undelivered, fence, outcome)).await.unwrap();
    let state = |health, seconds| FeedState { health, checked_at: Some(at(seconds)), ..FeedState::default() };
    run(world, &active, fence, state(unhealthy("stuck", 20, false), 20), None).await;
    run(world, &active, fence, state(unhealthy("stuck", 20, false), 30), None).await;
    run(world, &active, fence, state(unhealthy("listing_cycle", 20, false), 35), None).await;
    let listed = |is_healthy| {
        let connection_id = Some(connection.id);
        WebhookQuery { connection_id, is_healthy: Some(is_healthy), ..WebhookQuery::default() }
    };
    assert_eq!(world.store.webhooks(connection.workspace_id, &listed(false)).await.unwrap().len(), 3);
    world.store.resume_webhook(active.id, at(38)).await.unwrap();
    let health = world.store.feed_state(active.feed_id).await.unwrap().health;
    assert!(matches!(health, FeedHealth::Retrying { is_credential: false, .. }), "{health:?}");
    assert_eq!(world.store.webhooks(connection.workspace_id, &listed(true)).await.unwrap().len(), 2);
    run(world, &active, fence, state(FeedHealth::Healthy, 40), None).await;
    let healthy = world.store.webhooks(connection.workspace_id, &listed(true)).await.unwrap();
    assert!(healthy.len() == 2 && healthy.contains(&active) && healthy.contains(&paused), "{healthy:?}");
    let told = told(world, &active).await;
    let expected =
        [(WebhookUnhealthy, at(10), false), (WebhookUnhealthy, at(20), true), (WebhookHealthy, at(40), true)];
    assert_eq!(told, expected, "the paused one is told nothing, nor is the one that is not delivered to told more");
}

pub(crate) async fn sweeps_that_fail_are_told_of_to_whoever_wants_deletions(world: &World) {
    use NotificationEvent::*;
    let connection = world.connection().await;
    let deleted = world.keep(Webhook { event: Change::Deleted, ..world.new_webhook(&connection) }).await;
    world.keep(world.new_webhook(&connection)).await;
    let fence = world.fence(connection.shard).await;
    let failed = SweepHealth::Failed { since: at(20), code: "too_many_missing".into(), message: "m".into() };
    for sweep in [failed.clone(), failed, SweepHealth::Healthy] {
        let state = FeedState { sweep, checked_at: Some(at(30)), ..FeedState::default() };
        run(world, &deleted, fence, state, None).await;
    }
    assert_eq!(told(world, &deleted).await, [(WebhookUnhealthy, at(20), true), (WebhookHealthy, at(30), true)]);
}

pub(crate) async fn a_vendors_ping_does_not_wake_a_refused_feed(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let due = async || world.store.feed_due(webhook.feed_id).await.unwrap();
    let arrive = async |seconds: i64| {
        let (connection, pings) = (webhook.connection_id, vec![webhook.feed_id]);
        let commit = ArrivalCommit { connection, appends: vec![], pings, now: at(seconds), delivery: None };
        world.store.commit_arrival(commit).await.unwrap();
    };
    refused(world, &webhook, fence, 10).await;
    arrive(20).await;
    assert_eq!(due().await, Some(at(600)));
    assert_eq!(world.store.pings(webhook.feed_id).await.unwrap(), 1, "the run that comes has heard of it");
    accepted(world, &webhook, fence, 30).await;
    arrive(40).await;
    assert_eq!(due().await, Some(at(40)));
}
