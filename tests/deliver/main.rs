//! Delivery as a receiver sees it: over real sockets, from a store in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

mod destinations;
mod harness;
mod history;
mod hostile;
mod hosts;
mod insights;
mod isolation;
mod life;
mod outcomes;
mod payloads;
mod peer;
mod reach;
mod receiver;
mod repair;
mod replays;
mod replays_of_destinations;
mod schedules;
mod signing;
mod templates;
mod versions;

use anyhook::store::WebhookHealth;

/// Why a webhook is unhealthy.
fn message(health: &WebhookHealth) -> &str {
    match health {
        WebhookHealth::Healthy => panic!("it is healthy"),
        WebhookHealth::Unhealthy { message, .. } => message,
    }
}
