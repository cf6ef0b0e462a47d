use crate::world::{World, at};
use anyhook::store::{
    ApiCall, ApiCallQuery, Attempt, AttemptFinish, CallKind, Destination, DueRetry, JobMode, Outcome, Position, Retry,
    Skip, Span, Standing, StoreError, Stream, Wake, Webhook, WebhookHealth,
};

fn delivered(sequence: u64, offset: u32) -> Outcome {
    Outcome::Delivered { stream: Stream::Live, position: Position { sequence, offset }, is_last: false }
}

fn retry(next: i64) -> Outcome {
    let (stream, first_at, next_at) = (Stream::Live, at(1), at(next));
    Outcome::Retry(Retry { stream, attempts: 2, first_at, next_at, records: 7, quick: 1, is_quick: true })
}

fn unhealthy() -> Outcome {
    Outcome::Unhealthy { message: "gone".into() }
}

async fn due(world: &World, webhook: &Webhook) -> Vec<DueRetry> {
    world.store.due_retries(&[webhook.shard], 1_000).await.unwrap()
}

pub(crate) async fn an_attempt_moves_position_and_leaves_a_row(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    world.store.finish_attempt(world.attempt(&webhook, fence, retry(20))).await.unwrap();
    let call = Some(world.call(&webhook, CallKind::Webhook, 10));
    let finish = AttemptFinish { call, ..world.attempt(&webhook, fence, delivered(1, 3)) };
    world.store.finish_attempt(finish).await.unwrap();
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!(state.position, Position { sequence: 1, offset: 3 });
    assert_eq!((state.delivered, state.delivered_at, state.retry), (1, Some(at(10)), None));
    assert_eq!(due(world, &webhook).await, []);
    let query = ApiCallQuery { webhook_id: Some(webhook.id), limit: 10, ..Default::default() };
    assert_eq!(world.store.api_calls(webhook.workspace_id, &query).await.unwrap().len(), 1);
}

pub(crate) async fn a_deleted_webhook_takes_no_outcome(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    world.store.finish_attempt(world.attempt(&webhook, fence, retry(20))).await.unwrap();
    world.store.delete_webhook(webhook.id, at(70)).await.unwrap();
    assert_eq!(due(world, &webhook).await, []);
    let result = world.store.finish_attempt(world.attempt(&webhook, fence, delivered(1, 0))).await;
    assert_eq!(result, Err(StoreError::Missing("webhook")));
    assert_eq!(world.store.delivery(webhook.id).await.unwrap(), None);
    assert_eq!(world.store.resume_webhook(webhook.id, at(0)).await, Err(StoreError::Missing("webhook")));
}

pub(crate) async fn another_epoch_is_fenced(world: &World) {
    let webhook = world.webhook().await;
    let old = world.fence(webhook.shard).await;
    world.fence(webhook.shard).await;
    let call = Some(world.call(&webhook, CallKind::Webhook, 10));
    let finish = AttemptFinish { call, ..world.attempt(&webhook, old, delivered(1, 0)) };
    assert_eq!(world.store.finish_attempt(finish).await, Err(StoreError::Fenced(old)));
    assert_eq!(world.store.delivery(webhook.id).await.unwrap().unwrap().position, Position::default());
    let query = ApiCallQuery { limit: 10, ..Default::default() };
    assert_eq!(world.store.api_calls(webhook.workspace_id, &query).await.unwrap(), []);
}

pub(crate) async fn a_position_never_moves_back(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for (sequence, offset) in [(2, 5), (2, 4), (1, 9), (2, 6)] {
        world.store.finish_attempt(world.attempt(&webhook, fence, delivered(sequence, offset))).await.unwrap();
        let position = world.store.delivery(webhook.id).await.unwrap().unwrap().position;
        assert!(position >= Position { sequence: 2, offset: 5 });
    }
    let position = world.store.delivery(webhook.id).await.unwrap().unwrap().position;
    assert_eq!(position, Position { sequence: 2, offset: 6 });
}

