//! Ids: 12 bytes, written as 24 lower-case hex characters, the time of making first so that they sort by it.

use crate::clock::Clock;
use crate::random::{NoEntropy, Random};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The text is no id: an id is 24 lower-case hex characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 24 lower-case hex characters")]
pub struct NotAnId;

/// Where an id carries its home: bytes of chance, behind the time.
pub(crate) const HOME: std::ops::Range<usize> = 4..6;

fn parse(text: &str) -> Result<[u8; 12], NotAnId> {
    let mut bytes = [0; 12];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(NotAnId);
    }
    hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAnId)?;
    Ok(bytes)
}

fn make(clock: &Clock, random: &Random) -> Result<[u8; 12], NoEntropy> {
    let mut bytes = [0; 12];
    random.fill(&mut bytes[4..])?;
    let seconds = u32::try_from(clock.now().timestamp()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    Ok(bytes)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// A new id.
            pub fn new(clock: &Clock, random: &Random) -> Result<Self, NoEntropy> {
                make(clock, random).map($name)
            }

            /// The id of something that belongs to a connection: it carries the connection's home, so that a store which
            /// is spread over machines can keep together what is written together.
            #[must_use]
            pub fn at_home_of(mut self, connection: ConnectionId) -> Self {
                self.0[HOME].copy_from_slice(&connection.0[HOME]);
                self
            }

            /// From its bytes, as the store keeps them.
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                $name(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 12] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse(text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A tenant.
    WorkspaceId,
    /// One authorised account at a vendor.
    ConnectionId,
    /// A subscription.
    WebhookId,
    /// What is polled: one connection, object type and set of filters.
    FeedId,
    /// A listing job: a back-fill, for one.
    JobId,
    /// A running process of Anyhook; new at each start.
    NodeId,
    /// Where notifications go.
    DestinationId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_connection_is_at_home_with_it() {
        let (clock, random) = (Clock::system(), Random::seeded(1));
        let connection = ConnectionId::new(&clock, &random).unwrap();
        let alone = WebhookId::new(&clock, &random).unwrap();
        let id = alone.at_home_of(connection);
        assert_eq!(id.as_bytes()[4..6], connection.as_bytes()[4..6]);
        assert_eq!((&id.as_bytes()[..4], &id.as_bytes()[6..]), (&alone.as_bytes()[..4], &alone.as_bytes()[6..]));
        assert_ne!(id, alone);
    }

    #[test]
    fn ids_read_back_and_nothing_else_does() {
        let id = WebhookId::new(&Clock::system(), &Random::seeded(1)).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "xyz", "00000000000000000000000", "0000000000000000000000000", "ABCDEF000000000000000000"] {
            assert_eq!(wrong.parse::<WebhookId>(), Err(NotAnId), "{wrong}");
        }
    }
}
