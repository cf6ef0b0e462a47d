//! What is measured. Each scenario has a server of its own on a fresh sled directory.

use crate::common::client::Client;
use crate::common::cost::{self, Meter};
use crate::common::peers::Peer;
use anyhook::server::Server;
use anyhook::settings::Settings;
use std::process::ExitCode;
use std::time::Duration;
use tempfile::TempDir;

const API_KEY: &str = "bench-key-0123456789abcdef0123456789abcdef";
/// Long enough that only triggers poll.
const NEVER_MS: f64 = 86_400_000.0;

/// Runs the scenarios whose names were given, or all.
pub(crate) fn run(named: &[String]) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let wanted = |name: &str| named.is_empty() || named.iter().any(|given| given == name);
    println!(
        "{:<28}{:>10}{:>12}{:>14}{:>14}{:>12}{:>15}{:>10}",
        "scenario", "wall s", "CPU s", "per CPU s", "CPU ms each", "disk B each", "written B each", "peak MiB"
    );
    if wanted("live") {
        runtime.block_on(records("live, 100,000 records", 100_000, false));
    }
    if wanted("history") {
        runtime.block_on(records("history, 200,000 records", 200_000, true));
    }
    if wanted("single") {
        runtime.block_on(deliveries("10,000 to one endpoint", 10_000, 1));
    }
    if wanted("fan-out") {
        runtime.block_on(deliveries("500 each to 100 endpoints", 500, 100));
    }
    if wanted("idle") {
        runtime.block_on(idle("idle polls, 100 feeds", 100));
    }
    ExitCode::SUCCESS
}

/// What a scenario has cost.
struct Measured {
    cpu: f64,
    wall: Duration,
    /// Bytes.
    written: u64,
}

impl Measured {
    fn of(meter: &Meter) -> Self {
        Measured { cpu: meter.cpu_seconds(), wall: meter.wall(), written: meter.written() }
    }
}

struct World {
    server: Server,
    client: Client,
    directory: TempDir,
    receiver: Peer,
    vendor: Peer,
}

impl World {
    async fn start(records: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let loopback = || vec!["127.0.0.0/8".parse().expect("a network")];
        let mut settings = Settings {
            listen: "127.0.0.1:0".parse().expect("an address"),
            data_dir: directory.path().join("data"),
            api_key: Some(anyhook::settings::Secret::new(API_KEY.to_owned())),
            destinations_allow: loopback(),
            vendors_allow: loopback(),
            ..Settings::default()
        };
        settings.limits.api.requests_per_second_max = 100_000;
        settings.limits.poll.jitter_percent = 0;
        settings.limits.poll.budget_percent = 1_000_000;
        let (server, _) = Server::start(&settings, None).await.expect("a server");
        let client = Client::new(server.url(), API_KEY);
        World { client, server, directory, receiver: Peer::receiver(), vendor: Peer::vendor(records) }
    }

    fn hook(&self, index: usize) -> String {
        format!("{}/hook/{index}", self.receiver.url)
    }

    async fn end(self, name: &str, each: u64, measured: Measured) {
        #[allow(clippy::cast_precision_loss)] // counts far below 2^53
        let count = each as f64;
        let Measured { cpu, wall, written } = measured;
        let disk = cost::directory_bytes(&self.directory.path().join("data"));
        println!(
            "{name:<28}{:>10.2}{cpu:>12.2}{:>14.0}{:>14.4}{:>12}{:>15}{:>10}",
            wall.as_secs_f64(),
            count / cpu.max(0.01),
            cpu * 1000.0 / count,
            disk / each.max(1),
            written / each.max(1),
            cost::peak_memory_mib(),
        );
        self.server.stop().await.expect("an end");
    }
}

/// A webhook gets records in batches of 100: found by polling, or as history.
async fn records(name: &str, count: u64, is_history: bool) {
    let world = World::start(if is_history { u32::try_from(count).expect("a count") } else { 0 }).await;
    let connection = world.client.connect(&world.vendor.url).await;
    let meter;
    if is_history {
        meter = Meter::start();
        world.client.subscribe(&connection, &world.hook(0), 100, true, NEVER_MS).await;
    } else {
        let webhook = world.client.subscribe(&connection, &world.hook(0), 100, false, NEVER_MS).await;
        world.client.wait_polled(&webhook).await;
        world.client.create(&world.vendor.url, count).await;
        meter = Meter::start();
        world.client.trigger(&webhook).await;
    }
    world.client.wait_taken(&world.receiver.url, count).await;
    let measured = Measured::of(&meter);
    world.end(name, count, measured).await;
}

/// Webhooks get every record in a payload of its own.
async fn deliveries(name: &str, count: u64, endpoints: usize) {
    let world = World::start(0).await;
    let connection = world.client.connect(&world.vendor.url).await;
    let mut webhook = String::new();
    for index in 0..endpoints {
        webhook = world.client.subscribe(&connection, &world.hook(index), 1, false, NEVER_MS).await;
    }
    world.client.wait_polled(&webhook).await;
    world.client.create(&world.vendor.url, count).await;
    let meter = Meter::start();
    world.client.trigger(&webhook).await;
    let total = count * endpoints as u64;
    world.client.wait_taken(&world.receiver.url, total).await;
    let measured = Measured::of(&meter);
    world.end(name, total, measured).await;
}

/// Feeds that are polled every second while nothing changes.
async fn idle(name: &str, feeds: usize) {
    let world = World::start(0).await;
    let mut webhook = String::new();
    for index in 0..feeds {
        let connection = world.client.connect(&world.vendor.url).await;
        webhook = world.client.subscribe(&connection, &world.hook(index), 100, false, 1_000.0).await;
    }
    world.client.wait_polled(&webhook).await;
    let before = world.client.polls(&world.vendor.url).await;
    let meter = Meter::start();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let measured = Measured::of(&meter);
    let polls = world.client.polls(&world.vendor.url).await - before;
    world.end(name, polls.max(1), measured).await;
}
