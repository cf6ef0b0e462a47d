use crate::world::{EVER, World, at, entry, page};
use anyhook::log::EncodedPage;
use anyhook::store::{
    FeedHealth, FeedState, Fence, PageCommit, PageCommitted, Progress, RunFinish, StoreError, Trim, Wake, Webhook,
};
use anyhook_connectors::walk::Checkpoint;

fn progress(cursor: &str) -> Progress {
    let checkpoint = Checkpoint { offset: 7, token: Some("t".into()), from: Some(at(2)), ..Checkpoint::default() };
    Progress {
        watermark: Some(at(3)),
        server_time: Some(at(4)),
        cursor: Some(cursor.into()),
        checkpoint: Some(checkpoint),
        etag: Some("\"e\"".into()),
        created_from: Some(at(1)),
    }
}

pub(crate) async fn a_page_is_kept_whole(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let commit = PageCommit {
        progress: progress("c"),
        ledger: vec![("b".into(), entry(2, 22)), ("a".into(), entry(1, 11))],
        pages: vec![page("one"), page("two")],
        ..world.page_commit(&webhook, fence).await
    };
    assert_eq!(world.store.commit_page(commit).await, Ok(PageCommitted { end: 2 }));
    let head = world.store.log_head(webhook.feed_id).await.unwrap();
    assert_eq!((head.start, head.end, head.bytes), (0, 2, 6));
    assert_eq!(world.store.log_page(webhook.feed_id, 0).await.unwrap().unwrap(), b"one");
    assert_eq!(world.store.log_page(webhook.feed_id, 1).await.unwrap().unwrap(), b"two");
    assert_eq!(world.store.log_page(webhook.feed_id, 2).await.unwrap(), None);
    assert_eq!(world.store.progress(webhook.feed_id, "").await.unwrap(), progress("c"));
    let known = world.store.ledger(webhook.feed_id, &["a", "b", "c"]).await.unwrap();
    assert_eq!(known, [Some(entry(1, 11)), Some(entry(2, 22)), None]);
}

async fn nothing_was_kept(world: &World, webhook: &Webhook) {
    assert_eq!(world.store.log_head(webhook.feed_id).await.unwrap().end, 0);
    assert_eq!(world.store.progress(webhook.feed_id, "").await.unwrap(), Progress::default());
    assert_eq!(world.store.ledger(webhook.feed_id, &["a"]).await.unwrap(), [None]);
}

async fn full_commit(world: &World, webhook: &Webhook, fence: Fence) -> PageCommit {
    let ledger = vec![("a".into(), entry(1, 1))];
    PageCommit { progress: progress("c"), ledger, pages: vec![page("p")], ..world.page_commit(webhook, fence).await }
}

pub(crate) async fn another_epoch_is_fenced(world: &World) {
    let webhook = world.webhook().await;
    let old = world.fence(webhook.shard).await;
    let new = world.fence(webhook.shard).await;
    assert_ne!(old, new);
    let commit = full_commit(world, &webhook, old).await;
    assert_eq!(world.store.commit_page(commit).await, Err(StoreError::Fenced(old)));
    nothing_was_kept(world, &webhook).await;
    let finish = world.run_finish(&webhook, old, 100);
    assert_eq!(world.store.finish_run(finish).await, Err(StoreError::Fenced(old)));
    assert_eq!(world.store.feed_state(webhook.feed_id).await.unwrap(), FeedState::default());
    assert_eq!(world.store.trim_log(Trim::new(old, webhook.feed_id, 1)).await, Err(StoreError::Fenced(old)));
    let commit = full_commit(world, &webhook, new).await;
    world.store.commit_page(commit).await.unwrap();
}

pub(crate) async fn another_end_or_revision_is_a_conflict_and_keeps_nothing(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let commit = full_commit(world, &webhook, fence).await;
    let end = PageCommit { expected_end: 1, ..commit.clone() };
    assert_eq!(world.store.commit_page(end).await, Err(StoreError::Conflict("log")));
    nothing_was_kept(world, &webhook).await;
    let revision = PageCommit { feed_revision: commit.feed_revision + 1, ..commit };
    assert_eq!(world.store.commit_page(revision).await, Err(StoreError::Conflict("feed's revision")));
    nothing_was_kept(world, &webhook).await;
}

