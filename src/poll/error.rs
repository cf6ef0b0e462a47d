//! Why a request or a run failed, told by what is to be done about it.

use crate::secrets::VaultError;
use crate::store::StoreError;
use anyhook_connectors::contract::ConnectorError;
use anyhook_connectors::walk::WalkError;
use std::time::Duration;
use thiserror::Error;

/// Why a request or a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PollError {
    /// The vendor, or our budget for it, asks to come again later. Nobody's fault.
    #[error("{message}; polling goes on in {} s", .wait.as_secs())]
    Wait {
        /// How long.
        wait: Duration,
        /// Who asks.
        message: String,
    },
    /// The credential is not accepted: a person has to replace it.
    #[error("{message}; replace the connection's credentials")]
    Credential {
        /// The vendor's status, or a short code.
        code: String,
        /// What the vendor said.
        message: String,
    },
    /// It may work later.
    #[error("{0}")]
    Transient(String),
    /// It will not work until a person changes something.
    #[error("{message}")]
    Permanent {
        /// A short stable code.
        code: &'static str,
        /// What happened and what to do.
        message: String,
    },
    /// The vendor no longer accepts the remembered cursor: a full listing is needed.
    #[error("the vendor no longer accepts the remembered cursor")]
    CursorExpired,
    /// Another wrote first: read again.
    #[error("another part wrote first")]
    Conflict,
    /// The store is not available: nobody's fault at the vendor, and nothing can be kept of it.
    #[error("{0}")]
    Store(String),
    /// The feed, job or connection was deleted, paused or given to another node meanwhile: stop quietly.
    #[error("the work is no longer this node's")]
    Gone,
}

impl PollError {
    /// A [`PollError::Permanent`].
    pub fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        PollError::Permanent { code, message: message.into() }
    }
}

impl From<StoreError> for PollError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(_) | StoreError::Missing(_) => PollError::Gone,
            StoreError::Conflict(_) | StoreError::Exists(_) => PollError::Conflict,
            StoreError::Unavailable(_) => PollError::Store(error.to_string()),
            StoreError::Unreadable(_) => PollError::permanent("store", error.to_string()),
        }
    }
}

impl From<ConnectorError> for PollError {
    fn from(error: ConnectorError) -> Self {
        match error {
            ConnectorError::CursorExpired => PollError::CursorExpired,
            ConnectorError::Malformed { .. } => PollError::Transient(error.to_string()),
            ConnectorError::Unsupported { .. } => PollError::permanent("unsupported", error.to_string()),
            ConnectorError::Setting { .. } => PollError::permanent("setting", error.to_string()),
        }
    }
}

impl From<WalkError> for PollError {
    fn from(error: WalkError) -> Self {
        let code = match error {
            WalkError::Cycle => "listing_cycle",
            WalkError::Endless => "listing_endless",
            WalkError::TieTooLarge { .. } => "listing_tie_too_large",
            WalkError::BeyondWindow { .. } => "listing_beyond_window",
            WalkError::Shrinking => return PollError::Transient(error.to_string()),
        };
        PollError::permanent(code, error.to_string())
    }
}

impl From<VaultError> for PollError {
    fn from(error: VaultError) -> Self {
        PollError::permanent("vault", error.to_string())
    }
}
