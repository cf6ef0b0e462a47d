//! Locks: which row of the table of locks stands for a domain.
//!
//! They are rows and not advisory locks, so that databases which only speak PostgreSQL's protocol keep them too. A
//! transaction takes all it needs in the order of their numbers, before anything else: so none waits for another in a
//! circle.

use crate::store::SHARDS;
use crate::store::kv::Domain;
use xxhash_rust::xxh3::xxh3_64;

/// Workspaces share this many.
const WORKSPACES: i32 = 1_024;
/// Quotas share this many.
const QUOTAS: i32 = 256;
const STORE: i32 = SHARDS as i32;
const FIRST_WORKSPACE: i32 = STORE + 1;
const FIRST_QUOTA: i32 = FIRST_WORKSPACE + WORKSPACES;

/// How many there are.
pub(super) const COUNT: i32 = FIRST_QUOTA + QUOTAS;

fn stripe(hash: u64, count: i32) -> i32 {
    i32::try_from(hash % u64::from(count.unsigned_abs())).unwrap_or_default()
}

/// The lock of a domain; none for one that is known by an id whose shard has to be found first.
pub(super) fn of(domain: Domain) -> Option<i32> {
    match domain {
        Domain::Shard(shard) => Some(i32::from(shard.0)),
        Domain::Store => Some(STORE),
        Domain::Workspace(id) => Some(FIRST_WORKSPACE + stripe(xxh3_64(id.as_bytes()), WORKSPACES)),
        Domain::Quota(hash) => Some(FIRST_QUOTA + stripe(hash, QUOTAS)),
        Domain::Connection(_) | Domain::Feed(_) | Domain::Webhook(_) | Domain::Job(_) => None,
    }
}

/// Those of some domains, each once and in order.
pub(super) fn all<'a>(domains: impl IntoIterator<Item = &'a Domain>) -> Vec<i32> {
    let mut ids: Vec<i32> = domains.into_iter().filter_map(|domain| of(*domain)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
