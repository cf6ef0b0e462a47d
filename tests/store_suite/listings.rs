use crate::world::{World, at, page};
use anyhook::log::EncodedPage;
use anyhook::store::{
    ApiCall, AttemptFinish, CallKind, Fence, JobMode, JobState, ListingCommit, ListingJob, Outcome, Position, Retry,
    StoreError, Stream, Wake, Webhook,
};
use anyhook_connectors::walk::Checkpoint;

async fn started(world: &World, mode: JobMode) -> (Webhook, ListingJob, Fence) {
    let webhook = world.webhook().await;
    let job = world.job(&webhook, mode);
    world.store.insert_job(job.clone()).await.unwrap();
    let fence = world.fence(webhook.shard).await;
    (webhook, job, fence)
}

fn delivered(job: &ListingJob, sequence: u64, is_last: bool) -> Outcome {
    let stream = Stream::Listing(job.id);
    Outcome::Delivered { stream, position: Position { sequence, offset: 0 }, is_last }
}

pub(crate) async fn one_open_job_a_webhook(world: &World) {
    let (webhook, job, _) = started(world, JobMode::Backfill).await;
    let second = world.job(&webhook, JobMode::Backfill);
    assert!(matches!(world.store.insert_job(second.clone()).await, Err(StoreError::Exists(_))));
    assert_eq!(world.store.job(second.id).await.unwrap(), None);
    world.store.cancel_job(job.id, at(9)).await.unwrap();
    let second = ListingJob { created_at: at(10), ..second };
    world.store.insert_job(second.clone()).await.unwrap();
    let listed = world.store.jobs_of_webhook(webhook.id, 10).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [second.id, job.id], "newest first");
    let unknown = ListingJob { webhook_id: world.webhook_id(), ..world.job(&webhook, JobMode::Backfill) };
    assert_eq!(world.store.insert_job(unknown).await, Err(StoreError::Missing("webhook")));
}

pub(crate) async fn pages_are_spooled_with_the_walk(world: &World) {
    let (_, job, fence) = started(world, JobMode::Initial).await;
    let mut wakes = world.store.wakes();
    let checkpoint = Some(Checkpoint { offset: 2, ..Checkpoint::default() });
    let commit = ListingCommit {
        checkpoint: checkpoint.clone(),
        total: Some(9),
        parent: "p".into(),
        ..world.listing(&job, fence, &["one", "two"])
    };
    let kept = world.store.commit_listing(commit).await.unwrap();
    assert_eq!((kept.spool_end, kept.pages, kept.records, kept.total), (2, 2, 2, Some(9)));
    assert_eq!((kept.checkpoint.clone(), &*kept.parent, kept.updated_at), (checkpoint, "p", at(5)));
    assert_eq!(world.store.job(job.id).await.unwrap(), Some(kept));
    assert_eq!(wakes.recv().await, Ok(Wake::JobChanged(job.id, job.webhook_id)));
    assert_eq!(world.store.spool_page(job.id, 1).await.unwrap().unwrap(), b"two");
    assert_eq!(world.store.spool_page(job.id, 2).await.unwrap(), None);
    let empty = EncodedPage { records: 0, bytes: b"empty".to_vec() };
    let commit = ListingCommit { pages: vec![empty], ..world.listing(&job, fence, &[]) };
    world.store.commit_listing(commit).await.unwrap();
    assert_eq!(world.store.spool_page(job.id, 2).await.unwrap().unwrap(), b"empty", "an empty end is told too");
    let fenced = world.listing(&job, Fence { epoch: fence.epoch + 1, ..fence }, &["x"]);
    assert!(matches!(world.store.commit_listing(fenced).await, Err(StoreError::Fenced(_))));
}

pub(crate) async fn delivered_pages_are_forgotten_and_the_end_is_the_end(world: &World) {
    let (webhook, job, fence) = started(world, JobMode::Initial).await;
    let large = EncodedPage { records: 1, bytes: vec![7; 150_000] };
    let listing = ListingCommit { pages: vec![large, page("two")], ..world.listing(&job, fence, &[]) };
    world.store.commit_listing(listing).await.unwrap();
    world.store.finish_attempt(world.attempt(&webhook, fence, delivered(&job, 1, false))).await.unwrap();
    assert_eq!(world.store.spool_page(job.id, 0).await.unwrap(), None);
    assert!(world.store.spool_page(job.id, 1).await.unwrap().is_some());
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.listing, state.position), (Some(job.id), Position::default()));
    let end = ListingCommit { state: JobState::Listed, ..world.listing(&job, fence, &[]) };
    assert_eq!(world.store.commit_listing(end).await.unwrap().spooled(), 1);
    world.store.finish_attempt(world.attempt(&webhook, fence, delivered(&job, 2, true))).await.unwrap();
    assert_eq!(world.store.job(job.id).await.unwrap().unwrap().state, JobState::Done);
    assert_eq!(world.store.delivery(webhook.id).await.unwrap().unwrap().listing, None);
    assert_eq!(world.store.open_jobs(webhook.shard, None, 10).await.unwrap(), []);
    assert_eq!(world.store.spool_page(job.id, 1).await.unwrap(), None);
}

