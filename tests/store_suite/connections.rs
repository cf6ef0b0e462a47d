use crate::world::{EVER, World, at};
use anyhook::store::{
    Connection, ConnectionQuery, FeedHealth, FeedState, ListOrder, ListPage, ListSort, RunFinish, StoreError, Wake,
    Webhook,
};
use anyhook_connectors::model::ObjectType;

pub(crate) async fn an_id_is_taken_once(world: &World) {
    let connection = world.connection().await;
    assert_eq!(world.store.insert_connection(connection.clone()).await, Err(StoreError::Exists("connection")));
    assert_eq!(world.store.connection(connection.id).await.unwrap(), Some(connection));
}

pub(crate) async fn a_replacement_needs_the_revision_that_was_read(world: &World) {
    let read = world.connection().await;
    let named = Connection { external_xref: Some("a".into()), ..read.clone() };
    let kept = world.store.replace_connection(named).await.unwrap();
    assert_eq!(kept.revision, read.revision + 1);
    assert_eq!(world.store.connection(read.id).await.unwrap(), Some(kept.clone()));
    let late = Connection { external_xref: Some("b".into()), ..read };
    assert_eq!(world.store.replace_connection(late).await, Err(StoreError::Conflict("connection")));
    assert_eq!(world.store.connection(kept.id).await.unwrap(), Some(kept));
    let unknown = world.new_connection(world.workspace_id());
    assert_eq!(world.store.replace_connection(unknown).await, Err(StoreError::Missing("connection")));
}

pub(crate) async fn the_end_of_a_pause_makes_feeds_due(world: &World) {
    let connection = world.connection().await;
    let webhook = world.keep(world.new_webhook(&connection)).await;
    let fence = world.fence(connection.shard).await;
    let paused = Connection { is_paused: true, updated_at: at(10), ..connection };
    let paused = world.store.replace_connection(paused).await.unwrap();
    assert_eq!(
        world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap(),
        [],
        "a paused connection is not polled"
    );
    world.store.finish_run(world.run_finish(&webhook, fence, 900)).await.unwrap();
    assert_eq!(
        world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap(),
        [],
        "nor after a run that was under way"
    );
    let resumed = Connection { is_paused: false, updated_at: at(20), ..paused };
    world.store.replace_connection(resumed).await.unwrap();
    let due = world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap();
    assert_eq!((due[0].feed, due[0].due_at), (webhook.feed_id, at(20)));
}

pub(crate) async fn new_credentials_make_feeds_due_and_retried(world: &World) {
    let connection = world.connection().await;
    let refused = world.keep(world.new_webhook(&connection)).await;
    let mut broken = world.new_webhook(&connection);
    broken.object_type = ObjectType::RepoCommit;
    let broken = world.keep(broken).await;
    let fence = world.fence(connection.shard).await;
    let unhealthy =
        |is_credential| FeedHealth::Unhealthy { since: at(1), code: "x".into(), message: "x".into(), is_credential };
    for (webhook, is_credential) in [(&refused, true), (&broken, false)] {
        let state = FeedState { health: unhealthy(is_credential), ..FeedState::default() };
        let finish = RunFinish { state, due_at: None, ..world.run_finish(webhook, fence, 0) };
        world.store.finish_run(finish).await.unwrap();
    }
    assert_eq!(world.store.due_feeds(&[connection.shard], EVER, 10).await.unwrap(), []);
    let renewed = Connection { auth_revision: 2, updated_at: at(30), ..connection.clone() };
    world.store.replace_connection(renewed).await.unwrap();
    let due = world.store.due_feeds(&[connection.shard], EVER, 10).await.unwrap();
    assert_eq!(due.iter().map(|due| due.due_at).collect::<Vec<_>>(), [at(30), at(30)]);
    let health = world.store.feed_state(refused.feed_id).await.unwrap().health;
    assert!(matches!(health, FeedHealth::Retrying { is_credential: true, .. }), "{health:?}");
    assert_eq!(world.store.feed_state(broken.feed_id).await.unwrap().health, unhealthy(false));
}

pub(crate) async fn a_deleted_connection_leaves_nothing_to_be_found(world: &World) {
    let connection = world.connection().await;
    let webhook = world.keep(world.new_webhook(&connection)).await;
    let other = world.webhook().await;
    let fence = world.fence(connection.shard).await;
    world.log(&webhook, fence, &["page"]).await;
    assert_eq!(world.store.delete_connection(connection.id, at(70)).await.unwrap(), [webhook.id]);

    assert_eq!(world.store.connection(connection.id).await.unwrap(), None);
    assert_eq!(world.store.webhook(webhook.id).await.unwrap(), None);
    assert_eq!(world.store.feed(webhook.feed_id).await.unwrap(), None);
    assert_eq!(world.store.delivery(webhook.id).await.unwrap(), None);
    assert_eq!(world.store.log_page(webhook.feed_id, 0).await.unwrap(), None);
    assert_eq!(world.store.log_head(webhook.feed_id).await.unwrap(), Default::default());
    assert_eq!(world.store.webhooks_of_feed(webhook.feed_id, None, 10).await.unwrap(), []);
    assert_eq!(world.store.feeds_of_connection(connection.id, 10).await.unwrap(), []);
    let due = world.store.due_feeds(&[connection.shard], EVER, 100).await.unwrap();
    assert!(due.iter().all(|due| due.feed != webhook.feed_id));
    let workspace = connection.workspace_id;
    assert_eq!(world.store.connections(workspace, &ConnectionQuery::default()).await.unwrap(), []);
    assert_eq!(world.store.webhooks(workspace, &Default::default()).await.unwrap(), []);
    assert!(world.store.webhook(other.id).await.unwrap().is_some(), "others stay");
    assert_eq!(world.store.delete_connection(connection.id, at(70)).await, Err(StoreError::Missing("connection")));
    while world.store.clean_up(1).await.unwrap() {}
}

