//! What a while has cost the nodes and the database.

use crate::common::cost::Meter;
use crate::database::{Database, Work};
use crate::node::Node;
use std::time::{Duration, Instant};

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
    pub(crate) async fn now(nodes: &[Node], database: &Database) -> Self {
        let nodes = nodes.iter().map(|node| Meter::of(node.pid())).collect();
        Before { nodes, database: database.work().await, at: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    /// Up to now; of the database a moment longer, since its statistics are as late.
    pub(crate) async fn costs(&self, database: &Database) -> Costs {
        let nodes_cpu = self.nodes.iter().map(Meter::cpu_seconds).sum();
        let wall = self.elapsed();
        tokio::time::sleep(Duration::from_secs(1)).await;
        Costs { wall, nodes_cpu, database: database.work().await.since(self.database) }
    }
}

/// A count as a number to divide by.
#[allow(clippy::cast_precision_loss)] // counts far below 2^53
pub(crate) fn per(count: u64) -> f64 {
    count.max(1) as f64
}
