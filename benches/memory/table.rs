//! What is printed, and which bound a figure has.

use crate::common::cost::Meter;
use crate::server::Server;
use std::time::Duration;

/// How long the server is left alone before its steady memory is read.
const REST: Duration = Duration::from_secs(10);

/// The rows so far.
#[derive(Default)]
pub(crate) struct Table {
    broken: Vec<String>,
}

/// What a row is about, from its beginning.
pub(crate) struct Phase {
    meter: Meter,
    requests: u64,
}

impl Phase {
    /// Begins now; the vendor has had this many requests.
    pub(crate) fn begin(server: &Server, requests: u64) -> Self {
        server.forget_peak();
        Phase { meter: server.meter(), requests }
    }

    /// Of a server that has just started: what it took to start counts.
    pub(crate) fn from_start(server: &Server, requests: u64) -> Self {
        Phase { meter: server.meter_from_start(), requests }
    }
}

impl Table {
    pub(crate) fn new() -> Self {
        println!(
            "{:<44}{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>11}  bound",
            "load", "records", "wall s", "CPU s", "peak MiB", "rest MiB", "disk MiB", "B/record", "requests"
        );
        Table::default()
    }

    /// Prints the row of a phase that has ended. Its peak must not be above the bound.
    pub(crate) async fn row(
        &mut self,
        name: &str,
        records: u64,
        server: &Server,
        phase: &Phase,
        requests: u64,
        bound_mib: u64,
    ) {
        let (cpu, wall) = (phase.meter.cpu_seconds(), phase.meter.wall());
        tokio::time::sleep(REST).await;
        let (peak, rest, disk) = (server.peak_mib(), server.resident_mib(), server.disk_bytes());
        let verdict = if peak <= bound_mib { "ok" } else { "BROKEN" };
        println!(
            "{name:<44}{records:>12}{:>9.1}{cpu:>9.1}{peak:>9}{rest:>9}{:>9}{:>10}{:>11}  {bound_mib} {verdict}",
            wall.as_secs_f64(),
            disk >> 20,
            disk / records.max(1),
            requests - phase.requests,
        );
        if peak > bound_mib {
            self.broken.push(format!("{name}: {peak} MiB at its peak, {bound_mib} MiB at most"));
        }
    }

    /// Says which bounds are broken, and answers whether none is.
    pub(crate) fn end(&self) -> bool {
        for broken in &self.broken {
            println!("BROKEN  {broken}");
        }
        println!("{}", if self.broken.is_empty() { "passed: every bound holds" } else { "failed" });
        self.broken.is_empty()
    }
}