pub(crate) async fn what_waits_in_a_shard_is_found_a_part_at_a_time(world: &World) {
    // Webhooks of one connection, and so of one shard: nothing waits for the first two.
    let first = world.webhook().await;
    let connection = world.store.connection(first.connection_id).await.unwrap().unwrap();
    let mut webhooks = vec![first];
    for number in 1..6 {
        let filters = [("part".to_owned(), number.to_string())].into();
        webhooks.push(world.keep(Webhook { filters, ..world.new_webhook(&connection) }).await);
    }
    let [_, passed, behind, listed, paused, unwell] = &webhooks[..] else { panic!("six webhooks") };
    let fence = world.fence(passed.shard).await;
    for webhook in [passed, behind, paused, unwell] {
        world.log(webhook, fence, &["p"]).await;
    }
    world.store.finish_attempt(world.attempt(passed, fence, delivered(1, 0))).await.unwrap();
    world.store.insert_job(world.job(listed, JobMode::Backfill)).await.unwrap();
    world.store.replace_webhook(Webhook { is_paused: true, ..paused.clone() }).await.unwrap();
    world.store.finish_attempt(world.attempt(unwell, fence, unhealthy())).await.unwrap();

    let mut ids: Vec<_> = webhooks.iter().map(|webhook| webhook.id).collect();
    ids.sort();
    let (mut waiting, mut after) = (Vec::new(), None);
    for part in ids.chunks(2) {
        let (found, last) = world.store.waiting_webhooks(behind.shard, after, 2).await.unwrap();
        assert!(found.iter().all(|id| part.contains(id)));
        assert_eq!(last, part.last().copied());
        waiting.extend(found);
        after = last;
    }
    assert_eq!(world.store.waiting_webhooks(behind.shard, after, 2).await.unwrap(), (Vec::new(), None));
    let mut expected = vec![behind.id, listed.id];
    expected.sort();
    assert_eq!(waiting, expected);
}

pub(crate) async fn retries_are_due_soonest_first(world: &World) {
    let connection = world.connection().await;
    let fence = world.fence(connection.shard).await;
    let mut expected = Vec::new();
    for next in [30, 10, 20] {
        let webhook = world.keep(world.new_webhook(&connection)).await;
        world.store.finish_attempt(world.attempt(&webhook, fence, retry(99))).await.unwrap();
        world.store.finish_attempt(world.attempt(&webhook, fence, retry(next))).await.unwrap();
        expected.push(DueRetry { webhook: webhook.id, shard: connection.shard, next_at: at(next) });
    }
    expected.sort_by_key(|due| due.next_at);
    assert_eq!(world.store.due_retries(&[connection.shard], 10).await.unwrap(), expected);
    assert_eq!(world.store.due_retries(&[connection.shard], 2).await.unwrap(), expected[..2]);
    assert_eq!(world.store.due_retries(&[], 2).await.unwrap(), []);
}

pub(crate) async fn an_unhealthy_webhook_rests_until_resumed(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for outcome in [delivered(1, 0), retry(20), unhealthy()] {
        world.store.finish_attempt(world.attempt(&webhook, fence, outcome)).await.unwrap();
    }
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!(state.health, WebhookHealth::Unhealthy { since: at(10), message: "gone".into() });
    assert_eq!(due(world, &webhook).await, []);
    let mut wakes = world.store.wakes();
    world.store.resume_webhook(webhook.id, at(40)).await.unwrap();
    assert_eq!(wakes.recv().await, Ok(Wake::WebhookChanged(webhook.id)));
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.health, state.position.sequence), (WebhookHealth::Healthy, 1));
    let (stream, first_at, next_at) = (Stream::Live, at(40), at(40));
    let fresh = Retry { stream, attempts: 0, first_at, next_at, records: 7, quick: 0, is_quick: false };
    assert_eq!(state.retry, Some(fresh));
    assert_eq!(due(world, &webhook).await[0].next_at, at(40));
}

pub(crate) async fn a_paused_webhook_is_not_retried(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let paused = Webhook { is_paused: true, ..webhook.clone() };
    let paused = world.store.replace_webhook(paused).await.unwrap();
    world.store.finish_attempt(world.attempt(&webhook, fence, retry(20))).await.unwrap();
    assert_eq!(due(world, &webhook).await, [], "it would be in the way of others");
    world.store.replace_webhook(Webhook { is_paused: false, ..paused }).await.unwrap();
    assert_eq!(due(world, &webhook).await[0].next_at, at(20));

    let connection = world.store.connection(webhook.connection_id).await.unwrap().unwrap();
    let paused = anyhook::store::Connection { is_paused: true, ..connection };
    let paused = world.store.replace_connection(paused).await.unwrap();
    assert_eq!(due(world, &webhook).await, []);
    world.store.replace_connection(anyhook::store::Connection { is_paused: false, ..paused }).await.unwrap();
    assert_eq!(due(world, &webhook).await.len(), 1);
}

