//! Where the database is, and how it is connected to.

use super::tls;
use crate::limits::StoreLimits;
use crate::store::StoreError;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Metrics, Pool, RecyclingMethod, Runtime};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::watch;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How the database tells nodes that it sees as one: by the start of this name.
const APPLICATION: &str = "anyhook";
/// When a connection that is silent is asked whether it still is one.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// How often, after that.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// How long what was sent may stay unacknowledged by the other machine.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(15);
/// Letters of a schema's name.
const SCHEMA_LETTERS_MAX: usize = 40;

/// What is said where other clients know more modes.
const MODES: &str = "sslmode is disable, prefer or require; require verifies the certificate and the name in it";

/// The URL of a database is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WrongUrl {
    /// It cannot be read.
    #[error("a PostgreSQL URL, such as postgres://anyhook:password@db.internal/anyhook ({0})")]
    Unreadable(String),
    /// The schema's name is not one that needs no quotes.
    #[error("1 to {SCHEMA_LETTERS_MAX} of a-z, 0-9 and _, beginning with a letter")]
    Schema,
}

/// Which database, and what of it.
#[derive(Clone)]
pub struct PostgresOptions {
    config: tokio_postgres::Config,
    schema: String,
    ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// From a URL (`postgres://user:password@host,host/database?sslmode=require`), the schema to use, and a file of
    /// certificates that are trusted in place of the machine's.
    pub fn new(url: &str, schema: &str, ca_file: Option<PathBuf>) -> Result<Self, WrongUrl> {
        let config = tokio_postgres::Config::from_str(url).map_err(|error| {
            // The driver's words name the part that is wrong, not what stands in it.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| error.to_string());
            WrongUrl::Unreadable(if cause.contains("`sslmode`") { MODES.to_owned() } else { cause })
        })?;
        let is_letter =
            |(at, byte): (usize, u8)| byte.is_ascii_lowercase() || at > 0 && (byte.is_ascii_digit() || byte == b'_');
        if schema.is_empty() || schema.len() > SCHEMA_LETTERS_MAX || !schema.bytes().enumerate().all(is_letter) {
            return Err(WrongUrl::Schema);
        }
        Ok(PostgresOptions { config, schema: schema.to_owned(), ca_file })
    }
}

impl PostgresOptions {
    /// The database without its password, for people.
    pub fn place(&self) -> String {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        let name = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        let ports = self.config.get_ports();
        let port = if let [port] = ports { format!(":{port}") } else { String::new() };
        format!("postgres://{}{port}/{name} (schema {})", hosts.join(","), self.schema)
    }

    /// The statement that takes away all that is kept there.
    pub fn drop_statement(&self) -> String {
        format!("DROP SCHEMA {} CASCADE", self.schema)
    }
}

/// Each statement has its index, and is planned once: with what is known of a table that is still small, or grows, the
/// planner would rather read through it, plan anew for each call, or compile what is called once.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off; \
                     SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// Where connections lead.
pub(super) struct Endpoint {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
    pub(super) schema: String,
    /// Names this process to the others that listen.
    pub(super) node: String,
    /// What nodes listen to.
    pub(super) channel: String,
    pub(super) look_every: Duration,
    /// When it was seen that the server says nothing, or cannot be written to any more: connections from before are not used
    /// again.
    pub(super) left_at: watch::Sender<Option<Instant>>,
}

/// Whether a connection was made since its server was left.
pub(super) fn is_current(left_at: &watch::Sender<Option<Instant>>, connection: &Metrics) -> bool {
    left_at.borrow().is_none_or(|left_at| connection.created > left_at)
}

impl Endpoint {
    pub(super) fn new(options: &PostgresOptions, limits: &StoreLimits) -> Result<Self, StoreError> {
        let mut config = options.config.clone();
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        // Of several hosts the one that can be written to: which that is changes when one takes over.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // One that takes connections and says nothing is not always the first to be asked.
        config.load_balance_hosts(LoadBalanceHosts::Random);
        config.connect_timeout(Duration::from_millis(limits.connect_timeout_ms));
        config.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_INTERVAL).keepalives_retries(3);
        config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|_| StoreError::Unavailable("there are no random bytes".into()))?;
        Ok(Endpoint {
            tls: MakeRustlsConnect::new(tls::config(options.ca_file.as_deref())?),
            config,
            node: hex::encode(name),
            channel: options.schema.clone(),
            schema: options.schema.clone(),
            look_every: Duration::from_millis(limits.look_every_ms),
            left_at: watch::Sender::new(None),
        })
    }

    /// Connections that are made when they are needed: one a writer, and some for readers.
    pub(super) fn pool(&self, limits: &StoreLimits) -> Result<Pool, StoreError> {
        let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), recycle);
        let timeout = Duration::from_millis(limits.connect_timeout_ms);
        // A transaction that waits for its client holds locks: that of a node which is stopped ends by itself.
        let settings = format!(
            "SET client_min_messages = warning; SET statement_timeout = {0}; SET lock_timeout = {0}; \
             SET idle_in_transaction_session_timeout = {0}; {PLANS}",
            limits.statement_timeout_ms
        );
        let set = Hook::async_fn(move |client, _| {
            let settings = settings.clone();
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        });
        let left_at = self.left_at.clone();
        let is_current = Hook::sync_fn(move |_, metrics| match is_current(&left_at, metrics) {
            true => Ok(()),
            false => Err(HookError::message("its server has been left")),
        });
        let pool = Pool::builder(manager)
            .max_size(limits.writers.max(1) + limits.connections_max.max(1))
            .wait_timeout(Some(timeout))
            .create_timeout(Some(timeout * 2))
            .recycle_timeout(Some(timeout))
            .runtime(Runtime::Tokio1)
            .post_create(set)
            .pre_recycle(is_current)
            .build();
        pool.map_err(|error| StoreError::Unavailable(format!("connections cannot be pooled: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_schemas_are_checked_and_nothing_of_a_password_is_shown() {
        let wrong = |url: &str, schema: &str| PostgresOptions::new(url, schema, None).unwrap_err().to_string();
        assert!(wrong("postgres://u:hunter2@h/d?nonsense=1", "anyhook").contains("a PostgreSQL URL"));
        assert!(!wrong("postgres://u:hunter2@h:port/d", "anyhook").contains("hunter2"));
        for schema in ["", "Any", "a-b", "1a", "a\"b", &"a".repeat(41)] {
            assert!(wrong("postgres://h/d", schema).starts_with("1 to 40"), "{schema}");
        }
        let options = PostgresOptions::new("postgres://u:hunter2@h,i/d", "any_1", None).unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
