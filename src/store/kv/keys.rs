//! Keys: big-endian parts, so that the order of bytes is the order that is meant.

use crate::ids::{ConnectionId, DestinationId, FeedId, JobId, NodeId, WebhookId, WorkspaceId};
use crate::store::{Duty, ShardId};
use anyhook_connectors::model::ObjectType;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Bytes of an id.
pub(super) const ID_BYTES: usize = 12;
/// Bytes of a time.
pub(super) const TIME_BYTES: usize = 12;

/// What an index row leads from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Index {
    WorkspaceByKey = 1,
    ConnectionOfWorkspace = 2,
    WebhookOfWorkspace = 3,
    WebhookOfFeed = 4,
    WebhookOfShard = 5,
    FeedOfConnection = 6,
    FeedBySubject = 7,
    JobOfWebhook = 8,
    OpenJobOfShard = 9,
    DestinationOfWorkspace = 10,
    DestinationOfShard = 11,
    OpenReplayOfShard = 12,
    ConnectionCount = 13,
}

impl Index {
    /// The key of a row, or what all rows of one owner begin with.
    pub(super) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        join(self as u8, parts)
    }
}

/// Where the id of the owner stands in the key of an index row of this kind; none for rows that no id owns.
pub(crate) fn index_owner_at(kind: u8) -> Option<usize> {
    let owned = [
        Index::ConnectionOfWorkspace,
        Index::WebhookOfWorkspace,
        Index::WebhookOfFeed,
        Index::FeedOfConnection,
        Index::FeedBySubject,
        Index::JobOfWebhook,
        Index::DestinationOfWorkspace,
        Index::ConnectionCount,
    ];
    owned.iter().any(|index| *index as u8 == kind).then_some(1)
}

/// What becomes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum DueKind {
    Poll = 1,
    Retry = 2,
}

impl DueKind {
    /// The key of a row.
    pub(super) fn key(self, of: ShardId, at: DateTime<Utc>, id: &[u8; ID_BYTES]) -> Vec<u8> {
        join(self as u8, &[&shard(of), &time(at), id])
    }
}

/// What is to be cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Grave {
    Feed = 1,
    Spool = 2,
    Calls = 3,
    Arrivals = 4,
    Sweep = 5,
    Insights = 6,
}

impl Grave {
    /// The key of a row.
    pub(super) fn key(self, id: &[u8]) -> Vec<u8> {
        join(self as u8, &[id])
    }
}

/// One byte and then the parts.
pub(super) fn join(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(first);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// An id and what comes behind it.
pub(super) fn under(id: &[u8; ID_BYTES], rest: &[u8]) -> Vec<u8> {
    [&id[..], rest].concat()
}

/// A row of a page.
pub(super) fn chunk(owner: &[u8; ID_BYTES], sequence: u64, chunk: u16) -> Vec<u8> {
    [&owner[..], &sequence.to_be_bytes(), &chunk.to_be_bytes()].concat()
}

/// A shard.
pub(super) fn shard(shard: ShardId) -> [u8; 2] {
    shard.0.to_be_bytes()
}

/// A duty's lease of a shard.
pub(super) fn lease(duty: Duty, of: ShardId) -> Vec<u8> {
    let duty = match duty {
        Duty::Poll => 1,
        Duty::Deliver => 2,
    };
    join(duty, &[&shard(of)])
}

/// A time, such that earlier times are smaller. Nothing is lost.
pub(super) fn time(at: DateTime<Utc>) -> [u8; TIME_BYTES] {
    let mut key = [0; TIME_BYTES];
    key[..8].copy_from_slice(&(at.timestamp().cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key[8..].copy_from_slice(&at.timestamp_subsec_nanos().to_be_bytes());
    key
}

/// The time that [`time`] wrote.
pub(super) fn read_time(key: &[u8]) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = key.split_at_checked(8)?;
    let seconds = u64::from_be_bytes(seconds.try_into().ok()?) ^ (1 << 63);
    DateTime::from_timestamp(seconds.cast_signed(), u32::from_be_bytes(nanos.try_into().ok()?))
}

/// What makes a feed one feed: connection, object type and filters.
pub(super) fn subject(
    connection: ConnectionId,
    object_type: ObjectType,
    filters: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut hash = Sha256::new();
    for text in
        std::iter::once(object_type.as_str()).chain(filters.iter().flat_map(|(name, value)| [&**name, &**value]))
    {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    Index::FeedBySubject.key(&[connection.as_bytes(), &hash.finalize()])
}

macro_rules! id_from_key {
    ($($name:ident),*) => {$(
        impl FromKey for $name {
            fn from_key(key: &[u8]) -> Option<Self> {
                key.get(key.len().checked_sub(ID_BYTES)?..)?.try_into().ok().map($name::from_bytes)
            }
        }
    )*};
}

/// An id that stands at the end of a key.
pub(super) trait FromKey: Sized {
    fn from_key(key: &[u8]) -> Option<Self>;
}

id_from_key!(WorkspaceId, ConnectionId, WebhookId, FeedId, JobId, DestinationId, NodeId);
