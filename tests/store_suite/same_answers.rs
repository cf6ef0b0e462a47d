//! The same calls, in any order, are answered the same by all implementations.

use crate::world::{EVER, World, at, entry, page};
use anyhook::log::EncodedPage;
use anyhook::store::{
    ArrivalCommit, ArrivalFeed, AttemptFinish, CallKind, Fence, LedgerEntry, Outcome, PageCommit, Position, Progress,
    Retry, RunFinish, Stream, Webhook,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Call {
    Page { ahead: bool, ids: Vec<u16>, time: i64, window: Option<i64>, pages: Vec<u16> },
    Arrival { ids: Vec<u16>, time: i64, bytes: u16 },
    Trim { before: u64 },
    LookUp { ids: Vec<u16> },
    Deliver { sequence: u64 },
    Retry { next: i64 },
    Resume,
    Run { due: Option<i64>, records: u64, failed: bool },
    Ping { now: i64 },
    Pause { is_paused: bool },
    CleanUp,
}

fn ids() -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![
        prop::collection::btree_set(0..600u16, 0..80).prop_map(|ids| ids.into_iter().collect()),
        (0..600u16, 0..200u16).prop_map(|(from, count)| (from..from + count).collect()),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let window = prop::option::of(0..100i64);
    let pages = prop::collection::vec(prop_oneof![0..50u16, Just(u16::MAX)], 0..3);
    prop_oneof![
        6 => (prop::bool::weighted(0.1), ids(), 0..100i64, window, pages)
            .prop_map(|(ahead, ids, time, window, pages)| Call::Page { ahead, ids, time, window, pages }),
        2 => (ids(), 0..100i64, 0..50u16).prop_map(|(ids, time, bytes)| Call::Arrival { ids, time, bytes }),
        1 => (0..20u64).prop_map(|before| Call::Trim { before }),
        2 => ids().prop_map(|ids| Call::LookUp { ids }),
        1 => (0..20u64).prop_map(|sequence| Call::Deliver { sequence }),
        1 => (0..100i64).prop_map(|next| Call::Retry { next }),
        1 => Just(Call::Resume),
        1 => (prop::option::of(0..100i64), 0..2u64, any::<bool>())
            .prop_map(|(due, records, failed)| Call::Run { due, records, failed }),
        1 => (0..100i64).prop_map(|now| Call::Ping { now }),
        1 => any::<bool>().prop_map(|is_paused| Call::Pause { is_paused }),
        1 => Just(Call::CleanUp),
    ]
}

fn name(id: u16) -> String {
    // Lengths differ, so that order by bytes is not order by number.
    format!("{id:x}")
}

fn entries(ids: &[u16], time: i64) -> Vec<(String, LedgerEntry)> {
    ids.iter().map(|id| (name(*id), entry(time, u64::from(*id)))).collect()
}

async fn answer(world: &World, webhook: &Webhook, fence: Fence, call: &Call) -> String {
    let store = &world.store;
    let feed = webhook.feed_id;
    match call.clone() {
        Call::Page { ahead, ids, time, window, pages } => {
            let base = world.page_commit(webhook, fence).await;
            let commit = PageCommit {
                expected_end: base.expected_end + u64::from(ahead),
                progress: Progress { watermark: Some(at(time)), ..Progress::default() },
                ledger: entries(&ids, time),
                forget_before_ms: window.map(|window| at(window).timestamp_millis()),
                pages: pages
                    .iter()
                    .map(|size| EncodedPage { records: 1, bytes: vec![1; usize::from(*size)] })
                    .collect(),
                ..base
            };
            format!("{:?}", store.commit_page(commit).await)
        }
        Call::Arrival { ids, time, bytes } => {
            let expected_end = store.log_head(feed).await.unwrap().end;
            let pages = vec![page(&"n".repeat(usize::from(bytes)))];
            let append = ArrivalFeed { feed, expected_end, ledger: entries(&ids, time), pages };
            let connection = webhook.connection_id;
            let commit =
                ArrivalCommit { connection, appends: vec![append], pings: vec![feed], delivery: None, now: at(time) };
            format!("{:?}", store.commit_arrival(commit).await)
        }
        Call::Trim { before } => format!("{:?}", store.trim_log(anyhook::store::Trim::new(fence, feed, before)).await),
        Call::LookUp { ids } => {
            let names: Vec<_> = ids.iter().rev().map(|id| name(*id)).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("{:?}", store.ledger(feed, &names).await)
        }
        Call::Deliver { sequence } => {
            let position = Position { sequence, offset: 0 };
            let outcome = Outcome::Delivered { stream: Stream::Live, position, is_last: false };
            let call = Some(world.call(webhook, CallKind::Webhook, 5));
            let finish = AttemptFinish { call, ..world.attempt(webhook, fence, outcome) };
            format!("{:?}", store.finish_attempt(finish).await)
        }
        Call::Retry { next } => {
            let (attempts, first_at, next_at) = (1, at(0), at(next));
            let retry =
                Retry { stream: Stream::Live, attempts, first_at, next_at, records: 1, quick: 0, is_quick: false };
            format!("{:?}", store.finish_attempt(world.attempt(webhook, fence, Outcome::Retry(retry))).await)
        }
        Call::Resume => format!("{:?}", store.resume_webhook(webhook.id, at(7)).await),
        Call::Run { due, records, failed } => {
            let mut call = world.call(webhook, CallKind::Inbound, 5);
            call.records = records;
            call.error = failed.then(|| "refused".into());
            let finish = RunFinish { due_at: due.map(at), call: Some(call), ..world.run_finish(webhook, fence, 0) };
            format!("{:?}", store.finish_run(finish).await)
        }
        Call::Ping { now } => format!("{:?}", store.ping_feed(feed, at(now)).await),
        Call::Pause { is_paused } => {
            let known = store.webhook(webhook.id).await.unwrap().unwrap();
            let changed = Webhook { is_paused, updated_at: at(9), ..known };
            format!("{:?}", store.replace_webhook(changed).await.map(|webhook| webhook.revision))
        }
        Call::CleanUp => format!("{:?}", store.clean_up(10).await),
    }
}

/// All that can be asked, told without the names that differ between worlds.
async fn look(world: &World, webhook: &Webhook) -> String {
    let store = &world.store;
    let feed = webhook.feed_id;
    let head = store.log_head(feed).await.unwrap();
    let mut pages = Vec::new();
    for sequence in 0..head.end + 1 {
        pages.push(store.log_page(feed, sequence).await.unwrap().map(|page| page.len()));
    }
    let names: Vec<_> = (0..800).map(name).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let query = anyhook::store::ApiCallQuery { limit: 100, ..Default::default() };
    let calls = store.api_calls(webhook.workspace_id, &query).await.unwrap();
    let calls: Vec<_> = calls.into_iter().map(|call| (call.kind, call.at, call.count, call.error)).collect();
    let due = store.due_feeds(&[webhook.shard], EVER, 9).await.unwrap();
    let due: Vec<_> = due.iter().filter(|due| due.feed == feed).map(|due| due.due_at).collect();
    let retries = store.due_retries(&[webhook.shard], 9).await.unwrap();
    let retries: Vec<_> = retries.iter().map(|due| due.next_at).collect();
    let settings = store.feed(feed).await.unwrap().map(|feed| (feed.settings, feed.revision));
    format!(
        "{head:?} {pages:?} {:?} {calls:?} {due:?} {retries:?} {settings:?} {:?} {:?} {:?}",
        store.ledger(feed, &names).await.unwrap(),
        store.progress(feed, "").await.unwrap(),
        store.delivery(webhook.id).await.unwrap(),
        store.pings(feed).await.unwrap(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sled_answer_alike(calls in prop::collection::vec(call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let worlds = [World::in_memory(), World::on_disk(directory.path())];
            let mut webhooks = Vec::new();
            for world in &worlds {
                let webhook = world.webhook().await;
                let fence = world.fence(webhook.shard).await;
                webhooks.push((webhook, fence));
            }
            for (number, call) in calls.iter().enumerate() {
                let memory = answer(&worlds[0], &webhooks[0].0, webhooks[0].1, call).await;
                let sled = answer(&worlds[1], &webhooks[1].0, webhooks[1].1, call).await;
                prop_assert_eq!(memory, sled, "call {}: {:?}", number, call);
            }
            let memory = look(&worlds[0], &webhooks[0].0).await;
            let sled = look(&worlds[1], &webhooks[1].0).await;
            prop_assert_eq!(memory, sled);
            Ok(())
        })?;
    }
}
