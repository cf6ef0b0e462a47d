use crate::world::{World, at};
use anyhook::ids::{DestinationId, WorkspaceId};
use anyhook::store::{
    ApiCall, ApiCallQuery, AttemptFinish, CallKind, ChangeCounts, Connection, Destination, Fence, ListOrder, ListPage,
    ListSort, NextRun, NextWhy, NotificationEvent, NotificationQuery, Outcome, Position, RunFinish, StoreError, Stream,
    Subscription, Wake, Webhook, WebhookHealth,
};
use anyhook_connectors::model::ObjectType;

/// To these events, of whatever.
pub(crate) fn to(events: &[&str]) -> Subscription {
    let events = events.iter().map(|event| event.parse().unwrap()).collect();
    Subscription { events, connection_id: None, object_type: None, webhook_id: None }
}

pub(crate) async fn listening(world: &World, workspace: WorkspaceId, to: &[Subscription]) -> Destination {
    let new = Destination { subscriptions: to.to_vec(), ..world.new_destination(workspace) };
    world.store.insert_destination(new).await.unwrap()
}

async fn fence(world: &World, destination: &Destination) -> Fence {
    world.fence(destination.shard).await
}

async fn attempt(world: &World, destination: &Destination, fence: Fence, outcome: Outcome) -> Result<(), StoreError> {
    let webhook = Destination::served_as(destination.id);
    let call = world.call(&destination.as_webhook(), CallKind::Webhook, 10);
    let call = Some(ApiCall { destination_id: Some(destination.id), ..call });
    world.store.finish_attempt(AttemptFinish { fence, webhook, outcome, at: at(10), call }).await
}

fn delivered(sequence: u64) -> Outcome {
    Outcome::Delivered { stream: Stream::Live, position: Position { sequence, offset: 0 }, is_last: false }
}

async fn missed(world: &World, destination: &Destination) -> Option<u64> {
    let state = world.store.delivery(Destination::served_as(destination.id)).await.unwrap().unwrap();
    state.missed.map(|missed| missed.pages)
}

async fn calls(world: &World, destination: &Destination) -> Vec<ApiCall> {
    let webhook_id = Some(Destination::served_as(destination.id));
    let query = ApiCallQuery { webhook_id, is_ascending: true, limit: 100, ..ApiCallQuery::default() };
    world.store.api_calls(destination.workspace_id, &query).await.unwrap()
}

/// Changes a connection some times, a notification each.
async fn change(world: &World, connection: &Connection, times: u64) {
    for _ in 0..times {
        let row = world.store.connection(connection.id).await.unwrap().unwrap();
        let seconds = i64::try_from(row.revision).unwrap();
        let row = Connection { external_xref: Some(seconds.to_string()), updated_at: at(seconds), ..row };
        world.store.replace_connection(row).await.unwrap();
    }
}

/// The ends of polls that are told.
async fn syncs(world: &World, workspace: WorkspaceId) -> Vec<anyhook::store::Notification> {
    let events = vec!["SYNC_COMPLETED".parse().unwrap()];
    let query = NotificationQuery { events, is_ascending: true, limit: 100, ..NotificationQuery::default() };
    world.store.notifications(workspace, &query).await.unwrap()
}

/// A run that ended, with its row.
pub(crate) async fn run(world: &World, webhook: &Webhook, fence: Fence, change: impl Fn(&mut ApiCall)) {
    let mut call = world.call(webhook, CallKind::Inbound, 45);
    (call.webhook_id, call.records, call.requests) = (None, 3, 2);
    call.changes = Some(ChangeCounts { created: 0, updated: 2, deleted: 1 });
    change(&mut call);
    let finish = RunFinish { call: Some(call), ..world.run_finish(webhook, fence, 600) };
    world.store.finish_run(finish).await.unwrap();
}

