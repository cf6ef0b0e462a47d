use crate::world::{EVER, World, at};
use anyhook::store::{JobMode, NewWebhook, PageCommit, Position, StoreError, Wake, Webhook, WebhookKind, WebhookQuery};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;

pub(crate) async fn one_subject_is_one_feed(world: &World) {
    let connection = world.connection().await;
    let first = world.keep(world.new_webhook(&connection)).await;
    let same = world.keep(world.new_webhook(&connection)).await;
    assert_eq!(same.feed_id, first.feed_id);
    let mut filtered = world.new_webhook(&connection);
    filtered.filters.insert("repo_id".into(), "1".into());
    let filtered = world.keep(filtered).await;
    let mut typed = world.new_webhook(&connection);
    typed.object_type = ObjectType::RepoCommit;
    let typed = world.keep(typed).await;
    let elsewhere = world.webhook().await;
    let feeds = [first.feed_id, filtered.feed_id, typed.feed_id, elsewhere.feed_id];
    assert!((1..4).all(|index| !feeds[..index].contains(&feeds[index])), "{feeds:?}");
    let mut own = feeds[..3].to_vec();
    own.sort_unstable();
    let listed = world.store.feeds_of_connection(connection.id, 10).await.unwrap();
    assert_eq!(listed.iter().map(|feed| feed.id).collect::<Vec<_>>(), own);
    assert_eq!(
        world.store.insert_webhook(NewWebhook { webhook: first, initial: None }).await,
        Err(StoreError::Exists("webhook"))
    );
}

pub(crate) async fn a_new_feed_is_due_now(world: &World) {
    let connection = world.connection().await;
    let mut wakes = world.store.wakes();
    let webhook = world.keep(Webhook { created_at: at(7), ..world.new_webhook(&connection) }).await;
    let due = world.store.due_feeds(&[connection.shard], EVER, 10).await.unwrap();
    assert_eq!((due[0].feed, due[0].due_at, due[0].shard), (webhook.feed_id, at(7), connection.shard));
    let told = [wakes.recv().await.unwrap(), wakes.recv().await.unwrap()];
    assert!(told.contains(&Wake::FeedDue(webhook.feed_id)) && told.contains(&Wake::WebhookChanged(webhook.id)));

    let connection = world.connection().await;
    let paused = world.keep(Webhook { is_paused: true, ..world.new_webhook(&connection) }).await;
    let due = world.store.due_feeds(&[connection.shard], EVER, 10).await.unwrap();
    assert!(due.iter().all(|due| due.feed != paused.feed_id), "nothing of it is active");
}

pub(crate) async fn a_position_begins_at_the_end_of_the_log(world: &World) {
    let connection = world.connection().await;
    let early = world.keep(world.new_webhook(&connection)).await;
    let fence = world.fence(connection.shard).await;
    world.log(&early, fence, &["one", "two"]).await;
    let late = world.keep(world.new_webhook(&connection)).await;
    let position = async |webhook: &Webhook| world.store.delivery(webhook.id).await.unwrap().unwrap().position;
    assert_eq!(position(&early).await, Position::default());
    assert_eq!(position(&late).await, Position { sequence: 2, offset: 0 });
}

pub(crate) async fn settings_follow_from_all_webhooks_and_the_revision_grows(world: &World) {
    let connection = world.connection().await;
    let slow = world.keep(world.new_webhook(&connection)).await;
    let feed = async || world.store.feed(slow.feed_id).await.unwrap().unwrap();
    let due = async || world.store.due_feeds(&[slow.shard], EVER, 10).await.unwrap().first().map(|due| due.due_at);
    let before = feed().await;
    world.keep(world.new_webhook(&connection)).await;
    assert_eq!(feed().await.revision, before.revision, "nothing changed");

    let fence = world.fence(connection.shard).await;
    world.store.finish_run(world.run_finish(&slow, fence, 600)).await.unwrap();
    let stale = PageCommit { feed_revision: before.revision, ..world.page_commit(&slow, fence).await };
    let mut fast = world.new_webhook(&connection);
    (fast.interval_ms, fast.event, fast.fields, fast.created_at) =
        (1_000, Change::Deleted, vec!["raw".into()], at(100));
    let fast = world.keep(fast).await;
    let with_fast = feed().await;
    assert_eq!(with_fast.revision, before.revision + 1);
    assert_eq!(with_fast.settings.interval_ms, Some(1_000));
    assert!(with_fast.settings.keeps_raw && with_fast.settings.tells_deleted && !with_fast.settings.tells_created);
    assert_eq!(due().await, Some(at(101)), "a shorter interval makes it due sooner");
    let conflict = Err(StoreError::Conflict("feed's revision"));
    assert_eq!(world.store.commit_page(stale).await, conflict, "a run under way starts over");

    let paused = Webhook { is_paused: true, ..fast };
    let paused = world.store.replace_webhook(paused).await.unwrap();
    assert_eq!(feed().await.settings, before.settings);
    world.store.delete_webhook(paused.id, at(70)).await.unwrap();
    assert_eq!(feed().await.revision, before.revision + 2, "nothing follows from a paused webhook");

    let all = world.store.webhooks_of_feed(slow.feed_id, None, 10).await.unwrap();
    for webhook in all.into_iter().filter(|webhook| webhook.id != slow.id) {
        world.store.delete_webhook(webhook.id, at(70)).await.unwrap();
    }
    let paused = world.store.replace_webhook(Webhook { is_paused: true, ..slow.clone() }).await.unwrap();
    assert_eq!((feed().await.settings.interval_ms, due().await), (None, None), "without active webhooks no poll");
    let resumed = Webhook { is_paused: false, updated_at: at(200), ..paused };
    world.store.replace_webhook(resumed).await.unwrap();
    assert_eq!(due().await, Some(at(200)));
}

