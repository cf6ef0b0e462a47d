//! What a unit of work has to itself while it runs, so that what it reads stays true until it is committed.
//!
//! Where one thread runs all units, nothing is needed for that. Where several nodes write into one database, a
//! transaction locks the domains of its units before it reads anything.

use super::engine::Read;
use super::{connections, delivery_row, listings, marks};
use crate::ids::{ConnectionId, FeedId, JobId, WebhookId, WorkspaceId};
use crate::store::{ShardId, StoreError};
use xxhash_rust::xxh3::xxh3_64;

/// Something that one unit at a time works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Domain {
    /// What there is one of: workspaces, the store's key, what is to be cleaned up.
    Store,
    /// All rows of a shard: its connections, feeds, webhooks, jobs and destinations.
    Shard(ShardId),
    /// The shard of a connection.
    Connection(ConnectionId),
    /// The shard of a feed.
    Feed(FeedId),
    /// The shard of a webhook, or of a destination that is served as one.
    Webhook(WebhookId),
    /// The shard of a listing job.
    Job(JobId),
    /// A workspace's notifications and who listens to them: units of all shards write there.
    Workspace(WorkspaceId),
    /// A vendor's quota, by a hash of its name.
    Quota(u64),
}

impl Domain {
    /// The domain of a quota.
    pub(crate) fn quota(name: &str) -> Self {
        Domain::Quota(xxh3_64(name.as_bytes()))
    }

    /// The shard of a domain that is one, or that an id names; none where there is no such row.
    pub(crate) fn shard(self, read: &dyn Read) -> Result<Option<ShardId>, StoreError> {
        Ok(match self {
            Domain::Shard(shard) => Some(shard),
            Domain::Connection(id) => connections::connection(read, id)?.map(|connection| connection.shard),
            Domain::Feed(id) => marks::marks(read, id)?.map(|marks| marks.shard),
            Domain::Webhook(id) => delivery_row::delivery(read, id)?.map(|delivery| delivery.shard),
            Domain::Job(id) => listings::job(read, id)?.map(|job| job.shard),
            Domain::Store | Domain::Workspace(_) | Domain::Quota(_) => None,
        })
    }
}
