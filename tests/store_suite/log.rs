use crate::world::{EVER, World, at, entry, page};
use anyhook::log::EncodedPage;
use anyhook::store::{ArrivalCommit, ArrivalFeed, Arrived, Keep, PageCommit, StoreError, Trim, Wake};
use anyhook_connectors::model::ObjectType;
use chrono::TimeDelta;

pub(crate) async fn pages_of_any_size_come_back(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let sizes = [1, 61_439, 61_440, 61_441, 122_880, 200_000, 1_000_000];
    let bytes = |size: usize| (0..size).map(|at| (at % 251) as u8).collect::<Vec<_>>();
    let pages = sizes.map(|size| EncodedPage { records: 1, bytes: bytes(size) }).to_vec();
    let commit = PageCommit { pages, ..world.page_commit(&webhook, fence).await };
    world.store.commit_page(commit).await.unwrap();
    for (sequence, size) in (0..).zip(sizes) {
        assert!(world.store.log_page(webhook.feed_id, sequence).await.unwrap().unwrap() == bytes(size), "{size}");
    }
    let head = world.store.log_head(webhook.feed_id).await.unwrap();
    assert_eq!(head.bytes, sizes.iter().sum::<usize>() as u64);
}

pub(crate) async fn trimming_is_bounded_and_counted(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let texts = vec!["0123456789"; 300];
    world.log(&webhook, fence, &texts).await;
    let trim = |before| world.store.trim_log(Trim::new(fence, webhook.feed_id, before));
    assert_eq!(trim(2).await, Ok(2));
    assert_eq!(world.store.log_head(webhook.feed_id).await.unwrap().bytes, 2_980);
    assert_eq!(world.store.log_page(webhook.feed_id, 1).await.unwrap(), None);
    assert!(world.store.log_page(webhook.feed_id, 2).await.unwrap().is_some());
    assert_eq!(trim(1).await, Ok(2), "nothing comes back");
    assert!(trim(1_000).await.unwrap() < 300, "a call has a bound");
    while trim(1_000).await.unwrap() < 300 {}
    let head = world.store.log_head(webhook.feed_id).await.unwrap();
    assert_eq!((head.start, head.end, head.bytes), (300, 300, 0));
    world.log(&webhook, fence, &["next"]).await;
    assert_eq!(world.store.log_page(webhook.feed_id, 300).await.unwrap().unwrap(), b"next");
}

pub(crate) async fn an_arrival_is_all_or_nothing(world: &World) {
    let connection = world.connection().await;
    let one = world.keep(world.new_webhook(&connection)).await;
    let mut other = world.new_webhook(&connection);
    other.object_type = ObjectType::RepoCommit;
    let other = world.keep(other).await;
    let append = |feed, expected_end| ArrivalFeed {
        feed,
        expected_end,
        ledger: vec![("a".into(), entry(1, 1))],
        pages: vec![page("native")],
    };
    let commit = |appends| ArrivalCommit {
        connection: connection.id,
        appends,
        pings: vec![one.feed_id],
        delivery: None,
        now: at(-5),
    };
    let stale = commit(vec![append(one.feed_id, 0), append(other.feed_id, 1)]);
    assert_eq!(world.store.commit_arrival(stale).await, Err(StoreError::Conflict("log")));
    for webhook in [&one, &other] {
        assert_eq!(world.store.log_head(webhook.feed_id).await.unwrap().end, 0);
        assert_eq!(world.store.ledger(webhook.feed_id, &["a"]).await.unwrap(), [None]);
    }
    assert_eq!(world.store.pings(one.feed_id).await.unwrap(), 0);
    let fresh = commit(vec![append(one.feed_id, 0), append(other.feed_id, 0)]);
    world.store.commit_arrival(fresh).await.unwrap();
    for webhook in [&one, &other] {
        assert_eq!(world.store.log_page(webhook.feed_id, 0).await.unwrap().unwrap(), b"native");
        assert_eq!(world.store.ledger(webhook.feed_id, &["a"]).await.unwrap(), [Some(entry(1, 1))]);
    }
}

pub(crate) async fn an_arrival_pings_feeds(world: &World) {
    let webhook = world.webhook().await;
    let gone = world.feed_id();
    let pings = vec![gone, webhook.feed_id];
    let commit =
        ArrivalCommit { connection: webhook.connection_id, appends: vec![], pings, delivery: None, now: at(-5) };
    world.store.commit_arrival(commit.clone()).await.unwrap();
    assert_eq!(world.store.pings(webhook.feed_id).await.unwrap(), 1);
    assert_eq!(world.store.due_feeds(&[webhook.shard], EVER, 1).await.unwrap()[0].due_at, at(-5));
    world.store.delete_connection(webhook.connection_id, at(70)).await.unwrap();
    assert_eq!(world.store.commit_arrival(commit).await, Err(StoreError::Missing("connection")));
}

