use crate::destinations::{listening, to};
use crate::world::{World, at};
use anyhook::store::{
    ApiCall, ApiCallQuery, CallKind, Fence, Position, Replay, ReplayPart, ReplayState, ReplayStep, Span, StoreError,
    Wake, Webhook,
};

fn place(sequence: u64) -> Position {
    Position { sequence, offset: 0 }
}

fn new(world: &World, webhook: &Webhook) -> Replay {
    let part = |from, to| ReplayPart { span: Span { from: place(from), to: place(to) }, records: None };
    Replay::new(world.job_id(), webhook, vec![part(2, 4), part(7, 9)], 4, at(1))
}

fn step(world: &World, replay: &Replay, fence: Fence, webhook: &Webhook) -> ReplayStep {
    ReplayStep {
        fence,
        webhook: webhook.id,
        id: replay.id,
        part: 1,
        position: place(8),
        repeated: 1,
        retry: None,
        error: None,
        state: ReplayState::Running,
        at: at(5),
        call: Some(world.call(webhook, CallKind::Webhook, 5)),
    }
}

async fn rows(world: &World, webhook: &Webhook) -> usize {
    let query = ApiCallQuery { webhook_id: Some(webhook.id), limit: 9, ..Default::default() };
    world.store.api_calls(webhook.workspace_id, &query).await.unwrap().len()
}

pub(crate) async fn one_at_a_time_and_the_last_is_remembered(world: &World) {
    let webhook = world.webhook().await;
    let replay = new(world, &webhook);
    assert_eq!(world.store.replay(webhook.id).await.unwrap(), None);
    let mut wakes = world.store.wakes();
    world.store.begin_replay(replay.clone()).await.unwrap();
    assert_eq!(wakes.recv().await, Ok(Wake::WebhookChanged(webhook.id)));
    assert_eq!(world.store.begin_replay(new(world, &webhook)).await, Err(StoreError::Exists("replay")));
    assert_eq!(world.store.replay(webhook.id).await.unwrap(), Some(replay.clone()));
    assert_eq!(world.store.open_replays(&[webhook.shard], 9).await.unwrap(), [replay]);
    let ended = world.store.cancel_replay(webhook.id, at(9)).await.unwrap();
    assert_eq!((ended.state, ended.finished_at), (ReplayState::Cancelled, Some(at(9))));
    assert_eq!(world.store.open_replays(&[webhook.shard], 9).await.unwrap(), []);
    assert_eq!(world.store.cancel_replay(webhook.id, at(9)).await, Err(StoreError::Missing("replay")));
    world.store.begin_replay(new(world, &webhook)).await.unwrap();
}

pub(crate) async fn a_step_moves_the_replay_and_nothing_else(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let replay = new(world, &webhook);
    world.store.begin_replay(replay.clone()).await.unwrap();
    let before = world.store.delivery(webhook.id).await.unwrap();
    world.store.step_replay(step(world, &replay, fence, &webhook)).await.unwrap();
    let moved = world.store.replay(webhook.id).await.unwrap().unwrap();
    assert_eq!((moved.part, moved.position, moved.repeated), (1, place(8), 1));
    assert_eq!(world.store.delivery(webhook.id).await.unwrap(), before);
    assert_eq!(rows(world, &webhook).await, 1);
    let other = Fence { epoch: fence.epoch + 1, ..fence };
    let fenced = world.store.step_replay(step(world, &replay, other, &webhook)).await;
    assert_eq!(fenced, Err(StoreError::Fenced(other)));
    let done = ReplayStep { state: ReplayState::Done, ..step(world, &replay, fence, &webhook) };
    world.store.step_replay(done).await.unwrap();
    assert_eq!(world.store.replay(webhook.id).await.unwrap().unwrap().finished_at, Some(at(5)));
    assert_eq!(world.store.open_replays(&[webhook.shard], 9).await.unwrap(), []);
}

pub(crate) async fn one_that_is_over_takes_no_step(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let replay = new(world, &webhook);
    world.store.begin_replay(replay.clone()).await.unwrap();
    world.store.cancel_replay(webhook.id, at(2)).await.unwrap();
    let late = || world.store.step_replay(step(world, &replay, fence, &webhook));
    assert_eq!(late().await, Err(StoreError::Missing("replay")));
    world.store.begin_replay(new(world, &webhook)).await.unwrap();
    assert_eq!(late().await, Err(StoreError::Missing("replay")), "the one after it is another");
    assert_eq!(rows(world, &webhook).await, 0);
    world.store.delete_webhook(webhook.id, at(3)).await.unwrap();
    assert_eq!(world.store.replay(webhook.id).await.unwrap(), None);
    assert_eq!(world.store.open_replays(&[webhook.shard], 9).await.unwrap(), []);
    assert_eq!(world.store.begin_replay(new(world, &webhook)).await, Err(StoreError::Missing("webhook")));
}

pub(crate) async fn a_destination_has_one_under_what_it_is_served_as(world: &World) {
    let made = listening(world, world.workspace_id(), &[to(&["*"])]).await;
    let webhook = made.as_webhook();
    let fence = world.fence(made.shard).await;
    let replay = new(world, &webhook);
    world.store.begin_replay(replay.clone()).await.unwrap();
    assert_eq!(world.store.begin_replay(new(world, &webhook)).await, Err(StoreError::Exists("replay")));
    assert_eq!(world.store.open_replays(&[made.shard], 9).await.unwrap(), std::slice::from_ref(&replay));
    let call = ApiCall { destination_id: Some(made.id), ..world.call(&webhook, CallKind::Webhook, 5) };
    let stepped = ReplayStep { call: Some(call), ..step(world, &replay, fence, &webhook) };
    world.store.step_replay(stepped).await.unwrap();
    assert_eq!(world.store.replay(webhook.id).await.unwrap().unwrap().position, place(8));
    assert_eq!(rows(world, &webhook).await, 1);
    world.store.delete_destination(made.id).await.unwrap();
    assert_eq!(world.store.replay(webhook.id).await.unwrap(), None);
    assert_eq!(world.store.open_replays(&[made.shard], 9).await.unwrap(), []);
    assert_eq!(world.store.begin_replay(replay).await, Err(StoreError::Missing("webhook")));
}