pub(crate) async fn a_job_that_is_over_takes_no_pages(world: &World) {
    let (webhook, job, fence) = started(world, JobMode::Initial).await;
    world.store.cancel_job(job.id, at(9)).await.unwrap();
    let conflict = Err(StoreError::Conflict("listing job"));
    assert_eq!(world.store.commit_listing(world.listing(&job, fence, &["x"])).await, conflict);
    world.store.delete_webhook(webhook.id, at(70)).await.unwrap();
    let missing = Err(StoreError::Missing("listing job"));
    assert_eq!(world.store.commit_listing(world.listing(&job, fence, &["x"])).await, missing);
    assert_eq!(world.store.cancel_job(job.id, at(9)).await, Err(StoreError::Missing("listing job")));
    assert_eq!(world.store.jobs_of_webhook(webhook.id, 10).await.unwrap(), []);
}

pub(crate) async fn a_cancelled_job_gives_way_to_the_log(world: &World) {
    let (webhook, job, fence) = started(world, JobMode::Initial).await;
    world.store.commit_listing(world.listing(&job, fence, &["one"])).await.unwrap();
    let stream = Stream::Listing(job.id);
    let (first_at, next_at) = (at(1), at(2));
    let retry = Retry { stream, attempts: 1, first_at, next_at, records: 1, quick: 0, is_quick: false };
    let retry = Outcome::Retry(retry);
    world.store.finish_attempt(world.attempt(&webhook, fence, retry)).await.unwrap();
    world.store.cancel_job(job.id, at(9)).await.unwrap();
    assert_eq!(world.store.job(job.id).await.unwrap().unwrap().state, JobState::Cancelled);
    assert_eq!(world.store.spool_page(job.id, 0).await.unwrap(), None);
    let state = world.store.delivery(webhook.id).await.unwrap().unwrap();
    assert_eq!((state.listing, state.retry), (None, None));
    assert_eq!(world.store.due_retries(&[webhook.shard], 10).await.unwrap(), []);
    assert_eq!(world.store.open_jobs(webhook.shard, None, 10).await.unwrap(), []);
    world.store.finish_attempt(world.attempt(&webhook, fence, delivered(&job, 1, true))).await.unwrap();
    assert_eq!(
        world.store.job(job.id).await.unwrap().unwrap().state,
        JobState::Cancelled,
        "a late end changes nothing"
    );
    while world.store.clean_up(100).await.unwrap() {}
}

pub(crate) async fn open_jobs_go_on_behind_an_id(world: &World) {
    let connection = world.connection().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let webhook = world.keep(world.new_webhook(&connection)).await;
        let job = world.job(&webhook, JobMode::Backfill);
        world.store.insert_job(job.clone()).await.unwrap();
        jobs.push(job);
    }
    jobs.sort_by_key(|job| job.id);
    assert_eq!(world.store.open_jobs(connection.shard, None, 2).await.unwrap(), jobs[..2]);
    assert_eq!(world.store.open_jobs(connection.shard, Some(jobs[1].id), 2).await.unwrap(), jobs[2..]);
}

pub(crate) async fn a_backfill_does_not_hold_the_log(world: &World) {
    let (webhook, _, _) = started(world, JobMode::Backfill).await;
    assert_eq!(world.store.delivery(webhook.id).await.unwrap().unwrap().listing, None);
}

async fn held_from(world: &World, webhook: &Webhook) -> Option<u64> {
    let held_from = world.store.delivery(webhook.id).await.unwrap().unwrap().beside.and_then(|beside| beside.held_from);
    assert_eq!(world.store.standing(webhook.id).await.unwrap().unwrap().held_from, held_from);
    held_from
}

async fn pass_log(world: &World, webhook: &Webhook, fence: Fence, sequence: u64) {
    let passed = Outcome::Passed { stream: Stream::Live, position: Position { sequence, offset: 0 } };
    world.store.finish_attempt(world.attempt(webhook, fence, passed)).await.unwrap();
}

