//! A database as one side of a move: one connection, always in a transaction that keeps all writers of nodes away.
//!
//! Whatever a node writes, it first takes a row of the table of locks; that table is locked here as a whole. So nothing is
//! written into what nodes look at, and nothing they write, not even one that had been stopped and is woken, comes in
//! between. It also keeps two moves of one source apart.

use super::failure::told;
use super::layout::home;
use super::{Database, PostgresOptions, StoreError, kept_days, schema, time, transaction};
use crate::limits::StoreLimits;
use crate::store::kv::engine::{Batch, Tree, Value};
use crate::store::kv::moves::MOVE;
use crate::store::moving::{Part, Side};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deadpool_postgres::Client;

/// How long the other side may take over a part before the database lets go of us, in milliseconds.
const IDLE_MAX_MS: u64 = 300_000;
/// Bytes of a home in a place.
const HOME_BYTES: usize = 2;

/// A database, opened for a move.
pub(crate) struct PostgresSide {
    database: Database,
    client: Client,
    rows_max: usize,
    bytes_max: usize,
}

impl PostgresSide {
    /// Connects, and shuts out writers.
    ///
    /// - [`StoreError::Missing`] where there is no store and it is not to be made.
    /// - [`StoreError::Unavailable`] where something writes there for longer than a lock may be waited for.
    pub(crate) async fn open(
        options: &PostgresOptions,
        is_made: bool,
        limits: &StoreLimits,
    ) -> Result<Self, StoreError> {
        let database = Database::new(options, limits)?;
        let mut client = database.client_soon().await.map_err(told)?;
        let name = &database.endpoint.schema;
        if is_made {
            schema::migrate(&mut client, name).await?;
            let days = kept_days(limits);
            schema::keep_partitions(&mut client, name, days).await.map_err(told)?;
            schema::make_past_partitions(&mut client, name, days).await.map_err(told)?;
        } else {
            schema::check(&client, name).await?;
        }
        // Parts come in the order of the index, also from tables that nobody has analysed yet.
        let settings = format!(
            "SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off; \
             SET idle_in_transaction_session_timeout = {IDLE_MAX_MS}"
        );
        database.answered(client.batch_execute(&settings)).await.map_err(told)?;
        let (rows_max, bytes_max) = (limits.move_rows_max, limits.move_bytes_max);
        let side = PostgresSide { database, client, rows_max, bytes_max };
        side.shut_out().await?;
        Ok(side)
    }

    /// Begins a transaction that no writer of a node can run beside.
    async fn shut_out(&self) -> Result<(), StoreError> {
        let lock = format!("BEGIN; LOCK TABLE {}.locks IN EXCLUSIVE MODE", self.database.endpoint.schema);
        self.database.answered(self.client.batch_execute(&lock)).await.map_err(|failure| {
            let message = failure.message;
            StoreError::Unavailable(format!("{message}; see that no node and no other move uses it"))
        })
    }

    /// The statement that reads a part. Its parameters are the home and the key that it begins behind, and how many bytes
    /// may come before a row.
    fn statement(&self, tree: Tree) -> String {
        let table = format!("{}.{}", self.database.endpoint.schema, tree.name());
        let size = "octet_length(k) + octet_length(v)";
        format!(
            "SELECT home, k, v FROM (SELECT home, k, v, sum({size}) OVER (ORDER BY home, k ROWS UNBOUNDED PRECEDING) AS s, \
             row_number() OVER (ORDER BY home, k ROWS UNBOUNDED PRECEDING) AS n FROM {table} \
             WHERE (home, k) > ($1, $2) ORDER BY home, k LIMIT {}) part WHERE n = 1 OR s <= $3 ORDER BY home, k",
            self.rows_max
        )
    }
}

/// The home and key of a place; before all others where there is none. No key is empty.
fn start(after: Option<&[u8]>) -> Result<(i16, &[u8]), StoreError> {
    let Some(after) = after else { return Ok((i16::MIN, &[])) };
    let (home, key) = after
        .split_first_chunk::<HOME_BYTES>()
        .ok_or_else(|| StoreError::Unreadable("the checkpoint of the move is damaged".into()))?;
    Ok((i16::from_be_bytes(*home), key))
}

#[async_trait]
impl Side for PostgresSide {
    async fn part(&self, tree: Tree, after: Option<&[u8]>) -> Result<Part, StoreError> {
        let (home, key) = start(after)?;
        let bytes_max = i64::try_from(self.bytes_max).unwrap_or(i64::MAX);
        let rows = async {
            let statement = self.client.prepare_cached(&self.statement(tree)).await?;
            self.client.query(&statement, &[&home, &key, &bytes_max]).await
        };
        let found = self.database.answered(rows).await.map_err(told)?;
        let last = found.last().map(|row| {
            let home: i16 = row.get(0);
            [&home.to_be_bytes(), row.get::<_, &[u8]>(1)].concat()
        });
        let rows = found.iter().map(|row| (Value::from(row.get::<_, &[u8]>(1)), Value::from(row.get::<_, &[u8]>(2))));
        Ok(Part { rows: rows.collect(), last: last.unwrap_or_default() })
    }

    async fn move_row(&self) -> Result<Option<Value>, StoreError> {
        let home = home(Tree::Meta, MOVE).unwrap_or_default();
        let row = async {
            let statement = self.client.prepare_cached(&self.database.statements[Tree::Meta.index()].get).await?;
            self.client.query_opt(&statement, &[&home, &MOVE]).await
        };
        let row = self.database.answered(row).await.map_err(told)?;
        Ok(row.map(|row| Value::from(row.get::<_, &[u8]>(0))))
    }

    async fn keep(&self, batch: Batch) -> Result<(), StoreError> {
        transaction::end(&self.client, &self.database, batch, &[]).await.map_err(told)?;
        self.shut_out().await
    }

    async fn nodes_time(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        time(&self.database, &self.client).await.map(Some)
    }
}
