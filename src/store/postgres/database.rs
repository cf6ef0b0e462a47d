//! The way into the database: connections, statements, and how long an answer is waited for.

use super::endpoint::{Endpoint, PostgresOptions};
use super::failure::Failure;
use super::sql::{self, Statements};
use crate::limits::StoreLimits;
use crate::store::StoreError;
use deadpool_postgres::{Client, Pool};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The way into one database. Cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) pool: Pool,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) statements: Arc<Vec<Statements>>,
    /// Takes locks by their numbers.
    pub(super) lock: Arc<str>,
    /// How long an answer may take.
    pub(super) deadline: Duration,
}

impl Database {
    /// The way into a database, which nobody has gone yet.
    pub(super) fn new(options: &PostgresOptions, limits: &StoreLimits) -> Result<Self, StoreError> {
        let endpoint = Arc::new(Endpoint::new(options, limits)?);
        let deadline = Duration::from_millis(limits.statement_timeout_ms.saturating_add(limits.connect_timeout_ms));
        Ok(Database {
            pool: endpoint.pool(limits)?,
            statements: Arc::new(sql::all(&endpoint.schema)),
            lock: format!("SELECT 1 FROM {}.locks WHERE id = ANY($1) ORDER BY id FOR UPDATE", endpoint.schema).into(),
            endpoint,
            deadline,
        })
    }

    /// A connection.
    pub(super) async fn client(&self) -> Result<Client, Failure> {
        Ok(self.pool.get().await?)
    }

    /// A connection, waited for as long as an answer may take: a database that restarts is back by then.
    pub(super) async fn client_soon(&self) -> Result<Client, Failure> {
        let give_up = Instant::now() + self.deadline;
        let mut wait = Duration::from_millis(20);
        loop {
            match self.client().await {
                Err(failure) if failure.is_passing && Instant::now() + wait < give_up => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                result => return result,
            }
        }
    }

    /// Waits for an answer, but not for ever: a network that is cut gives none.
    pub(super) async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => Err(Failure::passing("PostgreSQL did not answer in time")),
        }
    }

    /// Whether a transaction whose end was not answered took place; none where nobody could tell. One that is still under
    /// way is waited for.
    pub(super) async fn has_committed(&self, xid: &str) -> Option<bool> {
        let ask = "SELECT pg_xact_status($1::text::xid8)";
        let give_up = Instant::now() + self.deadline;
        while Instant::now() < give_up {
            let answer = async {
                let client = self.client_soon().await?;
                let row = self.answered(client.query_one(ask, &[&xid])).await?;
                Ok::<_, Failure>(row.get::<_, Option<String>>(0))
            };
            match answer.await {
                Ok(Some(status)) if status == "in progress" => tokio::time::sleep(Duration::from_millis(50)).await,
                Ok(status) => return Some(status.as_deref() == Some("committed")),
                // A server that took over has not heard of it.
                Err(failure) if !failure.is_passing => return Some(false),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        None
    }
}
