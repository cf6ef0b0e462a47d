//! Versions of the payload's shape.

use serde::{Deserialize, Serialize};

/// A version of what deliveries look like, named by the day on which it was set down. Anything that a receiver could
/// trip over makes a new one: a field that goes, is renamed or holds another kind of value. New fields and new values of
/// `type` do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum PayloadVersion {
    /// The first: webhooks that were made before versions were kept have it.
    #[default]
    #[serde(rename = "2026-11-22")]
    First,
}

impl PayloadVersion {
    /// The header in which deliveries and the API's answers name it.
    pub const HEADER: &'static str = "anyhook-version";

    /// All of them, oldest first.
    pub const ALL: &'static [PayloadVersion] = &[PayloadVersion::First];

    /// The one that new webhooks get, and that the API answers in.
    pub const NEWEST: PayloadVersion = PayloadVersion::First;

    /// As headers and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PayloadVersion::First => "2026-11-22",
        }
    }

    /// True for the first.
    pub fn is_first(&self) -> bool {
        *self == PayloadVersion::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_as_they_are_told() {
        for version in PayloadVersion::ALL {
            assert_eq!(serde_json::to_string(version).unwrap(), format!("{:?}", version.as_str()));
        }
        assert_eq!(PayloadVersion::ALL.last(), Some(&PayloadVersion::NEWEST));
    }
}