pub(crate) async fn a_repeated_delivery_is_known_for_a_while(world: &World) {
    let webhook = world.webhook().await;
    let store = &world.store;
    let connection = webhook.connection_id;
    let arrive = async |connection, delivery: u8, seconds| {
        let pings = vec![webhook.feed_id];
        let delivery = Some([delivery; 16]);
        store.commit_arrival(ArrivalCommit { connection, appends: vec![], pings, delivery, now: at(seconds) }).await
    };
    let refused = ArrivalCommit {
        connection,
        appends: vec![ArrivalFeed { feed: webhook.feed_id, expected_end: 9, ledger: vec![], pages: vec![page("a")] }],
        pings: vec![],
        delivery: Some([1; 16]),
        now: at(0),
    };
    assert_eq!(store.commit_arrival(refused).await, Err(StoreError::Conflict("log")));
    assert_eq!(arrive(connection, 1, 0).await, Ok(Arrived::Kept), "what failed is no repeat");
    assert_eq!(arrive(connection, 1, 1).await, Ok(Arrived::Repeated));
    assert_eq!(store.pings(webhook.feed_id).await.unwrap(), 1, "a repeat does nothing");
    let other = world.connection().await;
    assert_eq!(arrive(other.id, 1, 1).await, Ok(Arrived::Kept), "each connection has its own");

    // The window of these tests is 1,000 s and 20 deliveries.
    assert_eq!(arrive(connection, 2, 900).await, Ok(Arrived::Kept));
    assert_eq!(arrive(connection, 3, 1_001).await, Ok(Arrived::Kept));
    assert_eq!(arrive(connection, 2, 1_001).await, Ok(Arrived::Repeated));
    assert_eq!(arrive(connection, 1, 1_001).await, Ok(Arrived::Kept), "too long ago");
    for delivery in 10..28 {
        assert_eq!(arrive(connection, delivery, 1_100).await, Ok(Arrived::Kept));
    }
    assert_eq!(arrive(connection, 10, 1_100).await, Ok(Arrived::Repeated));
    assert_eq!(arrive(connection, 1, 1_100).await, Ok(Arrived::Repeated), "the twentieth");
    assert_eq!(arrive(connection, 2, 1_100).await, Ok(Arrived::Kept), "too many since");

    store.delete_connection(connection, at(1_200)).await.unwrap();
    while store.clean_up(5).await.unwrap() {}
    assert_eq!(arrive(other.id, 1, 1_000).await, Ok(Arrived::Repeated), "another connection's stay");
}

pub(crate) async fn growth_is_told(world: &World) {
    let webhook = world.webhook().await;
    let fence = world.fence(webhook.shard).await;
    let mut wakes = world.store.wakes();
    world.log(&webhook, fence, &["a"]).await;
    assert_eq!(wakes.recv().await, Ok(Wake::LogGrew(webhook.feed_id)));
    let conflict = PageCommit { expected_end: 9, pages: vec![page("b")], ..world.page_commit(&webhook, fence).await };
    world.store.commit_page(conflict).await.unwrap_err();
    assert!(wakes.try_recv().is_err(), "what failed is not told");
}

pub(crate) async fn pages_that_leave_are_kept_apart_for_a_while(world: &World) {
    let webhook = world.webhook().await;
    let (feed, fence) = (webhook.feed_id, world.fence(webhook.shard).await);
    world.log(&webhook, fence, &["0123456789"; 10]).await;
    let keep = |seconds| Keep { at: at(seconds), life: TimeDelta::seconds(100), bytes_max: 40 };
    let trim = |before, seconds| Trim { keep: keep(seconds), ..Trim::new(fence, feed, before) };
    assert_eq!(world.store.trim_log(trim(3, 10)).await, Ok(3));
    let head = world.store.log_head(feed).await.unwrap();
    assert_eq!((head.start, head.end, head.bytes), (3, 10, 70), "they are none of the log's bytes");
    assert_eq!(world.store.log_page(feed, 2).await.unwrap(), None, "nor read by who reads the log");
    for sequence in 0..10 {
        assert!(world.store.kept_page(feed, sequence).await.unwrap().is_some(), "{sequence}");
    }
    assert_eq!(world.store.kept(feed, at(11)).await.unwrap().gone_at, None);
    assert_eq!(world.store.trim_log(trim(6, 50)).await, Ok(6));
    let kept = world.store.kept(feed, at(50)).await.unwrap();
    assert_eq!((kept.oldest, kept.bytes, kept.gone_at), (2, 40, Some(at(10))));
    assert_eq!(world.store.kept_page(feed, 1).await.unwrap(), None);
    // By age, also where nothing moves any more.
    assert_eq!(world.store.forget_kept(None, keep(109), 99).await, Ok(None));
    assert_eq!(world.store.kept(feed, at(0)).await.unwrap().oldest, 2);
    let mut after = None;
    loop {
        after = world.store.forget_kept(after, keep(110), 1).await.unwrap();
        if after.is_none() {
            break;
        }
    }
    let kept = world.store.kept(feed, at(110)).await.unwrap();
    assert_eq!((kept.oldest, kept.bytes), (3, 30));
    world.store.forget_kept(None, keep(150), 99).await.unwrap();
    let kept = world.store.kept(feed, at(150)).await.unwrap();
    assert_eq!((kept.oldest, kept.bytes, kept.gone_at), (6, 0, Some(at(50))));
    assert!(world.store.kept_page(feed, 6).await.unwrap().is_some(), "what is in the log stays");
    world.store.delete_webhook(webhook.id, at(160)).await.unwrap();
    assert_eq!(world.store.kept_page(feed, 6).await.unwrap(), None);
    while world.store.clean_up(1).await.unwrap() {}
    assert_eq!(world.store.kept(feed, at(150)).await.unwrap(), Default::default());
}
