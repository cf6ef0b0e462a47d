//! The Store contract: what the engine asks of wherever its state is kept, by noun and in units of work.
//!
//! - A call that writes returns once what it wrote is durable, and not before.
//! - Each call is one transaction: all of it happens, or nothing.
//! - What a page needs (changes, ledger, progress) is one call; so is an attempt with its position and audit row.
//! - Calls that belong to a shard carry a [`Fence`]; a node whose lease passed to another can write nothing there.
//! - A log sequence is taken inside the appending transaction, so that pages are never out of order or missing.
//! - No call reads everything: lists have limits, scans have a shard or a feed.
//!
//! The promises of each call are bullets in its doc comment, each with a test in one suite that every implementation
//! passes (`tests/store_suite/`).

mod attempt;
mod audit;
mod behind;
mod connection;
mod delivery;
mod delivery_settings;
mod destination;
mod feed;
mod insight;
mod kept;
pub(crate) mod kv;
mod lease;
mod list;
mod listing;
mod log;
mod memory;
mod moves;
pub(crate) mod moving;
mod notification;
mod payload_version;
mod postgres;
mod replay;
mod signing_secrets;
mod sled;
mod sweep;
mod webhook;
mod workspace;

pub use attempt::{AnswerBody, Attempt, Span};
pub use audit::{ApiCall, ApiCallQuery, Audit, CallKind, ChangeCounts, NextRun, NextWhy};
pub use behind::{CatchUp, KeptDeletion, Missed, Trim};
pub use connection::{Connection, ConnectionProfile, ConnectionQuery, Connections, Contact};
pub use delivery::{
    AttemptFinish, Beside, Deliveries, DeliveryState, DueRetry, Outcome, Position, Retry, Skip, Standing, Stream,
    WebhookHealth,
};
pub use delivery_settings::{DeliverySettings, SealedHeaders, TemplatePer};
pub use destination::{Destination, Destinations, EventPattern, NotAnEvent, Subscription};
pub use feed::{
    Depth, DueFeed, Feed, FeedHealth, FeedSettings, FeedState, Feeds, LedgerEntry, PageCommit, PageCommitted,
    PollStart, Progress, RunFinish, SweepHealth,
};
pub use insight::{Figures, Insight, InsightQuery, Insights, LAG_BOUNDS_MS, Lags, Resolution};
pub use kept::{Keep, Kept, KeptMark};
pub use lease::{Duty, Fence, Heartbeat, Leases, LiveNode, Pause, SHARDS, ShardId};
pub use list::{ListOrder, ListPage, ListSort};
pub use listing::{JobMode, JobState, ListingCommit, ListingJob, ListingTally, Listings, PaceMark};
pub use log::{ArrivalCommit, ArrivalFeed, Arrived, DeliveryKey, Log, LogHead, TRIM_PAGES_MAX};
pub use memory::MemoryStore;
pub use moves::{Checkpoint, Move, MoveState, Moves};
pub use notification::{
    Notification, NotificationDetails, NotificationEvent, NotificationQuery, Notifications, PlacedNotification,
};
pub use payload_version::PayloadVersion;
pub(crate) use postgres::PostgresSide;
pub use postgres::{PostgresOptions, PostgresStore, WrongUrl};
pub use replay::{Replay, ReplayPart, ReplayState, ReplayStep, Replays};
pub use signing_secrets::{FormerSecret, SigningSecrets};
pub(crate) use sled::SledSide;
pub use sled::SledStore;
pub use sweep::{Sweep, SweepCommit, SweepPhase, Sweeps};
pub use webhook::{NewWebhook, Registered, Webhook, WebhookKind, WebhookQuery, Webhooks};
pub use workspace::{SignatureEncoding, Workspace, Workspaces};

use crate::ids::{ConnectionId, DestinationId, FeedId, JobId, WebhookId, WorkspaceId};
use thiserror::Error;
use tokio::sync::{broadcast, watch};

/// Why a call failed. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The shard's lease has passed to another node: stop working on it.
    #[error("the lease to {} shard {} has passed to another node", .0.duty.as_str(), .0.shard.0)]
    Fenced(Fence),
    /// What was read has changed since: read again and decide anew.
    #[error("the {0} has changed since it was read")]
    Conflict(&'static str),
    /// There is no such row.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// There already is such a row.
    #[error("there already is such a {0}")]
    Exists(&'static str),
    /// The store cannot be reached or written now; it may work later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A row cannot be read: damaged, or written by a newer build.
    #[error("the store holds a row that this build cannot read: {0}")]
    Unreadable(String),
}

/// Everything that is kept.
pub trait Store:
    Workspaces
    + Connections
    + Webhooks
    + Feeds
    + Sweeps
    + Log
    + Deliveries
    + Listings
    + Replays
    + Audit
    + Notifications
    + Insights
    + Destinations
    + Leases
    + Moves
    + Send
    + Sync
    + 'static
{
    /// What other parts, and other nodes, have written, as it becomes durable.
    ///
    /// - Every committed change that a [`Wake`] describes is sent after it is durable.
    /// - A receiver that lags is told so by the channel and looks for itself.
    fn wakes(&self) -> broadcast::Receiver<Wake>;

    /// Why the store has failed for good, once it has: the process has to end, and be started again. A store that never
    /// does so keeps the default.
    fn failure(&self) -> watch::Receiver<Option<String>> {
        watch::channel(None).1
    }
}

/// Something durable happened that someone may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// A feed's log has grown.
    LogGrew(FeedId),
    /// A feed is to be polled sooner than was known: new, pinged, its interval shortened.
    FeedDue(FeedId),
    /// A webhook or a destination ([`Destination::served_as`]) was made, changed, resumed or deleted.
    WebhookChanged(WebhookId),
    /// A listing job was made, ended or has pages to deliver.
    JobChanged(JobId, WebhookId),
    /// A connection was changed or deleted; not where it was noted alone that it works as before.
    ConnectionChanged(ConnectionId),
    /// A workspace was changed.
    WorkspaceChanged(WorkspaceId),
    /// There is a notification that a destination listens to.
    Notified(DestinationId),
    /// What another node has written may have been missed: look for yourself.
    Missed,
}
