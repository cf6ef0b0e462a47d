//! The schema: made and moved forward when a node starts, one node at a time, and never backwards.

use super::failure::{Failure, told};
use super::layout::{Shape, shape};
use super::locks;
use crate::store::StoreError;
use crate::store::kv::engine::Tree;
use deadpool_postgres::{Client, Transaction};
use std::fmt::Write;

/// The schema that this build makes and writes.
pub(super) const VERSION: i32 = 1;

/// A step from one version of the schema to the next.
struct Migration {
    version: i32,
    /// The oldest version that builds may know which work beside it: those of one release before go on.
    usable_from: i32,
    sql: fn(&str) -> String,
}

/// All of them, in order. What has been released is never changed.
const MIGRATIONS: &[Migration] = &[Migration { version: 1, usable_from: 1, sql: first }];

/// Locks out other nodes that start: a number of our own making.
const MIGRATION_LOCK: i64 = 0x616e_7968_6f6f_6b01;
/// The same, for whoever looks after partitions.
const PARTITION_LOCK: i64 = 0x616e_7968_6f6f_6b02;
/// Dated tables have partitions up to this many days ahead.
const DAYS_AHEAD: i32 = 3;
/// Days back that a move makes partitions for at most.
const DAYS_BACK_MAX: i32 = 100;

/// Trees whose tables are partitioned by day.
fn dated() -> impl Iterator<Item = Tree> {
    Tree::ALL.iter().copied().filter(|tree| matches!(shape(*tree), Shape::Dated(_)))
}

/// What is said where builds that know no newer version than this one's may not use the schema any more.
pub(super) fn too_old(schema: &str, usable_from: i32) -> String {
    format!(
        "the schema {schema} is for builds that know version {usable_from} of it, and this one knows {VERSION}: \
         start a newer build"
    )
}

fn first(schema: &str) -> String {
    let mut sql = String::new();
    for tree in Tree::ALL {
        let table = format!("{schema}.{}", tree.name());
        let columns = "home int2 NOT NULL, k bytea NOT NULL, v bytea NOT NULL";
        let _ = match shape(*tree) {
            Shape::Plain => writeln!(sql, "CREATE TABLE {table} ({columns}, PRIMARY KEY (home, k));"),
            Shape::Hot => writeln!(
                sql,
                "CREATE TABLE {table} ({columns}, PRIMARY KEY (home, k)) WITH (fillfactor = 70, \
                 autovacuum_vacuum_scale_factor = 0.05, toast_tuple_target = 8160);\n\
                 ALTER TABLE {table} ALTER COLUMN v SET STORAGE EXTERNAL;"
            ),
            Shape::Bytes => writeln!(
                sql,
                "CREATE TABLE {table} ({columns}, PRIMARY KEY (home, k));\n\
                 ALTER TABLE {table} ALTER COLUMN v SET STORAGE EXTERNAL;"
            ),
            Shape::Dated(_) => writeln!(
                sql,
                "CREATE TABLE {table} ({columns}, day int4 NOT NULL, PRIMARY KEY (home, k, day)) PARTITION BY RANGE (day);\n\
                 ALTER TABLE {table} ALTER COLUMN v SET STORAGE EXTERNAL;\n\
                 CREATE TABLE {table}_other PARTITION OF {table} DEFAULT;"
            ),
        };
    }
    let _ = writeln!(sql, "CREATE TABLE {schema}.locks (id int4 PRIMARY KEY) WITH (fillfactor = 10);");
    let _ = writeln!(sql, "INSERT INTO {schema}.locks SELECT generate_series(0, {});", locks::COUNT - 1);
    sql
}

/// Brings the schema to this build's version.
///
/// - Nodes that start together do so one after the other.
/// - [`StoreError::Unreadable`] where a newer build has made it and does not let this one work beside it.
pub(super) async fn migrate(client: &mut Client, schema: &str) -> Result<(), StoreError> {
    let txn = client.transaction().await.map_err(told)?;
    let prepare = format!(
        "SELECT pg_advisory_xact_lock({MIGRATION_LOCK});\n\
         CREATE SCHEMA IF NOT EXISTS {schema};\n\
         CREATE TABLE IF NOT EXISTS {schema}.schema_versions (version int4 PRIMARY KEY, usable_from int4 NOT NULL, \
         made_at timestamptz NOT NULL DEFAULT now());"
    );
    txn.batch_execute(&prepare).await.map_err(told)?;
    let newest = format!("SELECT max(version), max(usable_from) FROM {schema}.schema_versions");
    let newest = txn.query_one(&newest, &[]).await.map_err(told)?;
    let number = |column: usize| newest.get::<_, Option<i32>>(column).unwrap_or_default();
    let (known, usable_from) = (number(0), number(1));
    if usable_from > VERSION {
        return Err(StoreError::Unreadable(too_old(schema, usable_from)));
    }
    let steps: Vec<_> = MIGRATIONS.iter().filter(|migration| migration.version > known).collect();
    if known > 0 && !steps.is_empty() {
        // Whatever a node writes, it takes a row of these first: so none is in the middle of something, none waits for us
        // in a circle, and each sees the new version before it writes.
        txn.batch_execute(&format!("LOCK TABLE {schema}.locks IN EXCLUSIVE MODE")).await.map_err(told)?;
    }
    for migration in steps {
        tracing::info!(schema, version = migration.version, "the database's schema is brought forward");
        txn.batch_execute(&(migration.sql)(schema)).await.map_err(told)?;
        let note = format!("INSERT INTO {schema}.schema_versions (version, usable_from) VALUES ($1, $2)");
        txn.execute(&note, &[&migration.version, &migration.usable_from]).await.map_err(told)?;
    }
    txn.commit().await.map_err(told)?;
    Ok(())
}