pub(crate) async fn a_missing_connection_is_told(world: &World) {
    let webhook = world.new_webhook(&world.new_connection(world.workspace_id()));
    let result = world.store.insert_webhook(NewWebhook { webhook: webhook.clone(), initial: None }).await;
    assert_eq!(result, Err(StoreError::Missing("connection")));
    assert_eq!(world.store.webhook(webhook.id).await.unwrap(), None);
}

pub(crate) async fn an_initial_listing_comes_with_its_webhook(world: &World) {
    let connection = world.connection().await;
    let first = world.keep(world.new_webhook(&connection)).await;
    let webhook = world.new_webhook(&connection);
    let job = world.job(&webhook, JobMode::Initial);
    let webhook = world.store.insert_webhook(NewWebhook { webhook, initial: Some(job.clone()) }).await.unwrap();
    let kept = world.store.job(job.id).await.unwrap().unwrap();
    assert_eq!((kept.webhook_id, kept.feed_id), (webhook.id, first.feed_id));
    assert_eq!(world.store.delivery(webhook.id).await.unwrap().unwrap().listing, Some(job.id));
    assert_eq!(world.store.open_jobs(connection.shard, None, 10).await.unwrap(), [kept]);
}

pub(crate) async fn a_replacement_needs_the_revision_that_was_read(world: &World) {
    let read = world.webhook().await;
    let url = |url: &str| Webhook { hook_url: url.into(), ..read.clone() };
    let kept = world.store.replace_webhook(url("https://a")).await.unwrap();
    assert_eq!(kept.revision, read.revision + 1);
    assert_eq!(world.store.replace_webhook(url("https://b")).await, Err(StoreError::Conflict("webhook")));
    assert_eq!(world.store.webhook(read.id).await.unwrap(), Some(kept));
    let unknown = world.new_webhook(&world.new_connection(read.workspace_id));
    assert_eq!(world.store.replace_webhook(unknown).await, Err(StoreError::Missing("webhook")));
}

pub(crate) async fn what_a_feed_is_made_of_is_not_replaced(world: &World) {
    let webhook = world.webhook().await;
    let mut other = webhook.clone();
    other.connection_id = world.connection().await.id;
    other.object_type = ObjectType::RepoCommit;
    other.filters.insert("a".into(), "b".into());
    (other.kind, other.feed_id) = (WebhookKind::Native, world.feed_id());
    let kept = world.store.replace_webhook(other).await.unwrap();
    assert_eq!(kept, Webhook { revision: webhook.revision + 1, ..webhook });
}

