//! The database: a schema of the bench's own, and what work it has done so far.

use std::fs;
use std::path::PathBuf;

/// Clock ticks a second in /proc/PID/stat (USER_HZ, 100 on every Linux this runs on).
const TICKS_PER_SECOND: f64 = 100.0;

/// Statements that are printed, where the database counts what they cost.
const STATEMENTS: i64 = 8;

/// A schema in the database that DATABASE_URL names.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) schema: String,
    client: tokio_postgres::Client,
}

/// What a database has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// CPU seconds of all of its processes; 0 where they cannot be seen.
    pub(crate) cpu: f64,
    pub(crate) commits: i64,
    /// Bytes of its log of writes.
    pub(crate) wal_bytes: i64,
    /// Rows inserted, updated and deleted.
    pub(crate) rows: i64,
}

impl Work {
    pub(crate) fn since(self, before: Work) -> Work {
        Work {
            cpu: self.cpu - before.cpu,
            commits: self.commits - before.commits,
            wal_bytes: self.wal_bytes - before.wal_bytes,
            rows: self.rows - before.rows,
        }
    }
}

impl Database {
    pub(crate) async fn new(name: &str) -> Self {
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL: run this by tests/with_postgres.sh");
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let schema = format!("bench_{name}_{}", std::process::id());
        Database { url, schema, client }
    }

    pub(crate) async fn work(&self) -> Work {
        let ask = "SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8, \
                   tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = current_database()";
        let row = self.client.query_one(ask, &[]).await.expect("statistics");
        Work { cpu: cpu(), commits: row.get(0), wal_bytes: row.get(1), rows: row.get(2) }
    }

    /// Bytes of the whole database.
    pub(crate) async fn bytes(&self) -> u64 {
        let ask = "SELECT pg_database_size(current_database())";
        let bytes: i64 = self.client.query_one(ask, &[]).await.expect("its size").get(0);
        u64::try_from(bytes).unwrap_or(0)
    }

    /// Bytes of a table with its indexes and partitions.
    pub(crate) async fn table_bytes(&self, name: &str) -> u64 {
        let ask = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c \
                   JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' \
                   AND (c.relname = $2 OR c.relname ~ ('^' || $2 || '_([0-9]+|other)$'))";
        let bytes: i64 = self.client.query_one(ask, &[&self.schema, &name]).await.expect("its size").get(0);
        u64::try_from(bytes).unwrap_or(0)
    }

    /// Forgets what statements have cost, where the database counts that (pg_stat_statements).
    pub(crate) async fn forget_statements(&self) {
        let forget = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()";
        let _ = self.client.batch_execute(forget).await;
    }

    /// Prints the statements that have cost most since then, where the database counts that.
    pub(crate) async fn print_statements(&self) {
        let ask = "SELECT calls, total_exec_time, rows, left(replace(query, $1 || '.', ''), 110) \
                   FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT $2";
        for row in self.client.query(ask, &[&self.schema, &STATEMENTS]).await.unwrap_or_default() {
            let (calls, ms, rows, text): (i64, f64, i64, String) = (row.get(0), row.get(1), row.get(2), row.get(3));
            println!("    {calls:>9} calls {ms:>10.1} ms {rows:>10} rows  {text}");
        }
    }

    pub(crate) async fn drop(self) {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema);
        self.client.batch_execute(&drop).await.expect("an end");
    }
}

/// CPU of the postmaster, of its children, and of those it has seen end.
fn cpu() -> f64 {
    let Some(directory) = std::env::var_os("TEST_PGDATA") else { return 0.0 };
    let file = fs::read_to_string(PathBuf::from(directory).join("postmaster.pid")).unwrap_or_default();
    let Some(postmaster) = file.lines().next().and_then(|pid| pid.trim().parse::<u32>().ok()) else { return 0.0 };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ticks = pids.filter_map(|pid| {
        let fields = fields(pid)?;
        match pid {
            pid if pid == postmaster => Some(fields[11] + fields[12] + fields[13] + fields[14]),
            _ if fields[1] == f64::from(postmaster) => Some(fields[11] + fields[12]),
            _ => None,
        }
    });
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// The fields of /proc/PID/stat behind the name, from the state on.
fn fields(pid: u32) -> Option<Vec<f64>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    let fields: Vec<f64> = behind.split_whitespace().map(|text| text.parse().unwrap_or(0.0)).collect();
    (fields.len() > 14).then_some(fields)
}
