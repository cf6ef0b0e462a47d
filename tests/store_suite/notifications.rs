use crate::destinations::{listening, run, to};
use crate::world::{World, at};
use anyhook::ids::WorkspaceId;
use anyhook::store::{
    Connection, JobMode, JobState, ListingCommit, Notification, NotificationEvent, NotificationQuery, Outcome,
    Position, Stream, Webhook,
};

async fn all(world: &World, workspace: WorkspaceId) -> Vec<Notification> {
    let query = NotificationQuery { is_ascending: true, limit: 1_000, ..NotificationQuery::default() };
    world.store.notifications(workspace, &query).await.unwrap()
}

async fn events(world: &World, workspace: WorkspaceId) -> Vec<NotificationEvent> {
    all(world, workspace).await.iter().map(|row| row.event).collect()
}

pub(crate) async fn what_a_person_does_is_told_once(world: &World) {
    use NotificationEvent::*;
    let connection = world.connection().await;
    let webhook = world.keep(world.new_webhook(&connection)).await;
    let paused = Connection { is_paused: true, updated_at: at(1), ..connection.clone() };
    let paused = world.store.replace_connection(paused).await.unwrap();
    let renamed = Connection { is_paused: false, external_xref: Some("a".into()), updated_at: at(2), ..paused };
    let renamed = world.store.replace_connection(renamed).await.unwrap();
    let refreshed = Connection { auth_revision: 2, ..renamed };
    let refreshed = world.store.replace_connection(refreshed).await.unwrap();
    let renewed = Connection { auth_revision: 3, updated_at: at(3), ..refreshed };
    world.store.replace_connection(renewed).await.unwrap();
    let rests = Webhook { is_paused: true, updated_at: at(4), ..webhook.clone() };
    let rests = world.store.replace_webhook(rests).await.unwrap();
    let goes_on = Webhook { is_paused: false, page_max_limit: Some(7), updated_at: at(5), ..rests };
    let goes_on = world.store.replace_webhook(goes_on).await.unwrap();
    world.store.replace_webhook(Webhook { page_max_limit: None, updated_at: at(6), ..goes_on }).await.unwrap();
    world.store.delete_connection(connection.id, at(7)).await.unwrap();
    let told = all(world, connection.workspace_id).await;
    let told: Vec<_> = told.iter().map(|row| (row.event, (row.at - at(0)).num_seconds(), row.webhook_id)).collect();
    let of_webhook = Some(webhook.id);
    let expected = [
        (ConnectionCreated, 0, None),
        (WebhookCreated, 0, of_webhook),
        (ConnectionPaused, 1, None),
        (ConnectionUnpaused, 2, None),
        (ConnectionUpdated, 2, None),
        (ConnectionUpdated, 3, None),
        (WebhookPaused, 4, of_webhook),
        (WebhookUnpaused, 5, of_webhook),
        (WebhookDeleted, 7, of_webhook),
        (ConnectionDeleted, 7, None),
    ];
    assert_eq!(told, expected, "the engine's own renewal of a token is told to nobody");
}

pub(crate) async fn a_change_that_is_refused_tells_nothing(world: &World) {
    let connection = world.connection().await;
    let late = Connection { is_paused: true, revision: 99, updated_at: at(1), ..connection.clone() };
    world.store.replace_connection(late).await.unwrap_err();
    world.store.insert_connection(connection.clone()).await.unwrap_err();
    assert_eq!(events(world, connection.workspace_id).await, [NotificationEvent::ConnectionCreated]);
}

pub(crate) async fn lists_come_newest_first_and_in_parts(world: &World) {
    let connection = world.connection().await;
    let mut webhooks = Vec::new();
    for seconds in [30, 10, 20] {
        let webhook = Webhook { created_at: at(seconds), ..world.new_webhook(&connection) };
        webhooks.push(Some(world.keep(webhook).await.id));
    }
    let list = async |query: NotificationQuery| {
        let query = NotificationQuery { limit: if query.limit == 0 { 100 } else { query.limit }, ..query };
        let rows = world.store.notifications(connection.workspace_id, &query).await.unwrap();
        rows.into_iter().map(|row| row.webhook_id).collect::<Vec<_>>()
    };
    let query = NotificationQuery::default;
    let (a, b, c) = (webhooks[0], webhooks[1], webhooks[2]);
    assert_eq!(list(query()).await, [c, b, a, None], "as they were written, whatever the clock did");
    assert_eq!(list(NotificationQuery { is_ascending: true, ..query() }).await, [None, a, b, c]);
    assert_eq!(list(NotificationQuery { offset: 1, limit: 2, ..query() }).await, [b, a]);
    assert_eq!(list(NotificationQuery { since: Some(at(20)), ..query() }).await, [c, a]);
    let rows = all(world, connection.workspace_id).await;
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| row.id.as_str()).collect();
    assert!(ids.len() == 4 && ids.iter().all(|id| id.len() == 24), "{ids:?}");
    assert_eq!(all(world, world.workspace_id()).await, [], "another workspace's are its own");
}