pub(crate) async fn passing_over_records_sends_nothing(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let passed = Outcome::Passed { stream: Stream::Live, position: Position { sequence: 4, offset: 0 } };
    world.store.finish_attempt(world.attempt(&webhook, fence, passed)).await.unwrap();
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.position.sequence, state.delivered, state.delivered_at), (4, 0, None));
}

pub(crate) async fn reaching_a_held_page_is_told(world: &World) {
    let webhook = world.webhook().await;
    let job = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(job.clone()).await.unwrap();
    let fence = world.fence(webhook.shard).await;
    world.log(&webhook, fence, &["one", "two"]).await;
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(false));
    let mut wakes = world.store.wakes();
    let pass = |sequence| {
        let passed = Outcome::Passed { stream: Stream::Live, position: Position { sequence, offset: 0 } };
        world.store.finish_attempt(world.attempt(&webhook, fence, passed))
    };
    pass(1).await.unwrap();
    assert!(wakes.try_recv().is_err());
    pass(2).await.unwrap();
    assert_eq!(wakes.recv().await, Ok(Wake::JobChanged(job.id, webhook.id)));
}

pub(crate) async fn a_skipped_batch_is_passed_and_takes_no_outcome(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let place = |sequence| Position { sequence, offset: 0 };
    let span = Span { from: place(0), to: place(1) };
    let noted = |seconds| {
        let attempt = Some(Box::new(Attempt::of(Stream::Live, span)));
        ApiCall { error: Some("no".into()), attempt, ..world.call(&webhook, CallKind::Webhook, seconds) }
    };
    let skip = |span| {
        let skip = Skip { webhook: webhook.id, stream: Stream::Live, span, is_last: false, at: at(9), call: noted(9) };
        world.store.skip_batch(skip)
    };
    assert_eq!(skip(span).await, Err(StoreError::Conflict("batch")), "it does not fail");
    world.store.finish_attempt(world.attempt(&webhook, fence, retry(20))).await.unwrap();
    let elsewhere = Span { from: place(1), to: place(2) };
    assert_eq!(skip(elsewhere).await, Err(StoreError::Conflict("batch")), "it does not stand there");
    let mut wakes = world.store.wakes();
    skip(span).await.unwrap();
    assert_eq!(wakes.recv().await, Ok(Wake::WebhookChanged(webhook.id)));
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.position, state.retry, state.delivered), (place(1), None, 0));
    assert_eq!(due(world, &webhook).await, []);
    // An attempt that was under way ends.
    for outcome in [retry(30), unhealthy()] {
        let late = AttemptFinish { call: Some(noted(12)), ..world.attempt(&webhook, fence, outcome) };
        world.store.finish_attempt(late).await.unwrap();
    }
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.retry, state.health), (None, WebhookHealth::Healthy));
    let query = ApiCallQuery { webhook_id: Some(webhook.id), limit: 10, ..Default::default() };
    assert_eq!(world.store.api_calls(webhook.workspace_id, &query).await.unwrap().len(), 3);
}

pub(crate) async fn what_decides_over_an_attempt_is_told(world: &World) {
    let connection = world.connection().await;
    let webhook = world.keep(world.new_webhook(&connection)).await;
    let told = async || world.store.standing(webhook.id).await.unwrap();
    let standing = |revision, is_resting| Some(Standing { revision, is_resting, held_from: None });
    assert_eq!(told().await, standing(webhook.revision, false));
    let paused = Webhook { is_paused: true, ..webhook.clone() };
    let paused = world.store.replace_webhook(paused).await.unwrap();
    assert_eq!(told().await, standing(webhook.revision + 1, true));
    world.store.replace_webhook(Webhook { is_paused: false, ..paused }).await.unwrap();
    assert_eq!(told().await, standing(webhook.revision + 2, false));
    let paused = anyhook::store::Connection { is_paused: true, ..connection };
    world.store.replace_connection(paused).await.unwrap();
    assert_eq!(told().await, standing(webhook.revision + 2, true), "its connection is paused");
    world.store.delete_webhook(webhook.id, at(70)).await.unwrap();
    assert_eq!(told().await, None);

    let destination = world.store.insert_destination(world.new_destination(webhook.workspace_id)).await.unwrap();
    let served_as = Destination::served_as(destination.id);
    assert_eq!(world.store.standing(served_as).await, Ok(standing(destination.revision, false)));
    world.store.delete_destination(destination.id).await.unwrap();
    assert_eq!(world.store.standing(served_as).await, Ok(None));
}
