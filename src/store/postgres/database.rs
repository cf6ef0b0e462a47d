//! The way into the database: connections, statements, and how long an answer is waited for.

use super::endpoint::{Endpoint, PostgresOptions, is_current};
use super::failure::Failure;
use super::schema;
use super::sql::{self, Statements};
use crate::limits::StoreLimits;
use crate::store::StoreError;
use deadpool_postgres::{Client, Pool};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_postgres::Statement;

/// A transaction's number, and what tells whether it is still its own. A server that has crashed, or that takes another's
/// place, gives numbers again of which it had not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) xid: String,
    /// When the server was started, in microseconds since 1970.
    pub(super) server_us: i64,
    /// When the transaction had begun, by the server's clock in seconds since 1970.
    pub(super) begun_s: i64,
}

/// What asks for a transaction's number within it, and for the oldest version that may be known by whoever writes.
fn number(schema: &str) -> String {
    format!(
        "SELECT pg_current_xact_id()::text, {SERVER}, floor(extract(epoch FROM clock_timestamp()))::int8, \
         (SELECT max(usable_from) FROM {schema}.schema_versions)"
    )
}

/// When the server was started.
const SERVER: &str = "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8";

/// The way into one database. Cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) pool: Pool,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) statements: Arc<Vec<Statements>>,
    /// Takes locks by their numbers.
    pub(super) lock: Arc<str>,
    /// Asks for the number of a transaction.
    number: Arc<str>,
    /// Why nobody may go on here, once that is so.
    pub(super) failure: watch::Sender<Option<String>>,
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
            number: number(&endpoint.schema).into(),
            failure: watch::Sender::new(None),
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
        self.in_time(answer).await.inspect_err(|failure| self.leave_server_for(failure))
    }

    /// The same for what no connection is to blame for yet.
    pub(super) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => Err(Failure::no_answer()),
        }
    }

    /// Uses no connection again that there is, where a failure says that none does better.
    fn leave_server_for(&self, failure: &Failure) {
        if failure.is_of_server {
            tracing::warn!(error = %failure.message, "connections are made anew");
            self.endpoint.left_at.send_replace(Some(Instant::now()));
            self.pool.retain(|_, _| false);
        }
    }

    /// Whether a connection may be used again.
    pub(super) fn is_current(&self, client: &Client) -> bool {
        !client.is_closed() && is_current(&self.endpoint.left_at, Client::metrics(client))
    }

    /// The statement that [`Database::number`] asks with.
    pub(super) async fn prepare_number(&self, client: &Client) -> Result<Statement, tokio_postgres::Error> {
        client.prepare_cached(&self.number).await
    }

    /// The number of the transaction that a connection is in. Asked for behind its locks, which a change of the schema
    /// waits for and holds: so nobody writes who does not know what that made.
    pub(super) async fn number(
        &self,
        client: &Client,
        statement: &Statement,
    ) -> Result<(Number, i32), tokio_postgres::Error> {
        let row = client.query_one(statement, &[]).await?;
        let (xid, server_us, begun_s) = (row.get(0), row.get(1), row.get(2));
        Ok((Number { xid, server_us, begun_s }, row.get::<_, Option<i32>>(3).unwrap_or_default()))
    }

    /// Sees that this build may write; where not, the process has to end.
    pub(super) fn check_usable(&self, usable_from: i32) -> Result<(), Failure> {
        if usable_from <= schema::VERSION {
            return Ok(());
        }
        let message = schema::too_old(&self.endpoint.schema, usable_from);
        self.failure.send_replace(Some(message.clone()));
        Err(Failure::lasting(message))
    }

    /// Whether a transaction whose end was not answered took place; none where nobody could tell. One that is still under
    /// way is waited for.
    pub(super) async fn has_committed(&self, number: &Number) -> Option<bool> {
        // Who starts after a crash begins with a checkpoint.
        let ask = format!(
            "SELECT pg_xact_status($1::text::xid8), {SERVER}, \
             (SELECT extract(epoch FROM checkpoint_time)::int8 FROM pg_control_checkpoint())"
        );
        let give_up = Instant::now() + self.deadline;
        while Instant::now() < give_up {
            let answer = async {
                let client = self.client_soon().await?;
                let row = self.answered(client.query_one(&ask, &[&number.xid])).await?;
                let is_own = row.get::<_, i64>(1) == number.server_us && row.get::<_, i64>(2) < number.begun_s;
                Ok::<_, Failure>(fate(row.get(0), is_own))
            };
            match answer.await {
                Ok(Fate::UnderWay) => tokio::time::sleep(Duration::from_millis(50)).await,
                Ok(Fate::Ended(has_committed)) => return Some(has_committed),
                Ok(Fate::Unknown) => return None,
                // A server that took over has not heard of it.
                Err(failure) if !failure.is_passing => return Some(false),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        None
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    UnderWay,
    /// Whether it took place.
    Ended(bool),
    Unknown,
}

/// What became of a transaction, by the status of its number. Where that may be another's by now, a commit may be the
/// other's too.
fn fate(status: Option<&str>, is_own: bool) -> Fate {
    match status {
        // Another's comes to an end too.
        Some("in progress") => Fate::UnderWay,
        Some("committed") if !is_own => Fate::Unknown,
        status => Fate::Ended(status == Some("committed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_under_a_number_that_may_be_anothers_proves_nothing() {
        assert_eq!(fate(Some("committed"), true), Fate::Ended(true));
        assert_eq!(fate(Some("committed"), false), Fate::Unknown);
        // A commit may wait for its standby for so long that a checkpoint comes in between.
        assert_eq!(
            (fate(Some("in progress"), true), fate(Some("in progress"), false)),
            (Fate::UnderWay, Fate::UnderWay)
        );
        assert_eq!(
            (fate(Some("aborted"), true), fate(Some("aborted"), false)),
            (Fate::Ended(false), Fate::Ended(false))
        );
        assert_eq!(fate(None, true), Fate::Ended(false));
    }
}
