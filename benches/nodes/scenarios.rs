//! What is measured, and the nodes that do it.

use crate::common::peers::Peer;
use crate::costs::{BUSY_COUNTS_AFTER, Before, Costs, IDLE_COUNTS_AFTER};
use crate::database::Database;
use crate::node::Node;
use crate::{ledger, many};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// Long enough that only triggers poll.
const NEVER_MS: f64 = 86_400_000.0;
/// Connections, each with a token and so a shard of its own.
const CONNECTIONS: usize = 64;

/// Runs the scenarios whose names were given, or those that are short, with the numbers of nodes given, or 1, 2 and 4.
pub(crate) fn run(named: &[String]) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let counts: Vec<usize> = named.iter().filter_map(|name| name.parse().ok()).collect();
    let names: Vec<&str> = named.iter().map(String::as_str).filter(|name| name.parse::<usize>().is_err()).collect();
    let asked = |name: &str, usual: u64| {
        names.iter().find_map(|asked| match asked.split_once('=') {
            Some((asked, count)) if asked == name => Some(count.parse().expect("a count")),
            None if *asked == name => Some(usual),
            _ => None,
        })
    };
    if let Some(webhooks) = asked("many", 100_000) {
        runtime.block_on(many::run(webhooks, false));
    }
    if let Some(webhooks) = asked("stored", 100_000) {
        runtime.block_on(many::run(webhooks, true));
    }
    if let Some(records) = asked("ledger", 20_000_000) {
        runtime.block_on(ledger::run(records));
    }
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    if ["changes", "single", "idle"].into_iter().any(wanted) {
        println!(
            "{:<34}{:>7}{:>9}{:>11}{:>15}{:>15}{:>10}{:>10}{:>10}",
            "scenario", "nodes", "wall s", "each / s", "node CPU ms", "database CPU", "WAL B", "rows", "commits"
        );
    }
    for nodes in if counts.is_empty() { vec![1, 2, 4] } else { counts } {
        if wanted("changes") {
            runtime.block_on(changes("64,000 changes, 100 a payload", nodes, 1_000, 100));
        }
        if wanted("single") {
            runtime.block_on(changes("12,800 payloads of one record", nodes, 200, 1));
        }
        if wanted("idle") {
            runtime.block_on(idle("idle polls, 64 feeds", nodes));
        }
    }
    ExitCode::SUCCESS
}

struct World {
    database: Database,
    nodes: Vec<Node>,
    receiver: Peer,
    vendor: Peer,
    webhooks: Vec<String>,
}

impl World {
    async fn start(count: usize, records_max: u32, interval_ms: f64) -> Self {
        let database = Database::new(&count.to_string()).await;
        let nodes: Vec<Node> = (0..count).map(|_| Node::start(&database)).collect();
        let (receiver, vendor) = (Peer::receiver(), Peer::vendor(0));
        let mut webhooks = Vec::new();
        for index in 0..CONNECTIONS {
            let client = &nodes[index % count].client;
            let auth = json!({"api_url": vendor.url, "token": format!("sandbox-{index}")});
            let connection = client.import("sandbox", &auth).await;
            let hook = format!("{}/hook/{index}", receiver.url);
            webhooks.push(client.subscribe(&connection, &hook, records_max, false, interval_ms).await);
        }
        let world = World { database, nodes, receiver, vendor, webhooks };
        for webhook in &world.webhooks {
            world.nodes[0].client.wait_polled(webhook).await;
        }
        world
    }

    async fn begin(&self) -> Before {
        Before::settled(&self.nodes, &self.database).await
    }

    async fn end(self, name: &str, each: u64, costs: Costs) {
        let Costs { wall, nodes_cpu, database: work } = costs;
        #[allow(clippy::cast_precision_loss)] // counts far below 2^53
        let (count, wal, rows, commits) = (each as f64, work.wal_bytes as f64, work.rows as f64, work.commits as f64);
        println!(
            "{name:<34}{:>7}{:>9.2}{:>11.0}{:>15.4}{:>15.4}{:>10.0}{:>10.2}{:>10.3}",
            self.nodes.len(),
            wall.as_secs_f64(),
            count / wall.as_secs_f64(),
            nodes_cpu * 1_000.0 / count,
            work.cpu * 1_000.0 / count,
            wal / count,
            rows / count,
            commits / count,
        );
        let World { nodes, database, .. } = self;
        drop(nodes);
        database.drop().await;
    }
}

/// Each of the webhooks is told of the same new records.
async fn changes(name: &str, nodes: usize, records: u64, records_max: u32) {
    let world = World::start(nodes, records_max, NEVER_MS).await;
    world.nodes[0].client.create(&world.vendor.url, records).await;
    let before = world.begin().await;
    for (index, webhook) in world.webhooks.iter().enumerate() {
        world.nodes[index % nodes].client.trigger(webhook).await;
    }
    let total = records * CONNECTIONS as u64;
    world.nodes[0].client.wait_taken(&world.receiver.url, total).await;
    let costs = before.costs(&world.database, IDLE_COUNTS_AFTER).await;
    world.end(name, total, costs).await;
}

/// Feeds that are polled every second while nothing changes.
async fn idle(name: &str, nodes: usize) {
    let world = World::start(nodes, 100, 1_000.0).await;
    let before = world.begin().await;
    let polls = world.nodes[0].client.polls(&world.vendor.url).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let polled = world.nodes[0].client.polls(&world.vendor.url).await - polls;
    let costs = before.costs(&world.database, BUSY_COUNTS_AFTER).await;
    world.end(name, polled.max(1), costs).await;
}
