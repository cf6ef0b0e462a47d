//! Random lives of a vendor, an engine and its subscribers, under simulated time: whatever happened, once it is calm the
//! promises hold.
//!
//! `ANYHOOK_MODEL_SEEDS` says how many lives are tried, `ANYHOOK_MODEL_SEED` tries one alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

#[path = "../support/mod.rs"]
mod support;

#[allow(unreachable_pub)]
mod check;
#[allow(unreachable_pub)]
mod life;

use life::Life;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS_DEFAULT: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_the_promises_hold() {
    let only = number("ANYHOOK_MODEL_SEED");
    let (first, count) = only.map_or((0, number("ANYHOOK_MODEL_SEEDS").unwrap_or(SEEDS_DEFAULT)), |seed| (seed, 1));
    let (next, failed) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    if std::panic::catch_unwind(|| live(seed)).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these failed; try one alone by ANYHOOK_MODEL_SEED=<seed>: {failed:?}");
}

fn live(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut life = Life::new(seed).await;
        for _ in 0..life.rng.u32(1..=3) {
            life.storm().await;
            life.calm_down().await;
            life.check();
        }
    });
}