pub(crate) async fn a_workspace_keeps_the_newest_up_to_a_number_and_an_age(world: &World) {
    let connection = world.connection().await;
    let mut row = connection.clone();
    for seconds in 1..=30 {
        let changed = Connection { external_xref: Some(seconds.to_string()), updated_at: at(seconds), ..row };
        row = world.store.replace_connection(changed).await.unwrap();
    }
    let rows = all(world, connection.workspace_id).await;
    let times: Vec<_> = rows.iter().map(|row| (row.at - at(0)).num_seconds()).collect();
    assert_eq!(times, (19..=30).collect::<Vec<_>>());
    let changed = Connection { external_xref: None, updated_at: at(100_025), ..row };
    world.store.replace_connection(changed).await.unwrap();
    let rows = all(world, connection.workspace_id).await;
    let times: Vec<_> = rows.iter().map(|row| (row.at - at(0)).num_seconds()).collect();
    assert_eq!(times, [25, 26, 27, 28, 29, 30, 100_025], "what is older than the age goes");
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.id).collect();
    assert_eq!(ids.len(), rows.len());
}

pub(crate) async fn a_webhook_that_is_not_delivered_to_is_told_once(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let unhealthy = async |message: &str| {
        let outcome = Outcome::Unhealthy { message: message.into() };
        world.store.finish_attempt(world.attempt(&webhook, fence, outcome)).await.unwrap();
    };
    unhealthy("410").await;
    unhealthy("410 again").await;
    let told = all(world, webhook.workspace_id).await;
    let last = told.last().unwrap();
    assert_eq!((told.len(), last.event, last.webhook_id), (3, NotificationEvent::WebhookUnhealthy, Some(webhook.id)));
    assert_eq!(last.description, "410");
    world.store.resume_webhook(webhook.id, at(20)).await.unwrap();
    unhealthy("410 later").await;
    assert_eq!(all(world, webhook.workspace_id).await.len(), 4, "a new change is told anew");
}

pub(crate) async fn the_end_of_a_listing_is_told(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let job = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(job.clone()).await.unwrap();
    world.store.commit_listing(world.listing(&job, fence, &["a"])).await.unwrap();
    let end = Position { sequence: 1, offset: 0 };
    let done = Outcome::Delivered { stream: Stream::Listing(job.id), position: end, is_last: true };
    world.store.finish_attempt(world.attempt(&webhook, fence, done.clone())).await.unwrap();
    world.store.finish_attempt(world.attempt(&webhook, fence, done)).await.unwrap();
    let job = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(job.clone()).await.unwrap();
    let failed = JobState::Failed { code: "listing_cycle".into(), message: "round and round".into() };
    let commit = ListingCommit { state: failed, ..world.listing(&job, fence, &[]) };
    world.store.commit_listing(commit).await.unwrap();
    let job = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(job.clone()).await.unwrap();
    world.store.cancel_job(job.id, at(9)).await.unwrap();
    let told = all(world, webhook.workspace_id).await;
    let ends: Vec<_> = told[2..].iter().map(|row| (row.event, row.code.as_deref())).collect();
    let event = NotificationEvent::BackfillCompleted;
    assert_eq!(ends, [(event, None), (event, Some("listing_cycle"))], "what a person ended is told to nobody");
    assert!(told[3].description.contains("round and round"), "{}", told[3].description);
    let details = told[3].details.as_ref().unwrap();
    assert_eq!((details.mode, details.error.as_deref()), (Some(JobMode::Backfill), Some("round and round")));
    let details = told[2].details.as_ref().unwrap();
    assert_eq!((details.pages, details.records, &details.error), (Some(1), Some(1), &None));
    assert_eq!((details.feed_id, details.duration_ms), (Some(webhook.feed_id), Some(10_000)));
}

