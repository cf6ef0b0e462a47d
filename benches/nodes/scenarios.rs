//! What is measured, and the nodes that do it.

use crate::common::client::Client;
use crate::common::cost::Meter;
use crate::common::peers::Peer;
use crate::database::{Database, Work};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const API_KEY: &str = "bench-key-0123456789abcdef0123456789abcdef";
/// Long enough that only triggers poll.
const NEVER_MS: f64 = 86_400_000.0;
/// Connections, each with a token and so a shard of its own.
const CONNECTIONS: usize = 64;

/// Runs the scenarios whose names were given, or all, with the numbers of nodes given, or 1, 2 and 4.
pub(crate) fn run(named: &[String]) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let counts: Vec<usize> = named.iter().filter_map(|name| name.parse().ok()).collect();
    let names: Vec<&str> = named.iter().map(String::as_str).filter(|name| name.parse::<usize>().is_err()).collect();
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    println!(
        "{:<34}{:>7}{:>9}{:>11}{:>15}{:>15}{:>10}{:>10}{:>10}",
        "scenario", "nodes", "wall s", "each / s", "node CPU ms", "database CPU", "WAL B", "rows", "commits"
    );
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

/// A server of its own process.
struct Node {
    child: Child,
    client: Client,
}

impl Node {
    fn start(database: &Database) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_anyhook"))
            .arg("serve")
            .env("ANYHOOK_STORE", &database.url)
            .env("ANYHOOK_STORE_SCHEMA", &database.schema)
            .env("ANYHOOK_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .env("ANYHOOK_API_KEY", API_KEY)
            .env("ANYHOOK_LISTEN", "127.0.0.1:0")
            .env("ANYHOOK_VENDORS_ALLOW", "127.0.0.0/8")
            .env("ANYHOOK_DESTINATIONS_ALLOW", "127.0.0.0/8")
            .env("ANYHOOK_API_REQUESTS_PER_SECOND_MAX", "100000")
            .env("ANYHOOK_POLL_JITTER_PERCENT", "0")
            .env("ANYHOOK_POLL_BUDGET_PERCENT", "1000000")
            .env("ANYHOOK_STORE_LEASE_TTL_MS", "20000")
            .env("ANYHOOK_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("a node");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("http://")?.1.to_owned()));
        let client = Client::new(&format!("http://{}", address.expect("its address")), API_KEY);
        Node { child, client }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct World {
    database: Database,
    nodes: Vec<Node>,
    receiver: Peer,
    vendor: Peer,
    webhooks: Vec<String>,
}

/// What had been done when measuring began.
struct Before {
    nodes: Vec<Meter>,
    database: Work,
    at: Instant,
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
        let nodes = self.nodes.iter().map(|node| Meter::of(node.child.id())).collect();
        Before { nodes, database: self.database.work().await, at: Instant::now() }
    }

    async fn end(self, name: &str, each: u64, before: Before, wall: Duration) {
        let cpu: f64 = before.nodes.iter().map(Meter::cpu_seconds).sum();
        // Its statistics are a moment late.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let work = self.database.work().await.since(before.database);
        #[allow(clippy::cast_precision_loss)] // counts far below 2^53
        let (count, wal, rows, commits) = (each as f64, work.wal_bytes as f64, work.rows as f64, work.commits as f64);
        println!(
            "{name:<34}{:>7}{:>9.2}{:>11.0}{:>15.4}{:>15.4}{:>10.0}{:>10.2}{:>10.3}",
            self.nodes.len(),
            wall.as_secs_f64(),
            count / wall.as_secs_f64(),
            cpu * 1_000.0 / count,
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
    let wall = before.at.elapsed();
    world.end(name, total, before, wall).await;
}

/// Feeds that are polled every second while nothing changes.
async fn idle(name: &str, nodes: usize) {
    let world = World::start(nodes, 100, 1_000.0).await;
    let polls = world.nodes[0].client.polls(&world.vendor.url).await;
    let before = world.begin().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let wall = before.at.elapsed();
    let polls = world.nodes[0].client.polls(&world.vendor.url).await - polls;
    world.end(name, polls.max(1), before, wall).await;
}
