//! What a while has cost the nodes and the database.

use crate::common::cost::Meter;
use crate::database::{Database, Work};
use crate::node::Node;
use std::time::{Duration, Instant};

/// How late a connection tells its counts that does nothing, and a little more (PostgreSQL's PGSTAT_IDLE_INTERVAL).
pub(crate) const IDLE_COUNTS_AFTER: Duration = Duration::from_millis(10_500);
/// The same of one that is at work (PGSTAT_MIN_INTERVAL).
pub(crate) const BUSY_COUNTS_AFTER: Duration = Duration::from_secs(1);

/// What had been done when measuring began.
pub(crate) struct Before {
    nodes: Vec<Meter>,
    database: Work,
    at: Instant,
}

/// What was done since.
pub(crate) struct Costs {
    pub(crate) wall: Duration,
    /// CPU seconds of all nodes.
    pub(crate) nodes_cpu: f64,
    pub(crate) database: Work,
}

impl Before {
    /// From when what was done before has been counted.
    pub(crate) async fn settled(nodes: &[Node], database: &Database) -> Self {
        tokio::time::sleep(IDLE_COUNTS_AFTER).await;
        Before::now(nodes, database).await
    }

    /// From now on.
    pub(crate) async fn now(nodes: &[Node], database: &Database) -> Self {
        let nodes = nodes.iter().map(|node| Meter::of(node.pid())).collect();
        Before { nodes, database: database.work().await, at: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    /// Up to now; what the database counts as late as its connections tell it.
    pub(crate) async fn costs(&self, database: &Database, counts_after: Duration) -> Costs {
        let nodes_cpu = self.nodes.iter().map(Meter::cpu_seconds).sum();
        let wall = self.elapsed();
        let cpu = database.work().await.cpu;
        tokio::time::sleep(counts_after).await;
        let done = Work { cpu, ..database.work().await };
        Costs { wall, nodes_cpu, database: done.since(self.database) }
    }
}

/// A count as a number to divide by.
#[allow(clippy::cast_precision_loss)] // counts far below 2^53
pub(crate) fn per(count: u64) -> f64 {
    count.max(1) as f64
}
