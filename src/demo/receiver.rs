//! The receiver: what a subscriber would write, over HTTP. It verifies each delivery before it looks at it.

use super::tally::{Arrival, Hook, Tally};
use crate::clock::Clock;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bytes of a delivery at most.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Deliveries that wait to be shown; beyond it the next one is answered later.
const ARRIVALS_MAX: usize = 1_024;

/// A running receiver.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    arrivals: mpsc::Receiver<Arrival>,
}

struct Shared {
    tally: Mutex<Tally>,
    secret: OnceLock<String>,
    clock: Clock,
    shown: mpsc::Sender<Arrival>,
}

impl Receiver {
    /// Receives on `listener` until told to stop.
    pub(super) fn start(listener: TcpListener, clock: Clock, stop: CancellationToken) -> Self {
        let (shown, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let shared = Arc::new(Shared { tally: Mutex::default(), secret: OnceLock::new(), clock, shown });
        let router = Router::new()
            .route("/{hook}", post(receive))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(shared.clone());
        tokio::spawn(serve(listener, router, stop));
        Receiver { shared, arrivals }
    }

    /// The secret to verify with; until it is given, everything is refused.
    pub(super) fn set_secret(&self, secret: &str) {
        self.shared.secret.get_or_init(|| secret.to_owned());
    }

    /// The next delivery.
    pub(super) async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// What has come so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    Path(hook): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let hook = match hook.as_str() {
        "updated" => Hook::Updated,
        "deleted" => Hook::Deleted,
        _ => return StatusCode::NOT_FOUND,
    };
    let headers: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let secret = shared.secret.get().map(String::as_str).unwrap_or_default();
    let now = shared.clock.now();
    let arrival = shared.tally.lock().unwrap_or_else(PoisonError::into_inner).take(hook, &body, &headers, secret, now);
    let status = if arrival.refused.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    // Nobody shows it any more once the demo ends.
    let _ = shared.shown.send(arrival).await;
    status
}
