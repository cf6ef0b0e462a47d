use crate::world::{World, at, entry};
use anyhook::store::{Fence, LedgerEntry, PageCommit, Webhook};

async fn set(world: &World, webhook: &Webhook, fence: Fence, entries: Vec<(String, LedgerEntry)>, before: Option<i64>) {
    let forget_before_ms = before.map(|seconds| at(seconds).timestamp_millis());
    let commit = PageCommit { ledger: entries, forget_before_ms, ..world.page_commit(webhook, fence).await };
    world.store.commit_page(commit).await.unwrap();
}

async fn known(world: &World, webhook: &Webhook, ids: impl Iterator<Item = String>) -> Vec<Option<LedgerEntry>> {
    let ids: Vec<_> = ids.collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    world.store.ledger(webhook.feed_id, &ids).await.unwrap()
}

pub(crate) async fn entries_come_back_in_the_order_asked(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let deleted = LedgerEntry { is_deleted: true, updated_at_ms: i64::MIN, version: u64::MAX };
    set(world, &webhook, fence, vec![("é".into(), deleted), ("".into(), entry(0, 0)), ("b".into(), entry(2, 2))], None)
        .await;
    let found = world.store.ledger(webhook.feed_id, &["x", "b", "é", "b", ""]).await.unwrap();
    assert_eq!(found, [None, Some(entry(2, 2)), Some(deleted), Some(entry(2, 2)), Some(entry(0, 0))]);
    set(world, &webhook, fence, vec![("b".into(), entry(3, 3))], None).await;
    assert_eq!(world.store.ledger(webhook.feed_id, &["b"]).await.unwrap(), [Some(entry(3, 3))]);
    assert_eq!(world.store.ledger(webhook.feed_id, &[]).await.unwrap(), []);
}

pub(crate) async fn thousands_of_records_are_found_again(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    // 7 and 2,003 have no common divisor: every number comes once, scattered over all leaves.
    let scattered = |number: u64| number * 7 % 2_003;
    for page in 0..20 {
        let numbers = (page * 100..page * 100 + 100).map(scattered);
        let entries = numbers.map(|number| (format!("id{number}"), entry(number as i64, number))).collect();
        set(world, &webhook, fence, entries, None).await;
    }
    let found = known(world, &webhook, (0..2_000).map(|number| format!("id{}", scattered(number)))).await;
    for (number, found) in (0..).map(scattered).zip(found) {
        assert_eq!(found, Some(entry(number as i64, number)), "id{number}");
    }
    let missing = known(world, &webhook, ["id", "id00", "id9999", "zz", ""].map(String::from).into_iter()).await;
    assert_eq!(missing, [None; 5]);
}

pub(crate) async fn what_is_older_may_be_forgotten_and_a_window_does_not_grow(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for page in 0..60 {
        let numbers = page * 100..page * 100 + 100;
        let entries = numbers.map(|number| (format!("{number:08}"), entry(page, number as u64))).collect();
        set(world, &webhook, fence, entries, Some(page - 3)).await;
    }
    let all = known(world, &webhook, (0..6_000).map(|number| format!("{number:08}"))).await;
    let kept = all.iter().filter(|entry| entry.is_some()).count();
    assert!(all[5_700..].iter().all(Option::is_some), "what is in the window is never forgotten");
    assert!(kept < 1_200, "a window of 400 records holds {kept}");
}

pub(crate) async fn nothing_is_forgotten_unless_asked(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    for page in 0..10 {
        let entries = (0..50).map(|number| (format!("{page}-{number}"), entry(page, 1))).collect();
        set(world, &webhook, fence, entries, None).await;
    }
    let all = known(world, &webhook, (0..500).map(|number| format!("{}-{}", number / 50, number % 50))).await;
    assert!(all.iter().all(Option::is_some));
}

pub(crate) async fn feeds_do_not_share_records(world: &World) {
    let (one, other) = (world.webhook().await, world.webhook().await);
    let fences = world.fences().await;
    for (webhook, version) in [(&one, 1), (&other, 2)] {
        let fence = fences[usize::from(webhook.shard.0)];
        set(world, webhook, fence, vec![("a".into(), entry(0, version))], None).await;
    }
    assert_eq!(world.store.ledger(one.feed_id, &["a"]).await.unwrap(), [Some(entry(0, 1))]);
    assert_eq!(world.store.ledger(other.feed_id, &["a"]).await.unwrap(), [Some(entry(0, 2))]);
}
