//! Random lives of a vendor, an engine or a fleet of them, and subscribers, under simulated time: whatever happened, once
//! it is calm the promises hold.
//!
//! `ANYHOOK_MODEL_SEEDS` says how many lives are tried, or which: `3000`, `500..600`. A life that fails is made as small
//! as it can be and printed, to be pasted into `known.rs`; `ANYHOOK_MODEL_SAY=1` tells what happens in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

#[path = "../support/mod.rs"]
mod support;

#[allow(unreachable_pub)]
mod acts;
#[allow(unreachable_pub)]
mod calls;
#[allow(unreachable_pub)]
mod calm;
#[allow(unreachable_pub)]
mod chance;
#[allow(unreachable_pub)]
mod check;
#[allow(unreachable_pub)]
mod known;
#[allow(unreachable_pub)]
mod life;
#[allow(unreachable_pub)]
mod nodes;
#[allow(unreachable_pub)]
mod plan;
#[allow(unreachable_pub)]
mod trial;

use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

const SEEDS_DEFAULT: u64 = 1_500;
/// How long a life that fails is made smaller.
const SHRINK_MAX: Duration = Duration::from_secs(120);

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("ANYHOOK_MODEL_SEEDS") else { return 0..SEEDS_DEFAULT };
    let (first, end) = text.split_once("..").unwrap_or(("0", &text));
    first.parse().expect("a number")..end.parse().expect("a number")
}

#[test]
fn whatever_happens_the_promises_hold() {
    let failed = trial::failures(seeds());
    let Some((seed, failure)) = failed.first() else { return };
    let mut told = String::new();
    for (seed, failure) in &failed {
        writeln!(told, "seed {seed}: {}", failure.promise).unwrap();
    }
    let (plan, smaller) = trial::shrink_aside(*seed, &failure.promise, SHRINK_MAX);
    let story = &smaller.as_ref().unwrap_or(failure).story;
    panic!("{told}\nof seed {seed}, where it should hold that {}: {story}\n\n{plan}", failure.promise);
}

#[test]
fn a_life_lived_again_is_the_same() {
    trial::same(0..20);
}
