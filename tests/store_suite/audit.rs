use crate::world::{World, at};
use anyhook::secrets::Sealed;
use anyhook::store::{
    ApiCall, ApiCallQuery, AttemptFinish, CallKind, Fence, Outcome, Position, RunFinish, Stream, Webhook, Workspace,
};
use sha2::Digest;

async fn attempt(world: &World, webhook: &Webhook, fence: Fence, seconds: i64, error: Option<&str>) {
    let call = ApiCall { error: error.map(Into::into), ..world.call(webhook, CallKind::Webhook, seconds) };
    let outcome = Outcome::Passed { stream: Stream::Live, position: Position::default() };
    let finish = AttemptFinish { call: Some(call), ..world.attempt(webhook, fence, outcome) };
    world.store.finish_attempt(finish).await.unwrap();
}

async fn run(world: &World, webhook: &Webhook, fence: Fence, seconds: i64, records: u64) {
    let call = ApiCall { records, ..world.call(webhook, CallKind::Inbound, seconds) };
    let finish = RunFinish { call: Some(call), ..world.run_finish(webhook, fence, 600) };
    world.store.finish_run(finish).await.unwrap();
}

async fn times(world: &World, webhook: &Webhook, query: ApiCallQuery) -> Vec<i64> {
    let query = ApiCallQuery { limit: if query.limit == 0 { 100 } else { query.limit }, ..query };
    let listed = world.store.api_calls(webhook.workspace_id, &query).await.unwrap();
    listed.iter().map(|call| (call.at - at(0)).num_seconds()).collect()
}

pub(crate) async fn failures_and_successes_do_not_drive_each_other_out(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    attempt(world, &webhook, fence, 1, Some("refused")).await;
    for seconds in 2..22 {
        attempt(world, &webhook, fence, seconds, None).await;
    }
    for is_feed in [false, true] {
        let query = ApiCallQuery { feed_id: is_feed.then_some(webhook.feed_id), ..Default::default() };
        assert_eq!(times(world, &webhook, query).await, [21, 20, 19, 18, 17, 1]);
    }
    for seconds in 30..40 {
        attempt(world, &webhook, fence, seconds, Some("refused")).await;
    }
    assert_eq!(times(world, &webhook, Default::default()).await, [39, 38, 37, 21, 20, 19, 18, 17]);
}

pub(crate) async fn empty_runs_are_folded(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for (seconds, records) in [(1, 5), (2, 0), (3, 0), (4, 0), (5, 2), (6, 0), (7, 0)] {
        run(world, &webhook, fence, seconds, records).await;
    }
    let query = ApiCallQuery { limit: 100, feed_id: Some(webhook.feed_id), ..Default::default() };
    let rows = world.store.api_calls(webhook.workspace_id, &query).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|call| ((call.at - at(0)).num_seconds(), call.records, call.count)).collect();
    assert_eq!(rows, [(7, 0, 2), (5, 2, 1), (4, 0, 3), (1, 5, 1)]);
}

