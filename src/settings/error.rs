//! Why settings are refused.

use thiserror::Error;

/// Why the settings were refused. The text names the setting and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// There is no such setting.
    #[error("unknown setting {name}{}", .meant.as_ref().map(|meant| format!(": did you mean {meant}?")).unwrap_or_default())]
    Unknown {
        /// As it was written.
        name: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// The value cannot be read. Values are not repeated here: some are secrets.
    #[error("{name} must be {expected}")]
    Invalid {
        /// As it was written.
        name: String,
        /// What it must be.
        expected: String,
    },
    /// Two settings contradict each other, or one asks for what cannot be.
    #[error("{0}")]
    Contradiction(String),
    /// The file is not TOML.
    #[error("the settings file cannot be read: {0}")]
    Malformed(String),
}

pub(super) fn invalid(name: &str, expected: impl Into<String>) -> SettingsError {
    SettingsError::Invalid { name: name.to_owned(), expected: expected.into() }
}