pub(crate) async fn ended_polls_drive_out_no_other(world: &World) {
    let webhook = world.webhook().await;
    listening(world, webhook.workspace_id, &[to(&["*"])]).await;
    let fence = world.fence(webhook.shard).await;
    for records in 0..30 {
        run(world, &webhook, fence, |call| call.records = records).await;
    }
    let told = all(world, webhook.workspace_id).await;
    let changes: Vec<_> = told.iter().map(|row| row.details.as_ref().and_then(|details| details.changes)).collect();
    assert_eq!(changes, [None, None, Some(26), Some(27), Some(28), Some(29)], "four of these are kept");
    let left = async |of_polls| {
        let left = world.store.oldest_left(webhook.workspace_id, of_polls).await.unwrap();
        left.map(|left| (left.sequence, left.notification.event))
    };
    assert_eq!((left(false).await, left(true).await), (None, Some((28, NotificationEvent::SyncCompleted))));
    for seconds in 1..=20 {
        let row = world.store.webhook(webhook.id).await.unwrap().unwrap();
        let row = Webhook { is_paused: !row.is_paused, updated_at: at(seconds), ..row };
        world.store.replace_webhook(row).await.unwrap();
    }
    let told = events(world, webhook.workspace_id).await;
    let ended = told.iter().filter(|event| **event == NotificationEvent::SyncCompleted).count();
    assert_eq!((ended, told.len()), (4, 16), "twelve of the others, and they drive out no ended poll");
    assert_eq!(left(false).await, Some((40, NotificationEvent::WebhookPaused)));
    assert_eq!(left(true).await.unwrap().0, 28);
}

pub(crate) async fn sequences_grow_over_all_that_is_told(world: &World) {
    let webhook = world.webhook().await;
    let workspace = webhook.workspace_id;
    listening(world, workspace, &[to(&["*"])]).await;
    let fence = world.fence(webhook.shard).await;
    let pause = async |is_paused, seconds| {
        let row = world.store.webhook(webhook.id).await.unwrap().unwrap();
        world.store.replace_webhook(Webhook { is_paused, updated_at: at(seconds), ..row }).await.unwrap();
    };
    run(world, &webhook, fence, |_| {}).await;
    pause(true, 1).await;
    run(world, &webhook, fence, |_| {}).await;
    let from = async |sequence, limit| {
        let rows = world.store.notifications_from(workspace, sequence, limit).await.unwrap();
        rows.into_iter().map(|row| (row.sequence, row.notification.event)).collect::<Vec<_>>()
    };
    use NotificationEvent::*;
    let told =
        [(0, ConnectionCreated), (1, WebhookCreated), (2, SyncCompleted), (3, WebhookPaused), (4, SyncCompleted)];
    assert_eq!(from(0, 100).await, told);
    assert_eq!((from(2, 2).await, from(5, 100).await), (told[2..4].to_vec(), vec![]));
    pause(false, 300_000).await;
    assert_eq!(from(0, 100).await, [told[2], told[4], (5, WebhookUnpaused)], "numbers are never given twice");
    assert_eq!(from(0, 1).await, [told[2]]);
}

pub(crate) async fn lists_filter_by_event_connection_and_webhook(world: &World) {
    let connection = world.connection().await;
    let (one, other) = (world.new_webhook(&connection), world.new_webhook(&connection));
    let (one, other) = (world.keep(one).await, world.keep(other).await);
    let second = world.new_connection(connection.workspace_id);
    world.store.insert_connection(second.clone()).await.unwrap();
    listening(world, connection.workspace_id, &[to(&["*"])]).await;
    run(world, &one, world.fence(one.shard).await, |_| {}).await;
    let list = async |query: NotificationQuery| {
        let query = NotificationQuery { is_ascending: true, limit: 100, ..query };
        let rows = world.store.notifications(connection.workspace_id, &query).await.unwrap();
        rows.into_iter().map(|row| row.event).collect::<Vec<_>>()
    };
    use NotificationEvent::*;
    let query = NotificationQuery::default;
    let events = vec!["CONNECTION_*".parse().unwrap(), "SYNC_COMPLETED".parse().unwrap()];
    assert_eq!(
        list(NotificationQuery { events, ..query() }).await,
        [ConnectionCreated, ConnectionCreated, SyncCompleted]
    );
    assert_eq!(list(NotificationQuery { connection_id: Some(second.id), ..query() }).await, [ConnectionCreated]);
    let of_webhook = list(NotificationQuery { webhook_id: Some(other.id), ..query() }).await;
    assert_eq!(of_webhook, [WebhookCreated, SyncCompleted], "its feed's polls are of its own");
}
