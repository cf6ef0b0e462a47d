//! What a unit of work has to itself while it runs, so that what it reads stays true until it is committed.
//!
//! Where one thread runs all units, nothing is needed for that. Where several nodes write into one database, a
//! transaction locks the domains of its units before it reads anything.

use crate::ids::{ConnectionId, FeedId, JobId, WebhookId, WorkspaceId};
use crate::store::ShardId;
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
}
