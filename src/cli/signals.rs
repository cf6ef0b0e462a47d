//! The signals that ask a process to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Ends when SIGTERM or SIGINT comes. Where signals cannot be listened for, never: the system's own handling ends the
/// process then.
pub(crate) async fn stop_asked() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be listened for; the process will end without draining");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
