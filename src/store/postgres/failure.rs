//! What a database says when it does not do what it was asked, and whether it is worth asking again.

use crate::store::StoreError;
use deadpool_postgres::{PoolError, TimeoutType};
use std::error::Error;
use std::fmt::Write;
use tokio_postgres::error::SqlState;

/// Why a statement or a connection failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// For people, with the cause.
    pub(super) message: String,
    /// False where asking again cannot help: the statement itself is refused.
    pub(super) is_passing: bool,
    /// True where no connection to the server does better: it says nothing, or cannot be written to. Another one has taken
    /// its place, or will.
    pub(super) is_of_server: bool,
}

impl Failure {
    /// One that passes.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Failure { message: message.into(), is_passing: true, is_of_server: false }
    }

    /// There was none within the time that an answer may take.
    pub(super) fn no_answer() -> Self {
        Failure { is_of_server: true, ..Failure::passing("PostgreSQL did not answer in time") }
    }

    /// One that stays.
    pub(super) fn lasting(message: impl Into<String>) -> Self {
        Failure { message: message.into(), is_passing: false, is_of_server: false }
    }
}

/// What whoever called the store is told. It is no `From`, since the store's code would then have to say at each `?` which
/// error it means.
pub(super) fn told(failure: impl Into<Failure>) -> StoreError {
    StoreError::Unavailable(failure.into().message)
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let is_passing = error.code().is_none_or(passes);
        let is_of_server = error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
        Failure { message: with_causes(&error), is_passing, is_of_server }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(TimeoutType::Create) => Failure::passing("PostgreSQL could not be connected to in time"),
            PoolError::Timeout(_) => {
                Failure::passing("no connection to PostgreSQL became free in time; see store.connections_max")
            }
            error => Failure::passing(with_causes(&error)),
        }
    }
}

/// An error with what caused it: the driver's own words say little.
fn with_causes(error: &dyn Error) -> String {
    let mut message = format!("PostgreSQL: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(message, ": {error}");
        if is_of_certificate(error) {
            message.push_str(" (store.ca_file has the certificates that are trusted; without it the machine's are)");
        }
        cause = error.source();
    }
    message
}

fn is_of_certificate(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let of_tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(of_tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// True for what may be otherwise a moment later: a server that restarts, fails over, is busy, full or read-only, a
/// transaction that lost against another.
fn passes(code: &SqlState) -> bool {
    // Class 08 connection, 25 transaction state, 40 rollback, 53 resources, 55 not in a state for it, 57 operator, 58
    // system (PostgreSQL documentation, Appendix A, Error Codes).
    ["08", "25", "40", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for code in [SqlState::T_R_DEADLOCK_DETECTED, SqlState::ADMIN_SHUTDOWN, SqlState::READ_ONLY_SQL_TRANSACTION] {
            assert!(passes(&code), "{code:?}");
        }
        for code in [SqlState::DISK_FULL, SqlState::LOCK_NOT_AVAILABLE, SqlState::CANNOT_CONNECT_NOW] {
            assert!(passes(&code), "{code:?}");
        }
        for code in [SqlState::UNDEFINED_TABLE, SqlState::INVALID_PASSWORD, SqlState::INSUFFICIENT_PRIVILEGE] {
            assert!(!passes(&code), "{code:?}");
        }
    }
}
