//! The server under test: `anyhook serve` as a user starts it.

use crate::common::client::Client;
use crate::common::cost::{self, Meter};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

const API_KEY: &str = "bench-key-0123456789abcdef0123456789abcdef";
const LOOPBACK: &str = "127.0.0.0/8";

/// A directory and the server that runs on it.
pub(crate) struct Server {
    directory: TempDir,
    child: Child,
    from_start: Meter,
    /// Kept, so that what the server prints has somewhere to go.
    _out: BufReader<ChildStdout>,
    pub(crate) client: Client,
}

impl Server {
    /// Starts a server on a directory of its own below the given one, or where temporary files are.
    pub(crate) fn start() -> Self {
        let directory = match std::env::var_os("BENCH_DIRECTORY") {
            Some(parent) => TempDir::new_in(parent),
            None => TempDir::new(),
        };
        Server::on(directory.expect("a directory"))
    }

    fn on(directory: TempDir) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_anyhook"))
            .arg("serve")
            .env("ANYHOOK_LISTEN", "127.0.0.1:0")
            .env("ANYHOOK_DATA_DIR", data(directory.path()))
            .env("ANYHOOK_API_KEY", API_KEY)
            .env("ANYHOOK_VENDORS_ALLOW", LOOPBACK)
            .env("ANYHOOK_DESTINATIONS_ALLOW", LOOPBACK)
            // What paces a user and a vendor would only make the bench long.
            .env("ANYHOOK_API_REQUESTS_PER_SECOND_MAX", "100000")
            .env("ANYHOOK_POLL_BUDGET_PERCENT", "1000000")
            .env("ANYHOOK_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let from_start = Meter::of(child.id());
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert!(out.read_line(&mut line).expect("its output") > 0, "the server ended at its start");
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.trim().to_owned();
            }
        };
        Server { directory, child, from_start, _out: out, client: Client::new(&url, API_KEY) }
    }

    /// Kills it and starts it again on the same directory.
    pub(crate) fn start_again(mut self) -> Self {
        self.kill();
        let directory = std::mem::replace(&mut self.directory, TempDir::new().expect("a directory"));
        Server::on(directory)
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::of(self.child.id())
    }

    /// What it has cost since it began.
    pub(crate) fn meter_from_start(&self) -> Meter {
        self.from_start.clone()
    }

    pub(crate) fn peak_mib(&self) -> u64 {
        cost::peak_mib(self.child.id())
    }

    pub(crate) fn resident_mib(&self) -> u64 {
        cost::resident_mib(self.child.id())
    }

    pub(crate) fn forget_peak(&self) {
        cost::forget_peak(self.child.id());
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        cost::directory_bytes(&data(self.directory.path()))
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn data(directory: &Path) -> std::path::PathBuf {
    directory.join("data")
}
