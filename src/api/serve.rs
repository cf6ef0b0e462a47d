//! Listening and draining.

use super::socket::Sockets;
use axum::Router;
use std::io;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long requests that are under way may still take once it is time to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// Serves until told to stop, then lets what is under way end, within 20 seconds.
///
/// - Nothing is accepted once `stop` is cancelled; idle connections are closed.
/// - Errors are those of the listener itself; one client's are its own.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let server = axum::serve(Sockets::new(listener), router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server => ended,
        () = drained => {
            tracing::warn!(drain_s = DRAIN.as_secs(), "requests were still under way at the end of the drain and were dropped");
            Ok(())
        }
    }
}
