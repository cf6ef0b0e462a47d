//! What only a store that several nodes share can promise.

use crate::world::{Schema, World, limits};
use anyhook::limits::StoreLimits;
use anyhook::random::Random;
use anyhook::store::{PageCommit, PostgresOptions, PostgresStore, StoreError, Wake, Webhook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Asks until it is so; a minute at the most.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not come to be");
}

async fn two(schema: &Schema) -> (World, World) {
    (World::in_postgres(schema).await, World::in_postgres(schema).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn nodes_that_start_together_make_one_schema() {
    let schema = Schema::new().await;
    let (one, other) = tokio::join!(World::in_postgres(&schema), World::in_postgres(&schema));
    let keys = tokio::join!(one.store.store_key([1; 32]), other.store.store_key([2; 32]));
    assert_eq!(keys.0.unwrap(), keys.1.unwrap());
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn what_one_node_writes_wakes_the_others() {
    let schema = Schema::new().await;
    let (one, other) = two(&schema).await;
    let mut wakes = other.store.wakes();
    let webhook = one.webhook().await;
    let mut heard = Vec::new();
    until("a wake", async || {
        heard.extend(wakes.try_recv().ok());
        let expected = [Wake::FeedDue(webhook.feed_id), Wake::WebhookChanged(webhook.id)];
        expected.iter().all(|wake| heard.contains(wake)).then_some(())
    })
    .await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn a_listener_whose_connection_broke_says_so_and_hears_again() {
    let schema = Schema::new().await;
    let (one, other) = two(&schema).await;
    let mut wakes = other.store.wakes();
    terminate(&schema, "query LIKE 'LISTEN%'").await;
    until("another listener", async || matches!(wakes.try_recv(), Ok(Wake::Missed)).then_some(())).await;
    let webhook = one.webhook().await;
    until("a wake", async || (wakes.try_recv() == Ok(Wake::WebhookChanged(webhook.id))).then_some(())).await;
    schema.drop().await;
}

/// Ends connections of a test's stores, as an operator or a cut network does.
async fn terminate(schema: &Schema, which: &str) {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}' AND ({which})",
        schema.name
    );
    schema.client().await.batch_execute(&end).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn units_of_several_nodes_are_done_once_each_however_often_connections_break() {
    let schema = Schema::new().await;
    let (one, other) = two(&schema).await;
    let webhook = one.webhook().await;
    let (is_over, cuts) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let cut = async {
        while !is_over.load(Ordering::Relaxed) {
            terminate(&schema, "state LIKE '%transaction%' OR random() < 0.2").await;
            cuts.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let count = async {
        let mut counted = 0;
        // As many as it takes to be cut off often, and no end of them where nobody cuts.
        for round in (0..2_000).take_while(|round| *round < 60 || cuts.load(Ordering::Relaxed) < 20) {
            let worlds = [&one, &other];
            let pings = (0..20).map(|number: usize| {
                let world = worlds[(round + number) % 2];
                world.store.ping_feed(webhook.feed_id, crate::world::at(60))
            });
            for ping in futures_util::future::join_all(pings).await {
                ping.expect("it is tried again until it is done");
                counted += 1;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        counted
    };
    let (counted, ()) = tokio::join!(count, cut);
    assert!(cuts.load(Ordering::Relaxed) >= 20, "connections were cut");
    let pings = until("an answer", async || other.store.pings(webhook.feed_id).await.ok()).await;
    assert_eq!(pings, counted, "none is lost, and none is done twice");
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn what_the_database_refuses_is_no_fault_of_its_company() {
    let schema = Schema::new().await;
    let world = World::in_postgres(&schema).await;
    let connection = world.connection().await;
    let subscribe = async |team: &str| {
        let filters = [("team".to_owned(), team.to_owned())].into();
        world.keep(Webhook { filters, ..world.new_webhook(&connection) }).await
    };
    let (bad, good) = (subscribe("a").await, subscribe("b").await);
    let fence = world.fence(connection.shard).await;
    // An index takes keys of about 2,700 bytes, and of more where they can be compressed: these cannot.
    let mut random = Random::seeded(7);
    let parent: String = (0..6_000).map(|_| random_letter(&mut random)).collect();
    for _ in 0..5 {
        let refused = PageCommit { parent: parent.clone(), ..world.page_commit(&bad, fence).await };
        let taken = world.page_commit(&good, fence).await;
        let (refused, taken) = tokio::join!(world.store.commit_page(refused), world.store.commit_page(taken));
        assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("index row")), "{refused:?}");
        taken.unwrap();
    }
    schema.drop().await;
}

fn random_letter(random: &mut Random) -> char {
    let number = u32::try_from(random.up_to(25)).unwrap();
    char::from_u32('a' as u32 + number).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn what_units_of_all_shards_write_has_no_gaps_and_waits_in_no_circle() {
    let schema = Schema::new().await;
    let (one, other) = two(&schema).await;
    let workspaces = [one.workspace_id(), one.workspace_id()];
    // Connections are of many shards and of two workspaces, each of which both nodes tell of in the same groups.
    let made = (0..80).map(|number: usize| {
        let world = [&one, &other][number % 2];
        let connection = world.new_connection(workspaces[(number / 2) % 2]);
        async move { world.store.insert_connection(connection).await }
    });
    for result in futures_util::future::join_all(made).await {
        result.unwrap();
    }
    for workspace in workspaces {
        let told = one.store.notifications_from(workspace, 0, 1_000).await.unwrap();
        let sequences: Vec<u64> = told.iter().map(|placed| placed.sequence).collect();
        // `limits` keeps twelve.
        assert_eq!(sequences, (28..40).collect::<Vec<u64>>());
    }
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn a_schema_of_a_newer_build_is_refused_unless_it_may_be_used() {
    let schema = Schema::new().await;
    drop(World::in_postgres(&schema).await);
    let client = schema.client().await;
    let newer = |version: i32, usable_from: i32| {
        format!("INSERT INTO {}.schema_versions (version, usable_from) VALUES ({version}, {usable_from})", schema.name)
    };
    client.batch_execute(&newer(98, 1)).await.unwrap();
    drop(World::in_postgres(&schema).await);
    client.batch_execute(&newer(99, 99)).await.unwrap();
    let options = PostgresOptions::new(&schema.url, &schema.name, None).unwrap();
    let error = PostgresStore::open(&options, &limits()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable(why) if why.contains("version 99")), "{error}");
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn a_store_whose_schema_has_become_too_new_writes_nothing_more_and_says_so() {
    let schema = Schema::new().await;
    let world = World::in_postgres(&schema).await;
    let connection = world.connection().await;
    let newer = format!("INSERT INTO {}.schema_versions (version, usable_from) VALUES (99, 99)", schema.name);
    schema.client().await.batch_execute(&newer).await.unwrap();
    let error = world.store.insert_connection(world.new_connection(connection.workspace_id)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("version 99")), "{error}");
    let failure = world.store.failure().borrow().clone();
    assert!(failure.is_some_and(|why| why.contains("start a newer build")));
    let rows = format!("SELECT count(*) FROM {}.connections", schema.name);
    assert_eq!(schema.client().await.query_one(&rows, &[]).await.unwrap().get::<_, i64>(0), 1);
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn old_days_of_the_audit_trail_go_with_their_partition() {
    let schema = Schema::new().await;
    let short = StoreLimits { calls_kept_ms: 2 * 86_400_000, ..limits() };
    drop(schema.open(&short).await);
    let client = schema.client().await;
    let parts = async |table: &str| {
        let ask = format!(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = '{}.{table}'::regclass ORDER BY 1",
            schema.name
        );
        let rows = client.query(&ask, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    let make = |table: &str, day: i32| {
        let next = day + 1;
        format!(
            "CREATE TABLE {0}.{table}_{day} PARTITION OF {0}.{table} FOR VALUES FROM ({day}) TO ({next}); \
             INSERT INTO {0}.{table} (home, k, v, day) VALUES (0, '\\x00', '\\x01', {day})",
            schema.name
        )
    };
    let today = i32::try_from(anyhook::clock::Clock::system().now().timestamp() / 86_400).unwrap();
    for (table, day) in [("calls", today - 3), ("calls", today - 2), ("log_pages", today - 3)] {
        client.batch_execute(&make(table, day)).await.unwrap();
    }
    drop(schema.open(&short).await);
    let calls = parts("calls").await;
    assert!(!calls.contains(&format!("calls_{}", today - 3)), "{calls:?}");
    assert!(calls.contains(&format!("calls_{}", today - 2)) && calls.contains(&format!("calls_{}", today + 3)));
    // A page of a log goes once it is read, whatever its age.
    assert!(parts("log_pages").await.contains(&format!("log_pages_{}", today - 3)));
    client.batch_execute(&format!("DELETE FROM {}.log_pages", schema.name)).await.unwrap();
    drop(schema.open(&short).await);
    assert!(!parts("log_pages").await.contains(&format!("log_pages_{}", today - 3)));
    schema.drop().await;
}
