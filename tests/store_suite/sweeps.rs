use crate::world::{World, at, entry, page};
use anyhook::store::{Fence, LedgerEntry, PageCommit, StoreError, Sweep, SweepCommit, SweepPhase, Webhook};
use anyhook_connectors::walk::Checkpoint;
use std::collections::BTreeSet;

async fn step(world: &World, webhook: &Webhook, fence: Fence, sweep: Sweep) -> SweepCommit {
    let PageCommit { fence, feed, feed_revision, expected_end, .. } = world.page_commit(webhook, fence).await;
    SweepCommit {
        fence,
        feed,
        feed_revision,
        expected_end,
        sweep,
        seen: vec![],
        suspects: vec![],
        ledger: vec![],
        forget: vec![],
        pages: vec![],
    }
}

fn listing(generation: u64) -> Sweep {
    let checkpoint = Some(Checkpoint { offset: 7, token: Some("t".into()), ..Checkpoint::default() });
    Sweep { generation, phase: SweepPhase::Listing, began_at: Some(at(5)), checkpoint, ..Sweep::default() }
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

async fn seen(world: &World, webhook: &Webhook) -> Vec<Vec<u64>> {
    world.store.seen_rows(webhook.feed_id, 0, 100).await.unwrap()
}

pub(crate) async fn a_step_is_kept_whole(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    assert_eq!(world.store.sweep(webhook.feed_id).await.unwrap(), Sweep::default());
    let commit = SweepCommit {
        seen: vec![1, u64::MAX],
        suspects: texts(&["a", "é"]),
        ledger: vec![("b".into(), entry(2, 22)), ("a".into(), entry(1, 11))],
        pages: vec![page("one")],
        ..step(world, &webhook, fence, listing(1)).await
    };
    let (kept, committed) = world.store.commit_sweep(commit).await.unwrap();
    assert_eq!(kept, Sweep { seen_rows: 1, suspect_rows: 1, ..listing(1) });
    assert_eq!(world.store.sweep(webhook.feed_id).await.unwrap(), kept);
    assert_eq!(committed.end, 1);
    assert_eq!(world.store.log_page(webhook.feed_id, 0).await.unwrap().unwrap(), b"one");
    assert_eq!(seen(world, &webhook).await, [[1, u64::MAX]]);
    assert_eq!(world.store.suspect_row(webhook.feed_id, 0).await.unwrap(), ["a", "é"]);
    assert_eq!(world.store.suspect_row(webhook.feed_id, 1).await.unwrap(), Vec::<String>::new());
    let known = world.store.ledger(webhook.feed_id, &["a", "b"]).await.unwrap();
    assert_eq!(known, [Some(entry(1, 11)), Some(entry(2, 22))]);
    let commit = SweepCommit { forget: texts(&["b", "nobody"]), ..step(world, &webhook, fence, kept).await };
    world.store.commit_sweep(commit).await.unwrap();
    assert_eq!(world.store.ledger(webhook.feed_id, &["a", "b"]).await.unwrap(), [Some(entry(1, 11)), None]);
}

pub(crate) async fn another_epoch_end_or_revision_keeps_nothing(world: &World) {
    let webhook = world.webhook().await;
    let old = world.fence(webhook.shard).await;
    let fence = world.fence(webhook.shard).await;
    let commit = SweepCommit {
        seen: vec![1],
        ledger: vec![("a".into(), entry(1, 1))],
        pages: vec![page("p")],
        ..step(world, &webhook, fence, listing(1)).await
    };
    let refused = async |commit: SweepCommit| {
        let refused = world.store.commit_sweep(commit).await.map(|_| ());
        assert_eq!(world.store.sweep(webhook.feed_id).await.unwrap(), Sweep::default());
        assert_eq!(world.store.ledger(webhook.feed_id, &["a"]).await.unwrap(), [None]);
        refused
    };
    assert_eq!(refused(SweepCommit { fence: old, ..commit.clone() }).await, Err(StoreError::Fenced(old)));
    assert_eq!(refused(SweepCommit { expected_end: 1, ..commit.clone() }).await, Err(StoreError::Conflict("log")));
    let revision = commit.feed_revision + 1;
    let revised = SweepCommit { feed_revision: revision, ..commit.clone() };
    assert_eq!(refused(revised).await, Err(StoreError::Conflict("feed's revision")));
    world.store.delete_webhook(webhook.id, at(9)).await.unwrap();
    assert_eq!(refused(commit).await, Err(StoreError::Missing("feed")));
}

pub(crate) async fn rows_come_in_their_order_a_few_at_a_time(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for row in 0..300 {
        let commit = SweepCommit {
            seen: vec![row],
            suspects: vec![row.to_string()],
            ..step(world, &webhook, fence, listing(1)).await
        };
        world.store.commit_sweep(commit).await.unwrap();
    }
    let rows = world.store.seen_rows(webhook.feed_id, 250, 20).await.unwrap();
    assert_eq!(rows, (250..270).map(|row| vec![row]).collect::<Vec<_>>());
    assert_eq!(world.store.seen_rows(webhook.feed_id, 290, 20).await.unwrap().len(), 10);
    assert_eq!(world.store.suspect_row(webhook.feed_id, 299).await.unwrap(), ["299"]);
}

pub(crate) async fn rows_go_with_their_sweep(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let seeing = async |generation: u64, hash: u64| {
        let commit = SweepCommit { seen: vec![hash], ..step(world, &webhook, fence, listing(generation)).await };
        world.store.commit_sweep(commit).await.unwrap();
    };
    seeing(1, 1).await;
    seeing(2, 2).await;
    assert_eq!(seen(world, &webhook).await, [[2]], "it began anew");
    let rests = Sweep { phase: SweepPhase::Resting, ..listing(2) };
    let (kept, _) = world.store.commit_sweep(step(world, &webhook, fence, rests.clone()).await).await.unwrap();
    assert_eq!(kept, rests);
    assert!(seen(world, &webhook).await.is_empty());
    while world.store.clean_up(1).await.unwrap() {}
    seeing(3, 3).await;
    assert_eq!(seen(world, &webhook).await, [[3]], "what is cleaned up is not another's");
    world.store.delete_webhook(webhook.id, at(9)).await.unwrap();
    assert!(seen(world, &webhook).await.is_empty());
    assert_eq!(world.store.sweep(webhook.feed_id).await.unwrap(), Sweep::default());
    while world.store.clean_up(1).await.unwrap() {}
}

pub(crate) async fn the_ledger_is_looked_through_in_pieces(world: &World) {
    let (webhook, other) = (world.webhook().await, world.webhook().await);
    let fences = world.fences().await;
    let fence = fences[usize::from(webhook.shard.0)];
    let mut wanted: BTreeSet<(String, i64)> = BTreeSet::new();
    for page in 0..20u64 {
        // Scattered over all leaves.
        let numbers = (page * 100..page * 100 + 100).map(|number| number * 7 % 2_003);
        let entries: Vec<(String, LedgerEntry)> =
            numbers.map(|number| (format!("id{number}"), entry(number as i64, number))).collect();
        wanted.extend(entries.iter().map(|(id, entry)| (id.clone(), entry.updated_at_ms)));
        let commit = PageCommit { ledger: entries, ..world.page_commit(&webhook, fence).await };
        world.store.commit_page(commit).await.unwrap();
    }
    let foreign = vec![("id5".into(), entry(1, 1)), ("zz".into(), entry(1, 1))];
    let fence = fences[usize::from(other.shard.0)];
    let commit = PageCommit { ledger: foreign, ..world.page_commit(&other, fence).await };
    world.store.commit_page(commit).await.unwrap();
    for limit in [1, 130, 10_000] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let piece = world.store.ledger_after(webhook.feed_id, after.as_deref(), limit).await.unwrap();
            let Some((last, _)) = piece.last() else { break };
            assert!(piece.len() < limit + 300, "{} for {limit}", piece.len());
            after = Some(last.clone());
            found.extend(piece.into_iter().map(|(id, entry)| (id, entry.updated_at_ms)));
        }
        assert_eq!(found, wanted.iter().cloned().collect::<Vec<_>>(), "{limit}");
    }
    world.store.delete_webhook(webhook.id, at(9)).await.unwrap();
    assert!(world.store.ledger_after(webhook.feed_id, None, 10).await.unwrap().is_empty());
}
