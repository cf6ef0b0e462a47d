//! Pushing the vendor's own webhooks: a few at a time, a few attempts each, to this machine alone.

use super::Simulator;
use super::hooks::Push;
use reqwest::redirect::Policy;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Pushes under way at once at most.
const PUSHES_MAX: usize = 8;
/// Attempts of one push.
const ATTEMPTS_MAX: u32 = 4;
/// The wait after the first failed attempt; it doubles with each.
const RETRY_WAIT: Duration = Duration::from_millis(250);
/// How long a receiver may take.
const PUSH_TIME_MAX: Duration = Duration::from_secs(5);

/// Makes pushes for as long as the simulator is served. Receivers may see them out of order, as with most vendors.
pub(super) async fn push_all(simulator: Simulator) {
    // reqwest wants a provider for TLS though pushes are plain HTTP; one that is installed already stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(PUSH_TIME_MAX).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "the simulator cannot push webhooks; everything else works");
            return std::future::pending().await;
        }
    };
    let slots = Arc::new(Semaphore::new(PUSHES_MAX));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let push = simulator.next_push().await;
        let (client, simulator) = (client.clone(), simulator.clone());
        tokio::spawn(async move {
            let accepted = attempt_all(&client, &simulator, &push).await;
            simulator.with(|vendor, _| vendor.count_push(accepted));
            drop(slot);
        });
    }
}

async fn attempt_all(client: &reqwest::Client, simulator: &Simulator, push: &Push) -> bool {
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            simulator.clock().sleep(RETRY_WAIT * 2u32.pow(attempt - 1)).await;
        }
        let at = simulator.with(|vendor, now| vendor.time(now));
        let answer = client
            .post(&push.url)
            .header("content-type", "application/json")
            .header("x-sandbox-signature", push.signature(at.timestamp()))
            .header("x-sandbox-delivery", &push.delivery_id)
            .body(push.body.clone())
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return true;
        }
    }
    false
}
