use crate::world::{World, at};
use anyhook::ids::WebhookId;
use anyhook::store::{
    CallKind, CatchUp, Fence, JobMode, JobState, KeptDeletion, ListingCommit, ListingJob, Missed, Outcome, Position,
    StoreError, Stream, Trim, Wake, Webhook,
};

const UNKNOWN: Missed = Missed { since: None, sequence: 0, pages: 3, lost_deletions: true };

async fn logged(world: &World, pages: usize) -> (Webhook, Fence) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    world.log(&webhook, fence, &vec!["page"; pages]).await;
    (webhook, fence)
}

fn missed(since: i64, sequence: u64, pages: u64) -> Missed {
    Missed { since: Some(at(since)), sequence, pages, lost_deletions: false }
}

async fn mark(world: &World, webhook: WebhookId) -> Option<Missed> {
    world.store.delivery(webhook).await.unwrap().unwrap().missed
}

async fn pass(world: &World, webhook: &Webhook, fence: Fence, sequence: u64) {
    let passed = Outcome::Passed { stream: Stream::Live, position: Position { sequence, offset: 0 } };
    world.store.finish_attempt(world.attempt(webhook, fence, passed)).await.unwrap();
}

fn deletion(id: &str, sequence: u64, seconds: i64) -> KeptDeletion {
    let object = format!(r#"{{"id":"{id}"}}"#);
    KeptDeletion { id: id.into(), sequence, at: at(seconds), object, raw: None }
}

async fn kept(world: &World, webhook: &Webhook) -> Vec<String> {
    let kept = world.store.kept_deletions(webhook.feed_id, None, 99).await.unwrap();
    kept.into_iter().map(|deletion| deletion.id).collect()
}

fn catch_up(world: &World, webhook: &Webhook, fence: Fence, resume_at: u64) -> CatchUp {
    let job = world.job(webhook, JobMode::CatchUp);
    CatchUp { fence, job, resume_at, skipped: None, call: world.call(webhook, CallKind::Webhook, 1) }
}

pub(crate) async fn what_is_trimmed_unread_leaves_a_mark(world: &World) {
    let (webhook, fence) = logged(world, 5).await;
    let connection = world.store.connection(webhook.connection_id).await.unwrap().unwrap();
    let read = world.keep(world.new_webhook(&connection)).await;
    let named = vec![(webhook.id, missed(7, 0, 2)), (read.id, missed(7, 0, 2))];
    let trim = Trim { missed: named, ..Trim::new(fence, webhook.feed_id, 2) };
    assert_eq!(world.store.trim_log(trim).await, Ok(2));
    assert_eq!(mark(world, webhook.id).await, Some(missed(7, 0, 2)));
    assert_eq!(mark(world, read.id).await, None, "it has read all that");
    let (unnamed, fence) = logged(world, 5).await;
    world.store.trim_log(Trim::new(fence, unnamed.feed_id, 3)).await.unwrap();
    assert_eq!(mark(world, unnamed.id).await, Some(UNKNOWN), "nothing is lost in silence");
}

pub(crate) async fn marks_add_up_and_end_with_reading_on(world: &World) {
    let (webhook, fence) = logged(world, 9).await;
    for (before, since) in [(2, 30), (4, 10), (6, 20)] {
        let missed = vec![(webhook.id, missed(since, before - 2, 2))];
        world.store.trim_log(Trim { missed, ..Trim::new(fence, webhook.feed_id, before) }).await.unwrap();
    }
    assert_eq!(mark(world, webhook.id).await, Some(missed(10, 0, 6)));
    pass(world, &webhook, fence, 5).await;
    assert_eq!(mark(world, webhook.id).await, Some(missed(10, 0, 6)));
    pass(world, &webhook, fence, 6).await;
    assert_eq!(mark(world, webhook.id).await, None);
}

pub(crate) async fn deletions_are_kept_while_someone_is_behind(world: &World) {
    let (webhook, fence) = logged(world, 9).await;
    let deletions = vec![deletion("b", 0, 1), deletion("a", 1, 1)];
    let trim = Trim {
        missed: vec![(webhook.id, missed(1, 0, 2))],
        deletions: deletions.clone(),
        ..Trim::new(fence, webhook.feed_id, 2)
    };
    world.store.trim_log(trim).await.unwrap();
    let stored = world.store.kept_deletions(webhook.feed_id, None, 1).await.unwrap();
    assert_eq!(stored, deletions[1..], "in the order of ids");
    assert_eq!(world.store.kept_deletions(webhook.feed_id, Some("a"), 9).await.unwrap(), deletions[..1]);
    pass(world, &webhook, fence, 4).await;
    world.store.trim_log(Trim::new(fence, webhook.feed_id, 4)).await.unwrap();
    assert!(kept(world, &webhook).await.is_empty());
}

pub(crate) async fn returned_records_void_their_deletions(world: &World) {
    let (webhook, fence) = logged(world, 9).await;
    let trim = |before: u64| Trim {
        missed: vec![(webhook.id, missed(1, 0, before))],
        ..Trim::new(fence, webhook.feed_id, before)
    };
    let deletions = vec![deletion("a", 0, 1), deletion("b", 0, 1)];
    world.store.trim_log(Trim { deletions, ..trim(1) }).await.unwrap();
    world.store.trim_log(Trim { returned: vec!["a".into(), "never".into()], ..trim(2) }).await.unwrap();
    assert_eq!(kept(world, &webhook).await, ["b"]);
}

pub(crate) async fn deletions_have_an_age_and_a_number(world: &World) {
    let (webhook, fence) = logged(world, 9).await;
    let trim = |before: u64| Trim {
        missed: vec![(webhook.id, missed(1, before - 1, 1))],
        ..Trim::new(fence, webhook.feed_id, before)
    };
    let deletions = vec![deletion("a", 0, 3), deletion("b", 0, 1), deletion("c", 0, 2)];
    world.store.trim_log(Trim { deletions, keep_max: 3, ..trim(1) }).await.unwrap();
    assert!(!mark(world, webhook.id).await.unwrap().lost_deletions);
    world.store.trim_log(Trim { keep_since: at(2), ..trim(2) }).await.unwrap();
    assert_eq!(kept(world, &webhook).await, ["a", "c"]);
    assert!(mark(world, webhook.id).await.unwrap().lost_deletions, "one was too old");
    let deletions = vec![deletion("d", 2, 9)];
    world.store.trim_log(Trim { deletions, keep_max: 2, ..trim(3) }).await.unwrap();
    assert_eq!(kept(world, &webhook).await, ["a", "d"], "the oldest made room");
    let connection = world.store.connection(webhook.connection_id).await.unwrap().unwrap();
    let later = world.keep(world.new_webhook(&connection)).await;
    world.log(&webhook, fence, &["more"; 3]).await;
    let named = vec![(webhook.id, missed(1, 3, 7)), (later.id, missed(1, 9, 1))];
    world.store.trim_log(Trim { missed: named, keep_max: 1, ..trim(10) }).await.unwrap();
    assert_eq!(kept(world, &webhook).await, ["d"]);
    assert!(!mark(world, later.id).await.unwrap().lost_deletions, "it missed nothing of that");
}

pub(crate) async fn catching_up_takes_the_mark_and_moves_on(world: &World) {
    let (webhook, fence) = logged(world, 5).await;
    let begin = |resume_at| world.store.begin_catch_up(catch_up(world, &webhook, fence, resume_at));
    assert_eq!(begin(5).await, Err(StoreError::Conflict("position")), "it is not behind");
    let trim = Trim { missed: vec![(webhook.id, missed(7, 0, 2))], ..Trim::new(fence, webhook.feed_id, 2) };
    world.store.trim_log(trim).await.unwrap();
    let skipped = Some(missed(5, 2, 2));
    let new = CatchUp { skipped, ..catch_up(world, &webhook, fence, 4) };
    let id = new.job.id;
    let other = CatchUp { fence: Fence { epoch: fence.epoch + 1, ..fence }, ..new.clone() };
    assert!(matches!(world.store.begin_catch_up(other).await, Err(StoreError::Fenced(_))));
    world.store.begin_catch_up(new).await.unwrap();
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.listing, state.missed), (Some(id), None));
    assert_eq!(state.position, Position { sequence: 4, offset: 0 });
    let job = world.store.job(id).await.unwrap().unwrap();
    assert_eq!((job.updated_gte, job.missed), (Some(at(5)), Some(missed(5, 0, 4))));
    assert_eq!(world.store.open_jobs(webhook.shard, None, 9).await.unwrap(), std::slice::from_ref(&job));
    let query = anyhook::store::ApiCallQuery { webhook_id: Some(webhook.id), limit: 9, ..Default::default() };
    assert_eq!(world.store.api_calls(webhook.workspace_id, &query).await.unwrap().len(), 1);
    // Its end needs no payload: the last page may hold nothing.
    let listed = ListingCommit { state: JobState::Listed, ..world.listing(&job, fence, &["empty"]) };
    world.store.commit_listing(listed).await.unwrap();
    let passed = Outcome::Passed { stream: Stream::Listing(id), position: Position { sequence: 1, offset: 0 } };
    world.store.finish_attempt(world.attempt(&webhook, fence, passed)).await.unwrap();
    assert_eq!(world.store.job(id).await.unwrap().unwrap().state, JobState::Done);
    assert_eq!(world.store.delivery(webhook.id).await.unwrap().unwrap().listing, None);
}

