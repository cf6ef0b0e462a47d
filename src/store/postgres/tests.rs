//! How the database plans to find rows: by an index each, however many there are. And how units share a transaction.

use super::locks;
use super::sql::{RangeOf, Statements};
use super::{PostgresOptions, PostgresStore};
use crate::limits::StoreLimits;
use crate::random::Random;
use crate::store::kv::engine::{Place, Read, Scan, Tree};
use crate::store::kv::{Domain, Pace, Units};
use tokio_postgres::types::ToSql;

/// Rows of each table: more than a planner would rather read through.
const ROWS: i32 = 5_000;

/// A store in a schema of its own, with one writer.
async fn open(url: &str, limits: StoreLimits) -> (PostgresStore, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let schema = format!("inside_{:016x}", Random::system().up_to(u64::MAX));
    let limits = StoreLimits { writers: 1, connections_max: 1, ..limits };
    let store = PostgresStore::open(&PostgresOptions::new(url, &schema, None).unwrap(), &limits).await.unwrap();
    (store, schema)
}

fn url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL names a database for tests")
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Units of one group are run again and again until all of them have what they read, each row, range and expectation at
/// another time; they come to the same as if each had run alone, in the order in which they were asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn units_that_are_run_together_see_what_those_before_them_wrote() {
    const UNITS: u8 = 60;
    let limits = StoreLimits { position_linger_ms: 500, ..StoreLimits::default() };
    let (store, schema) = open(&url(), limits).await;
    let place = |name: &str, number: u8| -> Place { (Tree::Meta, format!("{name}{number:03}").into_bytes()) };
    let unit = |number: u8| {
        store.write(Domain::Store, Pace::Lazy, move |txn| {
            if number.is_multiple_of(3) {
                txn.expect(&|| (0..=number).map(|before| place("mark", before)).collect())?;
            }
            // What is read next depends on what was read: as deep as four rows.
            for depth in 0..number % 5 {
                let (tree, key) = place("deep", number.wrapping_mul(7).wrapping_add(depth));
                txn.get(tree, &key)?;
            }
            let (tree, key) = place("mark", number);
            txn.put(tree, key, vec![number]);
            let marks =
                if number % 4 == 1 { txn.prefix(tree, b"mark").collect::<Result<Vec<_>, _>>()?.len() } else { 0 };
            let all = txn.get(Tree::Meta, b"all")?.map(|row| row.to_vec()).unwrap_or_default();
            txn.put(Tree::Meta, b"all".to_vec(), [&all[..], &[number]].concat());
            if number % 10 == 9 { Err(crate::store::StoreError::Conflict("test")) } else { Ok((all.len(), marks)) }
        })
    };
    let results = futures_util::future::join_all((0..UNITS).map(unit)).await;
    let kept: Vec<u8> = (0..UNITS).filter(|number| number % 10 != 9).collect();
    let found = store.read(|read| read.get(Tree::Meta, b"all")).await.unwrap().unwrap();
    assert_eq!(found.to_vec(), kept);
    for (number, result) in (0..UNITS).zip(results) {
        let before = kept.iter().filter(|kept| **kept < number).count();
        let marks = if number % 4 == 1 { before + 1 } else { 0 };
        assert_eq!(result.ok(), (number % 10 != 9).then_some((before, marks)), "unit {number}");
    }
    drop(store);
    connect(&url()).await.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

async fn plan(client: &tokio_postgres::Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> String {
    let rows = client.query(&format!("EXPLAIN {sql}"), parameters).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn no_statement_reads_through_a_table() {
    let (store, schema) = open(&url(), StoreLimits::default()).await;
    let client = connect(&url()).await;
    for tree in Tree::ALL {
        let is_dated = matches!(super::layout::shape(*tree), super::layout::Shape::Dated(_));
        let today = ", floor(extract(epoch FROM now()) / 86400)::int4 + n % 3";
        let (column, value) = if is_dated { (", day", today) } else { ("", "") };
        let fill = format!(
            "INSERT INTO {schema}.{} (home, k, v{column}) SELECT n % 7, decode(lpad(to_hex(n), 40, '0'), 'hex'), \
             '\\x00'{value} FROM generate_series(1, {ROWS}) AS n",
            tree.name()
        );
        client.batch_execute(&fill).await.unwrap();
    }
    client.batch_execute(&format!("ANALYZE {schema}.locks")).await.unwrap();
    let today = "SELECT floor(extract(epoch FROM now()) / 86400)::int4";
    let day: i32 = client.query_one(today, &[]).await.unwrap().get(0);
    for tree in Tree::ALL {
        client.batch_execute(&format!("ANALYZE {schema}.{}", tree.name())).await.unwrap();
        let statements = Statements::new(&schema, *tree);
        let (home, limit): (i16, i64) = (3, 8);
        let (key, end) = (vec![0_u8; 19], [vec![0_u8; 18], vec![9]].concat());
        let (homes, keys, days) = (vec![home], vec![key.clone()], vec![day]);
        let dated = statements.get.contains("$3");
        let mut get: Vec<&(dyn ToSql + Sync)> = vec![&home, &key];
        let mut remove: Vec<&(dyn ToSql + Sync)> = vec![&homes, &keys];
        if dated {
            get.push(&day);
            remove.push(&days);
        }
        let mut plans = vec![plan(&client, &statements.get, &get).await];
        plans.push(plan(&client, &statements.many, &remove).await);
        plans.push(plan(&client, &statements.remove, &remove).await);
        let ends = vec![end.clone()];
        plans.push(plan(&client, &statements.firsts, &[&keys, &ends, &home, &limit]).await);
        for scan in [Scan::Up, Scan::Down] {
            // Ranges over several homes are for what is looked through as a whole.
            let open = RangeOf { scan, has_end: false, has_home: true };
            let closed = RangeOf { has_end: true, ..open };
            plans.push(plan(&client, statements.range(open), &[&key, &limit, &home]).await);
            plans.push(plan(&client, statements.range(closed), &[&key, &limit, &end, &home]).await);
        }
        for plan in plans {
            let on_tables = plan.lines().filter(|line| line.contains("Scan") && !line.contains("Function Scan"));
            for line in on_tables {
                // Days without rows, and what no day is for, are empty, and read through because of that.
                let is_empty_rest = line.contains("_other") || line.contains(&format!("_{}", day + 3));
                assert!(line.contains("Index") || line.contains("Bitmap") || is_empty_rest, "{}:\n{plan}", tree.name());
            }
        }
    }
    let lock = format!("SELECT 1 FROM {schema}.locks WHERE id = ANY($1) ORDER BY id FOR UPDATE");
    let plan = plan(&client, &lock, &[&locks::all(&[Domain::Store])]).await;
    assert!(plan.contains("Index"), "{plan}");
    drop(store);
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}
