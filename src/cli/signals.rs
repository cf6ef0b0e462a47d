//! The signals that ask a process to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Ends when SIGTERM or SIGINT comes, from the call on and not only once it is waited for. Where signals cannot be
/// listened for, never: the system's own handling ends the process then.
pub(crate) fn stop_asked() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            tracing::warn!("signals cannot be listened for; the process will end without draining");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
