//! Endpoints: a process that listens on all of 127.0.0.0/8, so that one port is some millions of hosts.

use crate::common::peers::{Peer, serve_on};
use anyhook::clock::Clock;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// How they answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 200 at once.
    Healthy,
    /// Never.
    Hangs,
    /// 500 at once.
    Refuses,
}

const MANNERS: [(&str, Manner); 3] =
    [("--healthy", Manner::Healthy), ("--hangs", Manner::Hangs), ("--refuses", Manner::Refuses)];

/// When which record arrived, in microseconds since the epoch.
type Arrived = Arc<Mutex<Vec<(u64, i64)>>>;

impl Manner {
    /// What this process is, if not the bench itself.
    pub(crate) fn of(arguments: &[String]) -> Option<Self> {
        let [argument] = arguments else { return None };
        MANNERS.iter().find(|(flag, _)| flag == argument).map(|(_, manner)| *manner)
    }

    /// Serves until the bench ends.
    pub(crate) fn play(self) -> ExitCode {
        let arrived = Arrived::default();
        let hook = match self {
            Manner::Healthy => post(take),
            Manner::Hangs => post(async || std::future::pending::<()>().await),
            Manner::Refuses => post(async || StatusCode::INTERNAL_SERVER_ERROR),
        };
        let router = Router::new().route("/hook", hook).route("/arrived", get(tell)).with_state(arrived);
        serve_on(IpAddr::V4(Ipv4Addr::UNSPECIFIED), router)
    }
}

async fn take(State(arrived): State<Arrived>, body: Bytes) {
    let at = Clock::system().now().timestamp_micros();
    let text = String::from_utf8_lossy(&body);
    let id = text.split_once(r#""id":""#).and_then(|(_, rest)| rest.split('"').next()?.parse().ok());
    arrived.lock().unwrap_or_else(PoisonError::into_inner).push((id.expect("a record's number"), at));
}

/// Tells what arrived since the last time.
async fn tell(State(arrived): State<Arrived>) -> String {
    let arrived = std::mem::take(&mut *arrived.lock().unwrap_or_else(PoisonError::into_inner));
    arrived.iter().fold(String::new(), |mut text, (id, at)| {
        let _ = writeln!(text, "{id} {at}");
        text
    })
}

/// Endpoints of one manner.
pub(crate) struct Endpoints {
    peer: Peer,
    port: String,
}

impl Endpoints {
    pub(crate) fn start(manner: Manner) -> Self {
        let (flag, _) = MANNERS.iter().find(|(_, of)| *of == manner).expect("a flag");
        let peer = Peer::start(&[flag]);
        let port = peer.url.rsplit(':').next().expect("a port").to_owned();
        Endpoints { peer, port }
    }

    /// The hook of a host of its own.
    pub(crate) fn hook(&self, host: usize) -> String {
        let [.., a, b] = u32::try_from(host).expect("a number").to_be_bytes();
        format!("http://127.1.{a}.{b}:{}/hook", self.port)
    }

    /// Records and times that arrived since the last time.
    pub(crate) async fn arrived(&self) -> Vec<(u64, i64)> {
        let url = format!("{}/arrived", self.peer.url.replace("0.0.0.0", "127.0.0.1"));
        let text = crate::common::client::get_text(&url).await;
        let numbers = |line: &str| {
            let (id, at) = line.split_once(' ')?;
            Some((id.parse().ok()?, at.parse().ok()?))
        };
        text.lines().map(|line| numbers(line).expect("two numbers")).collect()
    }
}