pub(crate) async fn a_turn_comes_once_the_log_is_delivered(world: &World) {
    let (webhook, job, fence) = started(world, JobMode::Backfill).await;
    world.log(&webhook, fence, &["one", "two"]).await;
    assert_eq!(held_from(world, &webhook).await, None);
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(false));
    world.log(&webhook, fence, &["three"]).await;
    pass_log(world, &webhook, fence, 1).await;
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(false));
    assert_eq!(held_from(world, &webhook).await, Some(2), "what came after the first asking waits");
    pass_log(world, &webhook, fence, 2).await;
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(true));
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(true), "a turn that was lost comes again");
    let fenced = world.store.claim_turn(Fence { epoch: fence.epoch + 1, ..fence }, job.id).await;
    assert!(matches!(fenced, Err(StoreError::Fenced(_))));
    assert_eq!(world.store.claim_turn(fence, world.job_id()).await, Err(StoreError::Missing("listing job")));
    let (_, initial, fence) = started(world, JobMode::Initial).await;
    assert_eq!(world.store.claim_turn(fence, initial.id).await, Err(StoreError::Conflict("listing job")));
}

pub(crate) async fn a_turn_ends_with_its_pages(world: &World) {
    let (webhook, job, fence) = started(world, JobMode::Backfill).await;
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(true));
    world.store.commit_listing(world.listing(&job, fence, &["one", "two"])).await.unwrap();
    assert_eq!(held_from(world, &webhook).await, Some(0));
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(false), "what was listed is delivered first");
    world.store.finish_attempt(world.attempt(&webhook, fence, delivered(&job, 1, false))).await.unwrap();
    assert_eq!(held_from(world, &webhook).await, Some(0));
    world.store.finish_attempt(world.attempt(&webhook, fence, delivered(&job, 2, false))).await.unwrap();
    assert_eq!(held_from(world, &webhook).await, None);
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(true));
    world.store.commit_listing(world.listing(&job, fence, &[])).await.unwrap();
    assert_eq!(held_from(world, &webhook).await, None, "nothing came of it");
}

pub(crate) async fn a_job_that_ends_lets_the_log_go(world: &World) {
    let (webhook, job, fence) = started(world, JobMode::Backfill).await;
    assert_eq!(world.store.claim_turn(fence, job.id).await, Ok(true));
    world.store.cancel_job(job.id, at(9)).await.unwrap();
    assert_eq!(world.store.delivery(webhook.id).await.unwrap().unwrap().beside, None);
    let second = world.job(&webhook, JobMode::Backfill);
    world.store.insert_job(second.clone()).await.unwrap();
    assert_eq!(world.store.claim_turn(fence, second.id).await, Ok(true));
    let state = JobState::Failed { code: "c".into(), message: "m".into() };
    let failed = ListingCommit { state: state.clone(), ..world.listing(&second, fence, &["never sent"]) };
    let failed = world.store.commit_listing(failed).await.unwrap();
    assert_eq!((failed.state, failed.finished_at), (state, Some(at(5))));
    assert_eq!(world.store.delivery(webhook.id).await.unwrap().unwrap().beside, None);
    assert_eq!(world.store.spool_page(second.id, 0).await.unwrap(), None);
    assert_eq!(world.store.claim_turn(fence, second.id).await, Err(StoreError::Conflict("listing job")));
}

pub(crate) async fn what_is_delivered_of_a_job_is_counted(world: &World) {
    let (webhook, job, fence) = started(world, JobMode::Backfill).await;
    world.store.commit_listing(world.listing(&job, fence, &["one", "two"])).await.unwrap();
    let call = |records| Some(ApiCall { records, ..world.call(&webhook, CallKind::Webhook, 1) });
    let attempt = |sequence, records| AttemptFinish {
        call: call(records),
        ..world.attempt(&webhook, fence, delivered(&job, sequence, false))
    };
    world.store.finish_attempt(attempt(1, 3)).await.unwrap();
    world.store.finish_attempt(attempt(1, 3)).await.unwrap();
    world.store.finish_attempt(attempt(2, 4)).await.unwrap();
    let job = world.store.job(job.id).await.unwrap().unwrap();
    assert_eq!((job.delivered, job.finished_at), (7, None), "a repeat counts once");
    world.store.cancel_job(job.id, at(9)).await.unwrap();
    assert_eq!(world.store.job(job.id).await.unwrap().unwrap().finished_at, Some(at(9)));
}

pub(crate) async fn the_oldest_job_that_is_over_makes_room(world: &World) {
    let webhook = world.webhook().await;
    let mut ids = Vec::new();
    for number in 0..60 {
        let job = ListingJob { created_at: at(number), ..world.job(&webhook, JobMode::Backfill) };
        world.store.insert_job(job.clone()).await.unwrap();
        world.store.cancel_job(job.id, at(number)).await.unwrap();
        ids.push(job.id);
    }
    let known = world.store.jobs_of_webhook(webhook.id, 100).await.unwrap();
    ids.reverse();
    assert_eq!(known.iter().map(|job| job.id).collect::<Vec<_>>(), ids[..50]);
}
