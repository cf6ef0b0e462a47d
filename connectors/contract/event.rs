//! Native webhooks: what a vendor pushed, and how it is asked to.

use super::{Account, Headers, Record};
use crate::model::ObjectType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It came to be.
    Created,
    /// It changed.
    Updated,
    /// It is gone.
    Deleted,
}

impl Change {
    /// The word the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Created => "created",
            Change::Updated => "updated",
            Change::Deleted => "deleted",
        }
    }
}

/// A native webhook, verified by the engine before a connector sees it.
#[derive(Debug, Clone, Copy)]
pub struct NativeEvent<'a> {
    /// The connection's settings.
    pub account: Account<'a>,
    /// The request's headers.
    pub headers: &'a Headers,
    /// The request's query, decoded.
    pub query: &'a BTreeMap<String, String>,
    /// The request's raw body.
    pub body: &'a [u8],
}

/// What a native webhook says.
#[derive(Debug, Clone)]
pub enum Arrival<'a> {
    /// A record, whole.
    Record {
        /// What it is.
        object_type: ObjectType,
        /// What happened to it.
        change: Change,
        /// The record as it is now, or as last known where it was deleted.
        record: Box<Record<'a>>,
        /// Values of the filters that this record answers to, by the filters' names, so that the engine can tell
        /// which feeds it belongs to. A filter not named here cannot be matched, and the feed is polled instead. Of a
        /// name that comes more than once, any of the values will do.
        matches: Vec<(&'static str, String)>,
        /// The id of the parent, for types that live under one. Without it such a record is polled.
        parent: Option<String>,
    },
    /// Something of this type changed: poll now.
    PollNow(ObjectType),
    /// Nothing to do: pings, unknown events.
    Ignore,
}

/// A native webhook to be registered at the vendor.
#[derive(Debug, Clone, Copy)]
pub struct HookJob<'a> {
    /// The connection's settings.
    pub account: Account<'a>,
    /// What to hear of.
    pub object_type: ObjectType,
    /// The webhook's filters.
    pub filters: &'a BTreeMap<String, String>,
    /// Where the vendor shall push to.
    pub ingress_url: &'a str,
    /// The secret it shall sign with.
    pub secret: &'a str,
}

/// What the vendor gave when a native webhook was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The vendor's id of it.
    pub id: String,
    /// A secret the vendor chose, where it does not take ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}