pub(crate) async fn an_id_is_taken_once_and_finds_it(world: &World) {
    let made = listening(world, world.workspace_id(), &[to(&["*"])]).await;
    let again = world.store.insert_destination(made.clone()).await;
    assert_eq!(again, Err(StoreError::Exists("destination")));
    assert_eq!(world.store.destination(made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(world.store.destination(DestinationId::from_bytes([9; 12])).await.unwrap(), None);
    assert_eq!(world.store.webhook(Destination::served_as(made.id)).await.unwrap(), None, "it is no webhook");
}

pub(crate) async fn a_position_begins_at_the_end_of_the_notifications(world: &World) {
    let connection = world.connection().await;
    change(world, &connection, 2).await;
    let made = listening(world, connection.workspace_id, &[]).await;
    let state = world.store.delivery(Destination::served_as(made.id)).await.unwrap().unwrap();
    assert_eq!((state.position.sequence, state.delivered), (3, 0));
    let other = listening(world, world.workspace_id(), &[]).await;
    let state = world.store.delivery(Destination::served_as(other.id)).await.unwrap().unwrap();
    assert_eq!(state.position.sequence, 0, "each workspace has a sequence of its own");
}

pub(crate) async fn a_replacement_needs_the_revision_that_was_read(world: &World) {
    let made = listening(world, world.workspace_id(), &[]).await;
    let renamed = Destination { name: "b".into(), workspace_id: world.workspace_id(), ..made.clone() };
    let renamed = world.store.replace_destination(renamed).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.revision), ("b", made.revision + 1));
    assert_eq!((renamed.workspace_id, renamed.shard), (made.workspace_id, made.shard));
    let late = world.store.replace_destination(Destination { name: "c".into(), ..made.clone() }).await;
    assert_eq!(late, Err(StoreError::Conflict("destination")));
    assert_eq!(world.store.destination(made.id).await.unwrap(), Some(renamed));
    let gone = Destination { id: DestinationId::from_bytes([9; 12]), ..made };
    assert_eq!(world.store.replace_destination(gone).await, Err(StoreError::Missing("destination")));
}

