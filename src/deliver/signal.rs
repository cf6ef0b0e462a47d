//! How the hub tells a running pump that there is more to do.

use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// The log has grown.
pub(super) const GREW: u8 = 1;

/// The webhook or its connection has changed: what is known of it is to be read again.
pub(super) const CHANGED: u8 = 2;

/// One of its listing jobs has changed, or has more to deliver.
pub(super) const JOB: u8 = 4;

/// What a pump has not heard of yet.
#[derive(Debug, Default)]
pub(super) struct Signal {
    bits: AtomicU8,
    notify: Notify,
}

impl Signal {
    pub(super) fn raise(&self, bit: u8) {
        self.bits.fetch_or(bit, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// What was raised since the last time.
    pub(super) fn take(&self) -> u8 {
        self.bits.swap(0, Ordering::SeqCst)
    }

    pub(super) fn is_raised(&self) -> bool {
        self.bits.load(Ordering::SeqCst) != 0
    }

    /// Waits for something to be raised; may return without.
    pub(super) async fn raised(&self) {
        self.notify.notified().await;
    }
}