pub(crate) async fn the_last_webhook_takes_its_feed_along(world: &World) {
    let connection = world.connection().await;
    let first = world.keep(world.new_webhook(&connection)).await;
    let second = world.keep(world.new_webhook(&connection)).await;
    let fence = world.fence(connection.shard).await;
    world.log(&first, fence, &["page"]).await;
    world.store.delete_webhook(first.id, at(70)).await.unwrap();
    assert_eq!(world.store.delete_webhook(first.id, at(70)).await, Err(StoreError::Missing("webhook")));
    assert_eq!(world.store.webhook(first.id).await.unwrap(), None);
    assert_eq!(world.store.delivery(first.id).await.unwrap(), None);
    assert!(world.store.feed(second.feed_id).await.unwrap().is_some());
    assert!(world.store.log_page(second.feed_id, 0).await.unwrap().is_some());
    world.store.delete_webhook(second.id, at(70)).await.unwrap();
    assert_eq!(world.store.feed(second.feed_id).await.unwrap(), None);
    assert_eq!(world.store.log_page(second.feed_id, 0).await.unwrap(), None);

    let again = world.keep(world.new_webhook(&connection)).await;
    assert_ne!(again.feed_id, second.feed_id);
    assert_eq!(world.store.log_head(again.feed_id).await.unwrap(), Default::default(), "it meets no old rows");
}

pub(crate) async fn lists_filter_sort_and_page(world: &World) {
    let connection = world.connection().await;
    let mut made = Vec::new();
    for (number, object_type) in [ObjectType::TaskTask, ObjectType::CrmDeal].into_iter().enumerate() {
        let mut webhook = world.new_webhook(&connection);
        webhook.object_type = object_type;
        webhook.created_at = at(number as i64);
        made.push(world.keep(webhook).await.id);
    }
    let list = async |query: WebhookQuery| {
        let listed = world.store.webhooks(connection.workspace_id, &query).await.unwrap();
        listed.into_iter().map(|webhook| webhook.id).collect::<Vec<_>>()
    };
    assert_eq!(list(WebhookQuery::default()).await, made);
    let of_type = WebhookQuery { object_type: Some(ObjectType::CrmDeal), ..Default::default() };
    assert_eq!(list(of_type).await, made[1..]);
    let of_connection = WebhookQuery { connection_id: Some(connection.id), ..Default::default() };
    assert_eq!(list(of_connection).await, made);
    assert_eq!(list(WebhookQuery { created_lte: Some(at(0)), ..Default::default() }).await, made[..1]);
    assert_eq!(list(WebhookQuery { is_healthy: Some(true), ..Default::default() }).await, made);
    assert_eq!(list(WebhookQuery { is_healthy: Some(false), ..Default::default() }).await, []);
    let elsewhere = WebhookQuery { connection_id: Some(connection.id), ..Default::default() };
    assert_eq!(world.store.webhooks(world.workspace_id(), &elsewhere).await.unwrap(), []);
}

pub(crate) async fn lists_of_feeds_and_shards_go_on_behind_an_id(world: &World) {
    let connection = world.connection().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(world.keep(world.new_webhook(&connection)).await);
    }
    made.sort_by_key(|webhook| webhook.id);
    let (feed, shard) = (made[0].feed_id, connection.shard);
    assert_eq!(world.store.webhooks_of_feed(feed, None, 2).await.unwrap(), made[..2]);
    assert_eq!(world.store.webhooks_of_feed(feed, Some(made[1].id), 2).await.unwrap(), made[2..]);
    assert_eq!(world.store.webhooks_of_shard(shard, None, 2).await.unwrap(), made[..2]);
    assert_eq!(world.store.webhooks_of_shard(shard, Some(made[0].id), 9).await.unwrap(), made[1..]);
}

pub(crate) async fn the_smallest_of_each_bound_of_an_interval_rules(world: &World) {
    let connection = world.connection().await;
    let range = |shortest, longest| {
        let (interval_ms, interval_max_ms) = (shortest, longest);
        Webhook { interval_ms, interval_max_ms, ..world.new_webhook(&connection) }
    };
    let wide = world.keep(range(10_000, Some(900_000))).await;
    let settings = async || {
        let feed = world.store.feed(wide.feed_id).await.unwrap().unwrap();
        (feed.settings.interval_ms, feed.settings.longest_ms())
    };
    assert_eq!(settings().await, (Some(10_000), Some(900_000)));
    let other = world.keep(range(30_000, Some(300_000))).await;
    assert_eq!(settings().await, (Some(10_000), Some(300_000)));
    let fixed = world.keep(range(60_000, None)).await;
    assert_eq!(settings().await, (Some(10_000), Some(60_000)), "a fixed one is both bounds");
    world.store.replace_webhook(Webhook { is_paused: true, ..wide.clone() }).await.unwrap();
    assert_eq!(settings().await, (Some(30_000), Some(60_000)));
    world.store.delete_webhook(other.id, at(70)).await.unwrap();
    assert_eq!(settings().await, (Some(60_000), Some(60_000)));
    world.store.delete_webhook(fixed.id, at(70)).await.unwrap();
    assert_eq!(settings().await, (None, None));
}