/// Sees that the schema is there as this build makes it, and changes nothing.
pub(super) async fn check(client: &Client, schema: &str) -> Result<(), StoreError> {
    let is_there = "SELECT to_regclass($1 || '.schema_versions') IS NOT NULL";
    if !client.query_one(is_there, &[&schema]).await.map_err(told)?.get::<_, bool>(0) {
        return Err(StoreError::Missing("store"));
    }
    let newest = format!("SELECT max(version) FROM {schema}.schema_versions");
    let known: Option<i32> = client.query_one(&newest, &[]).await.map_err(told)?.get(0);
    match known {
        Some(VERSION) => Ok(()),
        known => Err(StoreError::Unreadable(format!(
            "the schema {schema} has version {}, and this build's is {VERSION}: start this build's server on it once, or use \
             the newer build that made it",
            known.unwrap_or_default()
        ))),
    }
}

/// Makes partitions of calls for as many days back as they are kept, for rows that are older than the schema.
pub(super) async fn make_past_partitions(client: &mut Client, schema: &str, kept_days: i32) -> Result<(), Failure> {
    let txn = client.transaction().await?;
    txn.execute(&format!("SELECT pg_advisory_xact_lock({PARTITION_LOCK})"), &[]).await?;
    let today = today(&txn).await?;
    let known = days(&txn, schema, Tree::Calls.name()).await?;
    let table = format!("{schema}.{}", Tree::Calls.name());
    for day in (today - kept_days.clamp(0, DAYS_BACK_MAX)..today).filter(|day| !known.contains(day)) {
        make_partition(&txn, &table, day).await?;
    }
    txn.commit().await?;
    Ok(())
}

/// The day since 1970 by the database's clock.
async fn today(txn: &Transaction<'_>) -> Result<i32, Failure> {
    let today = "SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::int4";
    Ok(txn.query_one(today, &[]).await?.get(0))
}

/// Makes a day's partition. Rows of a day that came while it had none stay where they are.
async fn make_partition(txn: &Transaction<'_>, table: &str, day: i32) -> Result<(), Failure> {
    let is_late = format!("SELECT 1 FROM {table}_other WHERE day = {day} LIMIT 1");
    if txn.query_opt(&is_late, &[]).await?.is_none() {
        let next = day + 1;
        let make = format!("CREATE TABLE {table}_{day} PARTITION OF {table} FOR VALUES FROM ({day}) TO ({next})");
        txn.batch_execute(&make).await?;
    }
    Ok(())
}

/// Makes the partitions of the next days, and drops those that are past: of calls once they are older than
/// `calls_kept_days`, of log pages once nothing is left in them. Nodes do so one after the other.
pub(super) async fn keep_partitions(client: &mut Client, schema: &str, calls_kept_days: i32) -> Result<(), Failure> {
    let txn = client.transaction().await?;
    txn.execute(&format!("SELECT pg_advisory_xact_lock({PARTITION_LOCK})"), &[]).await?;
    let today = today(&txn).await?;
    for tree in dated() {
        let table = format!("{schema}.{}", tree.name());
        let known = days(&txn, schema, tree.name()).await?;
        for day in (today..=today + DAYS_AHEAD).filter(|day| !known.contains(day)) {
            make_partition(&txn, &table, day).await?;
        }
        for day in known {
            let is_over = match tree {
                Tree::Calls => day < today.saturating_sub(calls_kept_days),
                _ => {
                    let any = format!("SELECT 1 FROM {table}_{day} LIMIT 1");
                    day < today && txn.query_opt(&any, &[]).await?.is_none()
                }
            };
            if is_over {
                txn.batch_execute(&format!("DROP TABLE {table}_{day}")).await?;
            }
        }
    }
    txn.commit().await?;
    Ok(())
}

/// The days that a table has partitions of.
async fn days(txn: &Transaction<'_>, schema: &str, table: &str) -> Result<Vec<i32>, Failure> {
    let parts = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                 WHERE i.inhparent = ($1 || '.' || $2)::regclass";
    let rows = txn.query(parts, &[&schema, &table]).await?;
    let names = rows.iter().map(|row| row.get::<_, String>(0));
    Ok(names.filter_map(|name| name.strip_prefix(table)?.strip_prefix('_')?.parse().ok()).collect())
}