pub(crate) async fn lists_filter_and_come_newest_first(world: &World) {
    let connection = world.connection().await;
    let one = world.keep(world.new_webhook(&connection)).await;
    let other = world.keep(world.new_webhook(&connection)).await;
    let fence = world.fence(connection.shard).await;
    attempt(world, &one, fence, 1, None).await;
    attempt(world, &other, fence, 2, Some("refused")).await;
    run(world, &one, fence, 3, 4).await;
    attempt(world, &one, fence, 4, None).await;
    world.store.record_call(world.call(&one, CallKind::Login, 5)).await.unwrap();
    attempt(world, &world.webhook().await, world.fence(connection.shard).await, 6, None).await;
    let list = async |query| times(world, &one, query).await;
    let all = ApiCallQuery::default;
    assert_eq!(list(all()).await, [5, 4, 3, 2, 1]);
    assert_eq!(list(ApiCallQuery { is_ascending: true, ..all() }).await, [1, 2, 3, 4, 5]);
    assert_eq!(list(ApiCallQuery { offset: 1, limit: 2, ..all() }).await, [4, 3]);
    assert_eq!(list(ApiCallQuery { webhook_id: Some(one.id), ..all() }).await, [4, 1]);
    assert_eq!(list(ApiCallQuery { webhook_id: Some(one.id), is_ascending: true, ..all() }).await, [1, 4]);
    assert_eq!(list(ApiCallQuery { connection_id: Some(connection.id), ..all() }).await, [5, 4, 3, 2, 1]);
    assert_eq!(list(ApiCallQuery { kind: Some(CallKind::Inbound), ..all() }).await, [3]);
    assert_eq!(list(ApiCallQuery { is_failure: Some(true), ..all() }).await, [2]);
    assert_eq!(list(ApiCallQuery { is_failure: Some(false), ..all() }).await, [5, 4, 3, 1]);
    assert_eq!(list(ApiCallQuery { since: Some(at(3)), ..all() }).await, [5, 4, 3]);
    assert_eq!(list(ApiCallQuery { since: Some(at(3)), feed_id: Some(one.feed_id), ..all() }).await, [4, 3]);
    assert!(list(ApiCallQuery { integration: Some("redmine".into()), ..all() }).await.is_empty());
}

pub(crate) async fn ids_find_rows_and_sort_by_time(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for seconds in 1..5 {
        attempt(world, &webhook, fence, seconds, (seconds % 2 == 0).then_some("refused")).await;
    }
    let query = ApiCallQuery { limit: 100, is_ascending: true, ..Default::default() };
    let rows = world.store.api_calls(webhook.workspace_id, &query).await.unwrap();
    assert!(rows.is_sorted_by(|a, b| a.id < b.id), "{rows:?}");
    for row in rows {
        assert_eq!(world.store.api_call(&row.id).await.unwrap(), Some(row));
    }
    for wrong in ["", "x", "00", &"0".repeat(68)] {
        assert_eq!(world.store.api_call(wrong).await.unwrap(), None);
    }
}

pub(crate) async fn deleted_scopes_are_not_listed(world: &World) {
    let connection = world.connection().await;
    let gone = world.keep(world.new_webhook(&connection)).await;
    let stays = world.keep(world.new_webhook(&connection)).await;
    let fence = world.fence(connection.shard).await;
    attempt(world, &gone, fence, 1, None).await;
    attempt(world, &stays, fence, 2, None).await;
    let query = ApiCallQuery { limit: 100, ..Default::default() };
    let before = world.store.api_calls(gone.workspace_id, &query).await.unwrap();
    world.store.delete_webhook(gone.id, at(70)).await.unwrap();
    assert_eq!(times(world, &stays, Default::default()).await, [2]);
    assert_eq!(world.store.api_call(&before[1].id).await.unwrap(), None);
    while world.store.clean_up(1).await.unwrap() {}
    assert_eq!(times(world, &stays, Default::default()).await, [2]);
}

pub(crate) async fn rows_have_an_age(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let (id, hash) = (webhook.workspace_id, sha2::Sha256::digest(webhook.id.to_string()).into());
    world.store.insert_workspace(Workspace::new(id, "Acme", hash, Sealed::default(), at(0))).await.unwrap();
    for seconds in 1..=4 {
        attempt(world, &webhook, fence, seconds, None).await;
    }
    assert_eq!(world.store.forget_calls(at(3), 1).await, Ok(true));
    assert_eq!(times(world, &webhook, Default::default()).await, [4, 3, 2]);
    while world.store.forget_calls(at(3), 1).await.unwrap() {}
    assert_eq!(times(world, &webhook, Default::default()).await, [4, 3]);
    for seconds in 5..=9 {
        attempt(world, &webhook, fence, seconds, None).await;
    }
    let query = ApiCallQuery { webhook_id: Some(webhook.id), ..Default::default() };
    assert_eq!(times(world, &webhook, query).await, [9, 8, 7, 6, 5], "the number is bounded as before");
}
