//! A node: a server of its own process on the bench's database.

use crate::common::client::Client;
use crate::common::cost;
use crate::database::Database;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const API_KEY: &str = "bench-key-0123456789abcdef0123456789abcdef";
/// Longer than a dead node's leases last.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running node, ended with this value.
pub(crate) struct Node {
    child: Child,
    pub(crate) client: Client,
    url: String,
    started: Instant,
}

impl Node {
    /// Polls at exactly the interval.
    pub(crate) fn start(database: &Database) -> Self {
        Node::with(database, &[("ANYHOOK_POLL_JITTER_PERCENT", "0")])
    }

    /// With settings of its own. BENCH_NODE names the binary of another build.
    pub(crate) fn with(database: &Database, settings: &[(&str, &str)]) -> Self {
        let own = || env!("CARGO_BIN_EXE_anyhook").into();
        let started = Instant::now();
        let mut child = Command::new(std::env::var_os("BENCH_NODE").unwrap_or_else(own))
            .arg("serve")
            .env("ANYHOOK_STORE", &database.url)
            .env("ANYHOOK_STORE_SCHEMA", &database.schema)
            .env("ANYHOOK_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .env("ANYHOOK_API_KEY", API_KEY)
            .env("ANYHOOK_LISTEN", "127.0.0.1:0")
            .env("ANYHOOK_VENDORS_ALLOW", "127.0.0.0/8")
            .env("ANYHOOK_DESTINATIONS_ALLOW", "127.0.0.0/8")
            .env("ANYHOOK_API_REQUESTS_PER_SECOND_MAX", "100000")
            .env("ANYHOOK_POLL_BUDGET_PERCENT", "1000000")
            .env("ANYHOOK_LOG", "warn")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a node");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("http://")?.1.to_owned()));
        let url = format!("http://{}", address.expect("its address"));
        Node { child, client: Client::new(&url, API_KEY), url, started }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        let asked = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "the node can be asked to end");
        let _ = self.child.wait();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn resident_mib(&self) -> u64 {
        cost::resident_mib(self.pid())
    }

    pub(crate) fn peak_mib(&self) -> u64 {
        cost::peak_mib(self.pid())
    }

    /// The shards that it polls.
    pub(crate) async fn shards(&self) -> u64 {
        let health = self.client.get(&format!("{}/health/ready", self.url)).await;
        health["shards"]["poll"].as_u64().unwrap_or(0)
    }

    /// Waits until it polls as many shards, and answers how old it was then.
    pub(crate) async fn wait_shards(&self, count: u64) -> Duration {
        while self.shards().await < count {
            assert!(self.age() < READY_WITHIN, "the node has no {count} shards");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.age()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
