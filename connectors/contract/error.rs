//! What can go wrong in a connector, and what an answer's status means.

use thiserror::Error;

/// Why a connector could not build a request or read an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectorError {
    /// The integration cannot do this; the text names what.
    #[error("this integration does not support {what}")]
    Unsupported {
        /// The thing asked for, as a noun phrase.
        what: String,
    },
    /// A setting of the connection or webhook is missing or wrong; a person has to correct it.
    #[error("{field}: {message}")]
    Setting {
        /// The field as the API names it, such as `auth.meta.repository`.
        field: String,
        /// What is wrong with it and what to put there.
        message: String,
    },
    /// The answer is not what the vendor documents: truncated, HTML, another shape.
    #[error("the vendor's answer could not be read: {message}")]
    Malformed {
        /// What was expected and what was found, without the body.
        message: String,
    },
    /// The remembered token or cursor is no longer accepted: a full listing is needed.
    #[error("the vendor no longer accepts the remembered cursor")]
    CursorExpired,
}

impl ConnectorError {
    /// An [`ConnectorError::Unsupported`] naming `what`.
    pub fn unsupported(what: impl Into<String>) -> Self {
        ConnectorError::Unsupported { what: what.into() }
    }

    /// A [`ConnectorError::Setting`] for `field`.
    pub fn setting(field: impl Into<String>, message: impl Into<String>) -> Self {
        ConnectorError::Setting { field: field.into(), message: message.into() }
    }

    /// A [`ConnectorError::Malformed`].
    pub fn malformed(message: impl Into<String>) -> Self {
        ConnectorError::Malformed { message: message.into() }
    }
}

impl From<serde_json::Error> for ConnectorError {
    fn from(error: serde_json::Error) -> Self {
        ConnectorError::malformed(error.to_string())
    }
}

/// Why one record of a page could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct RecordError(
    /// What is wrong with it.
    pub String,
);

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        RecordError(error.to_string())
    }
}

/// What the status of an answer means to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is to be read.
    Read,
    /// What was asked for does not exist (any more).
    NotFound,
    /// The remembered cursor is no longer accepted.
    CursorExpired,
    /// Too many requests: the whole budget pauses.
    RateLimited,
    /// The credential is not accepted: refresh it once, then the connection is unhealthy.
    Credential,
    /// It may work later.
    Transient,
    /// It will not work until a person changes something.
    Permanent,
}

impl Verdict {
    /// The usual meaning of a status (RFC 9110).
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Verdict::Read,
            401 => Verdict::Credential,
            404 | 410 => Verdict::NotFound,
            429 => Verdict::RateLimited,
            408 | 425 | 500..=599 => Verdict::Transient,
            _ => Verdict::Permanent,
        }
    }
}