pub(crate) async fn catching_up_comes_after_what_the_log_waits_for(world: &World) {
    let (webhook, fence) = logged(world, 5).await;
    let initial = world.job(&webhook, JobMode::Initial);
    world.store.insert_job(initial.clone()).await.unwrap();
    world.store.trim_log(Trim::new(fence, webhook.feed_id, 3)).await.unwrap();
    let begin = || world.store.begin_catch_up(catch_up(world, &webhook, fence, 5));
    assert_eq!(begin().await, Err(StoreError::Exists("open listing job")));
    assert_eq!(mark(world, webhook.id).await, Some(UNKNOWN));
    world.store.cancel_job(initial.id, at(9)).await.unwrap();
    begin().await.unwrap();
    let backfill = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(backfill).await.unwrap();
    let made = ListingJob { ..world.job(&webhook, JobMode::CatchUp) };
    assert!(world.store.insert_job(made).await.is_err(), "a catch-up is begun, not inserted");
}

pub(crate) async fn a_back_fill_is_told_when_its_webhook_has_caught_up(world: &World) {
    let (webhook, fence) = logged(world, 5).await;
    let backfill = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(backfill.clone()).await.unwrap();
    world.store.trim_log(Trim::new(fence, webhook.feed_id, 3)).await.unwrap();
    let new = catch_up(world, &webhook, fence, 5);
    let id = new.job.id;
    world.store.begin_catch_up(new).await.unwrap();
    assert_eq!(world.store.claim_turn(fence, backfill.id).await, Ok(false));
    let mut wakes = world.store.wakes();
    world.store.cancel_job(id, at(9)).await.unwrap();
    let mut told = Vec::new();
    while let Ok(wake) = wakes.try_recv() {
        told.push(wake);
    }
    assert!(told.contains(&Wake::JobChanged(backfill.id, webhook.id)), "{told:?}");
    assert_eq!(world.store.claim_turn(fence, backfill.id).await, Ok(true));
}