pub(crate) async fn a_missing_feed_is_told(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let commit = full_commit(world, &webhook, fence).await;
    world.store.delete_webhook(webhook.id, at(70)).await.unwrap();
    assert_eq!(world.store.commit_page(commit).await, Err(StoreError::Missing("feed")));
    let finish = world.run_finish(&webhook, fence, 100);
    assert_eq!(world.store.finish_run(finish).await, Err(StoreError::Missing("feed")));
    assert_eq!(world.store.ping_feed(webhook.feed_id, at(0)).await, Err(StoreError::Missing("feed")));
    nothing_was_kept(world, &webhook).await;
}

pub(crate) async fn commits_keep_their_order_and_fail_behind_a_failure(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let first = world.page_commit(&webhook, fence).await;
    let commit = |end: u64, text: String| {
        world.store.commit_page(PageCommit { expected_end: end, pages: vec![page(&text)], ..first.clone() })
    };
    let in_flight = (0..20).map(|end| commit(end, end.to_string()));
    let results = futures_util::future::join_all(in_flight).await;
    assert!(results.iter().zip(1..).all(|(result, end)| *result == Ok(PageCommitted { end })), "{results:?}");
    for sequence in 0..20 {
        let stored = world.store.log_page(webhook.feed_id, sequence).await.unwrap().unwrap();
        assert_eq!(stored, sequence.to_string().as_bytes());
    }
    let in_flight = [commit(20, "a".into()), commit(99, "b".into()), commit(22, "c".into())];
    let results = futures_util::future::join_all(in_flight).await;
    let conflict = || Err(StoreError::Conflict("log"));
    assert_eq!(results, [Ok(PageCommitted { end: 21 }), conflict(), conflict()]);
}

pub(crate) async fn empty_pages_are_not_logged(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let empty = EncodedPage { records: 0, bytes: b"empty".to_vec() };
    let commit =
        PageCommit { pages: vec![empty.clone(), page("one"), empty], ..world.page_commit(&webhook, fence).await };
    assert_eq!(world.store.commit_page(commit).await, Ok(PageCommitted { end: 1 }));
    assert_eq!(world.store.log_page(webhook.feed_id, 0).await.unwrap().unwrap(), b"one");
}

pub(crate) async fn due_feeds_come_soonest_first_and_by_shard(world: &World) {
    let mut webhooks = Vec::new();
    for _ in 0..3 {
        webhooks.push(world.webhook().await);
    }
    let fences = world.fences().await;
    for (webhook, due) in webhooks.iter().zip([300, 100, 200]) {
        let fence = fences[usize::from(webhook.shard.0)];
        world.store.finish_run(world.run_finish(webhook, fence, due)).await.unwrap();
    }
    let shards: Vec<_> = webhooks.iter().map(|webhook| webhook.shard).collect();
    let mut distinct = shards.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let due = world.store.due_feeds(&distinct, EVER, 1_000).await.unwrap();
    let own: Vec<_> = due
        .iter()
        .filter(|due| webhooks.iter().any(|webhook| webhook.feed_id == due.feed))
        .map(|due| (due.feed, due.due_at))
        .collect();
    let expected =
        [(&webhooks[1], 100), (&webhooks[2], 200), (&webhooks[0], 300)].map(|(webhook, s)| (webhook.feed_id, at(s)));
    assert_eq!(own, expected);
    for (until, expected) in [(99, 1), (100, 2), (150, 2), (300, 3)] {
        let due = world.store.due_feeds(&distinct, at(until), 1_000).await.unwrap();
        let own = due.iter().filter(|due| webhooks.iter().any(|webhook| webhook.feed_id == due.feed));
        assert_eq!(own.count(), expected, "until {until}");
        assert!(due.iter().rev().skip(1).all(|due| due.due_at <= at(until)), "one at most is of later");
    }
    let first = world.store.due_feeds(&shards[1..2], EVER, 1_000).await.unwrap();
    assert!(first.iter().all(|due| due.shard == shards[1]));
    assert_eq!(world.store.due_feeds(&distinct, EVER, 1).await.unwrap().len(), 1);
    assert_eq!(world.store.due_feeds(&[], EVER, 10).await.unwrap(), []);
}