pub(crate) async fn what_there_is_is_counted(world: &World) {
    let workspace = world.workspace_id();
    let counted = async || world.store.count_connections(workspace).await.unwrap();
    assert_eq!(counted().await, 0);
    let (first, second) = (world.new_connection(workspace), world.new_connection(workspace));
    world.store.insert_connection(first.clone()).await.unwrap();
    world.store.insert_connection(second.clone()).await.unwrap();
    world.connection().await;
    assert_eq!(counted().await, 2, "others' are not among them");
    assert_eq!(world.store.insert_connection(second.clone()).await, Err(StoreError::Exists("connection")));
    world.store.replace_connection(Connection { is_paused: true, ..first.clone() }).await.unwrap();
    assert_eq!(counted().await, 2);

    let webhooks = async |connection: &Connection| world.store.count_webhooks(connection.id).await.unwrap();
    assert_eq!(webhooks(&second).await, 0);
    let webhook = world.keep(world.new_webhook(&second)).await;
    world.keep(world.new_webhook(&second)).await;
    let other = world.keep(Webhook { object_type: ObjectType::RepoCommit, ..world.new_webhook(&second) }).await;
    assert_ne!(other.feed_id, webhook.feed_id);
    assert_eq!((webhooks(&first).await, webhooks(&second).await), (0, 3));
    world.store.delete_webhook(webhook.id, at(3)).await.unwrap();
    assert_eq!(webhooks(&second).await, 2);
    world.store.delete_connection(second.id, at(4)).await.unwrap();
    assert_eq!((counted().await, webhooks(&second).await), (1, 0));
}

pub(crate) async fn lists_filter_sort_and_page(world: &World) {
    let workspace = world.workspace_id();
    for (number, name) in ["c", "a", "b"].into_iter().enumerate() {
        let mut connection = world.new_connection(workspace);
        connection.integration = name.into();
        connection.created_at = at(number as i64);
        connection.updated_at = at(10 - number as i64);
        connection.categories = vec![if name == "a" { "crm" } else { "repo" }.into()];
        connection.external_xref = Some(name.into());
        world.store.insert_connection(connection).await.unwrap();
    }
    world.connection().await;
    let names = async |query: ConnectionQuery| {
        let listed = world.store.connections(workspace, &query).await.unwrap();
        listed.into_iter().map(|connection| connection.integration).collect::<String>()
    };
    let sorted = |sort, order| ConnectionQuery {
        page: ListPage { sort, order, ..ListPage::default() },
        ..ConnectionQuery::default()
    };
    assert_eq!(names(ConnectionQuery::default()).await, "cab");
    assert_eq!(names(sorted(ListSort::CreatedAt, ListOrder::Descending)).await, "bac");
    assert_eq!(names(sorted(ListSort::UpdatedAt, ListOrder::Ascending)).await, "bac");
    assert_eq!(names(sorted(ListSort::Name, ListOrder::Ascending)).await, "abc");
    let page = ListPage { offset: 1, limit: 1, sort: ListSort::Name, ..ListPage::default() };
    assert_eq!(names(ConnectionQuery { page, ..Default::default() }).await, "b");
    assert_eq!(names(ConnectionQuery { categories: vec!["crm".into()], ..Default::default() }).await, "a");
    assert_eq!(names(ConnectionQuery { external_xref: Some("b".into()), ..Default::default() }).await, "b");
    assert_eq!(names(ConnectionQuery { updated_gte: Some(at(9)), ..Default::default() }).await, "ca");
    assert_eq!(names(ConnectionQuery { environment: Some("Test".into()), ..Default::default() }).await, "");
}

pub(crate) async fn changes_are_told(world: &World) {
    let mut wakes = world.store.wakes();
    let connection = world.connection().await;
    assert_eq!(wakes.recv().await, Ok(Wake::ConnectionChanged(connection.id)));
    world.store.replace_connection(connection.clone()).await.unwrap();
    assert_eq!(wakes.recv().await, Ok(Wake::ConnectionChanged(connection.id)));
    world.store.delete_connection(connection.id, at(70)).await.unwrap();
    assert_eq!(wakes.recv().await, Ok(Wake::ConnectionChanged(connection.id)));
}
