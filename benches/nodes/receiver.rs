//! A receiver that answers 200, counts, and remembers how old the newest record of each payload was when it came.

use crate::common::peers::{self, Peer};
use anyhook::clock::Clock;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use chrono::DateTime;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

const FLAG: &str = "--ages";
/// What each record has once, and the webhook that a payload tells of.
const MARK: &[u8] = b"\"updated_at\":\"";
/// Characters of a time to the second.
const SECONDS: usize = "2000-01-01T00:00:00".len();
/// Ages that are remembered.
const AGES_MAX: usize = 1_000_000;

/// Starts one in a process of its own.
pub(crate) fn start() -> Peer {
    Peer::start(&[FLAG])
}

/// Plays it, if the arguments say so.
pub(crate) fn play(arguments: &[String]) -> Option<ExitCode> {
    (arguments == [FLAG]).then(|| {
        let router = Router::new()
            .route("/hook/{webhook}", post(take))
            .route("/taken", get(tell))
            .route("/ages", get(ages))
            .layer(DefaultBodyLimit::max(16 << 20))
            .with_state(Arc::<Mutex<Taken>>::default());
        peers::serve(router)
    })
}

#[derive(Default)]
struct Taken {
    payloads: u64,
    records: u64,
    ages_ms: Vec<i64>,
}

async fn take(State(taken): State<Arc<Mutex<Taken>>>, body: Bytes) {
    let now = Clock::system().now().timestamp_millis();
    let at = |start: usize| {
        let rest = body.get(start + MARK.len()..)?;
        let end = rest.iter().position(|byte| *byte == b'"').filter(|end| *end >= SECONDS)?;
        let at = DateTime::parse_from_rfc3339(std::str::from_utf8(&rest[..end]).ok()?).ok()?;
        Some(at.timestamp_millis())
    };
    let starts = body.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).map(|(start, _)| start);
    let starts: Vec<usize> = starts.collect();
    let newest = starts.last().and_then(|last| at(*last)).max(starts.first().and_then(|first| at(*first)));
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let webhook = 1;
    taken.payloads += 1;
    taken.records += starts.len().saturating_sub(webhook) as u64;
    if taken.ages_ms.len() < AGES_MAX {
        taken.ages_ms.extend(newest.map(|newest| now - newest));
    }
}

async fn tell(State(taken): State<Arc<Mutex<Taken>>>) -> String {
    let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    format!("{} {}", taken.payloads, taken.records)
}

/// How many payloads came since this was last asked, and how old half and 99 of 100 of them were at most, in
/// milliseconds.
async fn ages(State(taken): State<Arc<Mutex<Taken>>>) -> String {
    let mut ages = std::mem::take(&mut taken.lock().unwrap_or_else(PoisonError::into_inner).ages_ms);
    ages.sort_unstable();
    let part = |percent: usize| ages.get(ages.len() * percent / 100).copied().unwrap_or(0);
    format!("{} {} {}", ages.len(), part(50), part(99))
}