pub(crate) async fn a_ping_counts_and_makes_due(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    world.store.finish_run(world.run_finish(&webhook, fence, 600)).await.unwrap();
    let mut wakes = world.store.wakes();
    assert_eq!(world.store.pings(webhook.feed_id).await.unwrap(), 0);
    assert_eq!(world.store.ping_feed(webhook.feed_id, at(60)).await.unwrap(), 1);
    assert_eq!(wakes.recv().await, Ok(Wake::FeedDue(webhook.feed_id)));
    assert_eq!(world.store.ping_feed(webhook.feed_id, at(70)).await.unwrap(), 2);
    assert_eq!(world.store.pings(webhook.feed_id).await.unwrap(), 2);
    let due = world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap();
    assert_eq!((due.len(), due[0].due_at), (1, at(60)), "it was due sooner than the second ping");
}

pub(crate) async fn a_paused_feed_is_not_made_due_by_a_ping(world: &World) {
    let webhook = world.webhook().await;
    world.store.replace_webhook(Webhook { is_paused: true, ..webhook.clone() }).await.unwrap();
    assert_eq!(world.store.ping_feed(webhook.feed_id, at(60)).await.unwrap(), 1);
    assert_eq!(world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap(), []);
}

pub(crate) async fn a_ping_during_a_run_makes_it_due_at_once(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    world.store.ping_feed(webhook.feed_id, at(1)).await.unwrap();
    let finish = world.run_finish(&webhook, fence, 600);
    let seen = |pings_done| RunFinish { state: FeedState { pings_done, ..finish.state.clone() }, ..finish.clone() };
    let due = async || world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap()[0].due_at;
    world.store.finish_run(seen(0)).await.unwrap();
    assert!(due().await <= at(50), "the run had not seen the ping");
    world.store.finish_run(seen(1)).await.unwrap();
    assert_eq!(due().await, at(600));
}

pub(crate) async fn a_webhook_resumed_during_a_run_is_polled(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let finish = RunFinish { due_at: None, ..world.run_finish(&webhook, fence, 0) };
    world.store.finish_run(finish.clone()).await.unwrap();
    let due = world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap();
    assert_eq!(due.len(), 1, "the run saw no active webhook, but there is one");
    let health = FeedHealth::Unhealthy { since: at(0), code: "c".into(), message: "m".into(), is_credential: false };
    let unhealthy = RunFinish { state: FeedState { health, ..finish.state.clone() }, ..finish };
    world.store.finish_run(unhealthy).await.unwrap();
    assert_eq!(world.store.due_feeds(&[webhook.shard], EVER, 10).await.unwrap(), []);
}

pub(crate) async fn parents_have_progress_of_their_own(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for parent in ["", "a", "ab"] {
        let base = world.page_commit(&webhook, fence).await;
        let commit = PageCommit { parent: parent.into(), progress: progress(parent), ..base };
        world.store.commit_page(commit).await.unwrap();
    }
    for parent in ["", "a", "ab"] {
        assert_eq!(world.store.progress(webhook.feed_id, parent).await.unwrap(), progress(parent));
    }
    assert_eq!(world.store.progress(webhook.feed_id, "b").await.unwrap(), Progress::default());
}

pub(crate) async fn cleaning_up_ends(world: &World) {
    while world.store.clean_up(1_000).await.unwrap() {}
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    world.log(&webhook, fence, &["a", "b", "c", "d"]).await;
    world.store.delete_webhook(webhook.id, at(70)).await.unwrap();
    let mut calls = 1;
    while world.store.clean_up(1).await.unwrap() {
        calls += 1;
    }
    assert!((4..20).contains(&calls), "{calls} calls of one row each for some five rows");
    assert!(!world.store.clean_up(1_000).await.unwrap());
}