pub(crate) async fn lists_are_a_workspaces_own_or_a_shards(world: &World) {
    let workspace = world.workspace_id();
    let mut made = Vec::new();
    for (name, seconds) in [("b", 1), ("c", 2), ("a", 3)] {
        let new = Destination { name: name.into(), created_at: at(seconds), ..world.new_destination(workspace) };
        made.push(world.store.insert_destination(new).await.unwrap());
    }
    let other = listening(world, world.workspace_id(), &[]).await;
    let names = async |page: ListPage| {
        let rows = world.store.destinations(workspace, &page).await.unwrap();
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(names(ListPage::default()).await, ["b", "c", "a"]);
    assert_eq!(names(ListPage { sort: ListSort::Name, ..ListPage::default() }).await, ["a", "b", "c"]);
    let newest = ListPage { order: ListOrder::Descending, offset: 1, limit: 1, ..ListPage::default() };
    assert_eq!(names(newest).await, ["c"]);
    for row in made.iter().chain([&other]) {
        let mut of_shard = world.store.destinations_of_shard(row.shard, None, 100).await.unwrap();
        assert!(of_shard.contains(row) && of_shard.is_sorted_by_key(|row| row.id));
        let first = of_shard.remove(0);
        let behind = world.store.destinations_of_shard(row.shard, Some(first.id), 100).await.unwrap();
        assert_eq!(behind, of_shard);
    }
}

pub(crate) async fn a_deleted_destination_takes_no_outcome(world: &World) {
    let webhook = world.webhook().await;
    let made = listening(world, webhook.workspace_id, &[to(&["*"])]).await;
    let (of_it, of_webhook) = (fence(world, &made).await, world.fence(webhook.shard).await);
    let of_it = if of_it.shard == of_webhook.shard { of_webhook } else { fence(world, &made).await };
    attempt(world, &made, of_it, delivered(3)).await.unwrap();
    world.store.delete_destination(made.id).await.unwrap();
    assert!(attempt(world, &made, of_it, delivered(4)).await.is_err());
    assert_eq!(world.store.delivery(Destination::served_as(made.id)).await.unwrap(), None);
    assert_eq!(world.store.destination(made.id).await.unwrap(), None);
    assert_eq!(world.store.destinations(made.workspace_id, &ListPage::default()).await.unwrap(), []);
    assert!(world.store.destinations_of_shard(made.shard, None, 100).await.unwrap().is_empty());
    assert!(calls(world, &made).await.is_empty());
    let of_webhook = world.fence(webhook.shard).await;
    run(world, &webhook, of_webhook, |_| {}).await;
    assert!(syncs(world, webhook.workspace_id).await.is_empty(), "nobody listens any more");
    assert_eq!(world.store.delete_destination(made.id).await, Err(StoreError::Missing("destination")));
}

pub(crate) async fn whoever_listens_is_woken(world: &World) {
    let connection = world.connection().await;
    let of_other = Subscription { connection_id: Some(world.new_connection(connection.workspace_id).id), ..to(&["*"]) };
    let of_this = Subscription { connection_id: Some(connection.id), ..to(&["WEBHOOK_*", "CONNECTION_UPDATED"]) };
    let made = [
        listening(world, connection.workspace_id, &[to(&["WEBHOOK_*"]), to(&["CONNECTION_*"])]).await,
        listening(world, connection.workspace_id, &[of_this]).await,
        listening(world, connection.workspace_id, &[of_other, to(&["WEBHOOK_*"])]).await,
        listening(world, world.workspace_id(), &[to(&["*"])]).await,
    ];
    let mut wakes = world.store.wakes();
    change(world, &connection, 1).await;
    let mut woken = Vec::new();
    while let Ok(wake) = wakes.try_recv() {
        if let Wake::Notified(id) = wake {
            woken.push(id);
        }
    }
    assert_eq!(woken, [made[0].id, made[1].id]);
    let deaf = Destination { subscriptions: vec![], ..made[0].clone() };
    world.store.replace_destination(deaf).await.unwrap();
    change(world, &connection, 1).await;
    let wakes: Vec<_> = std::iter::from_fn(|| wakes.try_recv().ok()).collect();
    assert!(wakes.contains(&Wake::Notified(made[1].id)) && !wakes.contains(&Wake::Notified(made[0].id)), "{wakes:?}");
}

pub(crate) async fn ends_of_polls_are_told_to_whoever_listens(world: &World) {
    let connection = world.connection().await;
    let one = world.keep(world.new_webhook(&connection)).await;
    let other = world.keep(Webhook { object_type: ObjectType::RepoCommit, ..world.new_webhook(&connection) }).await;
    let fence = world.fence(one.shard).await;
    let polled = async |webhook: &Webhook| {
        let last = async || syncs(world, connection.workspace_id).await.pop().map(|row| row.id);
        let before = last().await;
        run(world, webhook, fence, |call| call.name = webhook.object_type.to_string()).await;
        last().await != before
    };
    assert_eq!((polled(&one).await, polled(&other).await), (false, false), "nobody listens");
    let sync = || to(&["SYNC_COMPLETED"]);
    let elsewhere = world.new_connection(connection.workspace_id).id;
    for (subscription, expected) in [
        (to(&["CONNECTION_*", "BACKFILL_COMPLETED"]), (false, false)),
        (sync(), (true, true)),
        (to(&["SYNC_*"]), (true, true)),
        (Subscription { object_type: Some(other.object_type), ..sync() }, (false, true)),
        (Subscription { webhook_id: Some(one.id), ..sync() }, (true, false)),
        (Subscription { connection_id: Some(connection.id), ..sync() }, (true, true)),
        (Subscription { connection_id: Some(elsewhere), ..to(&["*"]) }, (false, false)),
    ] {
        let made = listening(world, connection.workspace_id, std::slice::from_ref(&subscription)).await;
        assert_eq!((polled(&one).await, polled(&other).await), expected, "{subscription:?}");
        world.store.delete_destination(made.id).await.unwrap();
    }
}

pub(crate) async fn an_ended_poll_is_told_with_what_it_came_to(world: &World) {
    let webhook = world.webhook().await;
    listening(world, webhook.workspace_id, &[to(&["SYNC_COMPLETED"])]).await;
    let fence = world.fence(webhook.shard).await;
    let next = |why| Some(NextRun { in_ms: 0, why });
    run(world, &webhook, fence, |_| {}).await;
    run(world, &webhook, fence, |call| (call.error, call.status) = (Some("the vendor answered 503".into()), 503)).await;
    run(world, &webhook, fence, |call| {
        (call.error, call.next) = (Some("another wrote to the log".into()), next(NextWhy::Unfinished));
    })
    .await;
    run(world, &webhook, fence, |call| call.next = next(NextWhy::Unfinished)).await;
    run(world, &webhook, fence, |call| {
        (call.error, call.next) = (Some("come later".into()), next(NextWhy::Paused));
    })
    .await;
    let told = syncs(world, webhook.workspace_id).await;
    let shown: Vec<_> = told.iter().map(|row| row.code.as_deref()).collect();
    assert_eq!(shown, [None, Some("503"), None, Some("paused")], "a run that gave way is no end");
    let (row, details) = (&told[0], told[0].details.as_ref().unwrap());
    assert_eq!((row.event, row.at), (NotificationEvent::SyncCompleted, at(50)));
    assert_eq!((row.connection_id, row.object_type), (Some(webhook.connection_id), Some(webhook.object_type)));
    assert_eq!((details.feed_id, &details.webhook_ids[..]), (Some(webhook.feed_id), &[webhook.id][..]));
    assert_eq!((details.changes, details.requests, details.duration_ms), (Some(3), Some(2), Some(5_000)));
    assert_eq!(details.kinds, Some(ChangeCounts { created: 0, updated: 2, deleted: 1 }));
    assert_eq!((details.error.as_deref(), details.is_unfinished), (None, false));
    assert_eq!(told[1].details.as_ref().unwrap().error.as_deref(), Some("the vendor answered 503"));
    assert!(told[2].details.as_ref().unwrap().is_unfinished);
}

pub(crate) async fn what_is_dropped_undelivered_is_missed_and_told_of(world: &World) {
    let connection = world.connection().await;
    let made = listening(world, connection.workspace_id, &[to(&["CONNECTION_UPDATED"])]).await;
    let deaf = listening(world, connection.workspace_id, &[to(&["WEBHOOK_*"])]).await;
    // Twelve are kept: the connection's making goes first, which nobody of these wanted.
    change(world, &connection, 12).await;
    assert_eq!((missed(world, &made).await, missed(world, &deaf).await), (None, None));
    let fence = fence(world, &made).await;
    attempt(world, &made, fence, delivered(3)).await.unwrap();
    change(world, &connection, 2).await;
    assert_eq!(missed(world, &made).await, None, "what was delivered is not missed");
    change(world, &connection, 5).await;
    assert_eq!((missed(world, &made).await, missed(world, &deaf).await), (Some(5), None));
    let passed = Outcome::Passed { stream: Stream::Live, position: Position { sequence: 8, offset: 0 } };
    let webhook = Destination::served_as(made.id);
    let finish = AttemptFinish { fence, webhook, outcome: passed, at: at(10), call: None };
    world.store.finish_attempt(finish).await.unwrap();
    assert_eq!(missed(world, &made).await, Some(5), "it is told of with the next attempt");
    attempt(world, &made, fence, delivered(9)).await.unwrap();
    assert_eq!(missed(world, &made).await, None);
    let rows = calls(world, &made).await;
    let mut rows: Vec<_> = rows.iter().map(|row| (row.records, row.error.is_some(), row.destination_id)).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(1, false, Some(made.id)), (1, false, Some(made.id)), (5, true, Some(made.id))]);
}

