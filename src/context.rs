//! What every part of the engine may touch, in one place.

use crate::clock::Clock;
use crate::leases::LeaseKeeper;
use crate::limits::Limits;
use crate::outbound::Outbound;
use crate::random::Random;
use crate::secrets::Vault;
use crate::store::Store;
use std::fmt;
use std::sync::Arc;

/// What every part of the engine may touch. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Where state is kept.
    pub store: Arc<dyn Store>,
    /// The shards this node works on.
    pub leases: Arc<LeaseKeeper>,
    /// The clock.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Secrets at rest.
    pub vault: Arc<Vault>,
    /// The way to vendors.
    pub vendors: Arc<dyn Outbound>,
    /// The way to destinations.
    pub destinations: Arc<dyn Outbound>,
    /// Every limit.
    pub limits: Arc<Limits>,
    /// What vendors and browsers reach us by, without a slash at the end.
    pub public_url: Arc<str>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}
