//! How the database plans to find rows: by an index each, however many there are.

use super::locks;
use super::sql::{RangeOf, Statements};
use super::{PostgresOptions, PostgresStore};
use crate::limits::StoreLimits;
use crate::random::Random;
use crate::store::kv::engine::{Scan, Tree};
use tokio_postgres::types::ToSql;

/// Rows of each table: more than a planner would rather read through.
const ROWS: i32 = 5_000;

async fn plan(client: &tokio_postgres::Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> String {
    let rows = client.query(&format!("EXPLAIN {sql}"), parameters).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
async fn no_statement_reads_through_a_table() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a database for tests");
    let schema = format!("plans_{:016x}", Random::system().up_to(u64::MAX));
    let limits = StoreLimits { writers: 1, connections_max: 1, ..StoreLimits::default() };
    let store = PostgresStore::open(&PostgresOptions::new(&url, &schema, None).unwrap(), &limits).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
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
        plans.push(plan(&client, &statements.remove, &remove).await);
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
    let plan = plan(&client, &lock, &[&locks::all(&[crate::store::kv::Domain::Store])]).await;
    assert!(plan.contains("Index"), "{plan}");
    drop(store);
    client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}