pub(crate) async fn an_unhealthy_destination_is_told_of_to_others(world: &World) {
    let workspace = world.workspace_id();
    let made = listening(world, workspace, &[to(&["*"])]).await;
    let other = listening(world, workspace, &[to(&["DESTINATION_*"])]).await;
    let fence = fence(world, &made).await;
    let mut wakes = world.store.wakes();
    let gone = || Outcome::Unhealthy { message: "410".into() };
    attempt(world, &made, fence, gone()).await.unwrap();
    attempt(world, &made, fence, gone()).await.unwrap();
    let query = NotificationQuery { limit: 10, ..NotificationQuery::default() };
    let told = world.store.notifications(workspace, &query).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].event, told[0].destination_id), (NotificationEvent::DestinationUnhealthy, Some(made.id)));
    assert_eq!((told[0].connection_id, told[0].description.as_str()), (None, "410"));
    let woken: Vec<_> = std::iter::from_fn(|| wakes.try_recv().ok()).collect();
    assert_eq!(woken, [Wake::Notified(other.id)], "it is never told of itself");
    let served_as = Destination::served_as(made.id);
    world.store.resume_webhook(served_as, at(20)).await.unwrap();
    let state = world.store.delivery(served_as).await.unwrap().unwrap();
    assert_eq!((state.health, state.position.sequence), (WebhookHealth::Healthy, 0));
}

pub(crate) async fn a_paused_destination_is_not_retried(world: &World) {
    let made = listening(world, world.workspace_id(), &[to(&["*"])]).await;
    let fence = fence(world, &made).await;
    let (stream, first_at, next_at) = (Stream::Live, at(1), at(2));
    let retry = anyhook::store::Retry { stream, attempts: 1, first_at, next_at, records: 1, quick: 0, is_quick: false };
    attempt(world, &made, fence, Outcome::Retry(retry)).await.unwrap();
    let due = async || {
        let due = world.store.due_retries(&[made.shard], 100).await.unwrap();
        due.iter().filter(|due| due.webhook == Destination::served_as(made.id)).count()
    };
    assert_eq!(due().await, 1);
    let paused = world.store.replace_destination(Destination { is_paused: true, ..made.clone() }).await.unwrap();
    assert_eq!(due().await, 0);
    world.store.replace_destination(Destination { is_paused: false, ..paused }).await.unwrap();
    assert_eq!(due().await, 1);
    world.store.delete_destination(made.id).await.unwrap();
    assert_eq!(due().await, 0);
}
