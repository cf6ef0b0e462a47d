//! The other two processes: the simulated vendor and a receiver that answers 200 and counts.

use anyhook::simulator::{Object, SimulatorSettings};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Accounts at the vendor besides the one of the token `sandbox`.
const TOKENS: usize = 64;

/// The token of an account.
fn token(number: usize) -> String {
    format!("sandbox-{number}")
}

const VENDOR: &str = "--vendor";
const RECEIVER: &str = "--receiver";

/// What this process is, if not the bench itself.
pub(crate) enum Role {
    Vendor { records: u32 },
    Receiver,
}

/// The role that the arguments name.
pub(crate) fn role(arguments: &[String]) -> Option<Role> {
    match arguments {
        [flag, records] if flag == VENDOR => Some(Role::Vendor { records: records.parse().unwrap_or(0) }),
        [flag] if flag == RECEIVER => Some(Role::Receiver),
        _ => None,
    }
}

impl Role {
    /// Serves until standard input ends, which it does with the bench.
    pub(crate) fn play(self) -> ExitCode {
        match self {
            Role::Vendor { records } => {
                let settings = SimulatorSettings {
                    records,
                    records_max: records.max(SimulatorSettings::default().records_max),
                    objects: vec![Object::Contacts],
                    rate_limit: 0,
                    gzip: false,
                    tokens: std::iter::once("sandbox".to_owned()).chain((0..TOKENS).map(token)).collect(),
                    ..SimulatorSettings::default()
                };
                until_parent_ends(LOOPBACK, async |listener| {
                    let _ = anyhook::simulator::serve(listener, settings, std::future::pending()).await;
                })
            }
            Role::Receiver => serve(receiver()),
        }
    }
}

/// Serves a router on a free port of loopback until the bench ends.
pub(crate) fn serve(router: Router) -> ExitCode {
    serve_on(LOOPBACK, router)
}

/// Serves a router on a free port of an address until the bench ends.
pub(crate) fn serve_on(address: IpAddr, router: Router) -> ExitCode {
    until_parent_ends(address, async |listener| {
        let _ = axum::serve(listener, router).await;
    })
}

/// Serves on a free port, whose address is printed, until standard input ends.
fn until_parent_ends(address: IpAddr, serve: impl AsyncFnOnce(TcpListener)) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        let parent_gone = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
        tokio::select! {
            () = serve(listener) => {}
            _ = parent_gone => {}
        }
    });
    ExitCode::SUCCESS
}

/// What every record has once.
const MARK: &[u8] = b"\"updated_at\":\"";

/// Payloads and records taken so far.
#[derive(Default)]
struct Taken {
    payloads: AtomicU64,
    records: AtomicU64,
}

fn receiver() -> Router {
    let taken = Arc::new(Taken::default());
    Router::new()
        .route("/hook/{webhook}", post(take))
        .route("/taken", get(tell))
        .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
        .with_state(taken)
}

/// Records are counted by a field that each of them has once.
async fn take(State(taken): State<Arc<Taken>>, body: Bytes) {
    let records = body.windows(MARK.len()).filter(|window| *window == MARK).count();
    let webhook = 1; // the payload's own webhook object has one too
    taken.records.fetch_add(records.saturating_sub(webhook) as u64, Ordering::Relaxed);
    taken.payloads.fetch_add(1, Ordering::Relaxed);
}

async fn tell(State(taken): State<Arc<Taken>>) -> String {
    format!("{} {}", taken.payloads.load(Ordering::Relaxed), taken.records.load(Ordering::Relaxed))
}

/// A process of ours, ended with this value.
pub(crate) struct Peer {
    child: Child,
    pub(crate) url: String,
}

impl Peer {
    pub(crate) fn vendor(records: u32) -> Self {
        Peer::start(&[VENDOR, &records.to_string()])
    }

    pub(crate) fn receiver() -> Self {
        Peer::start(&[RECEIVER])
    }

    /// This program in another role, which prints its address first.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let mut address = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut address).expect("its address");
        Peer { child, url: format!("http://{}", address.trim()) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
