//! The whole line, measured: page, normalise, diff, durable log, batch, sign, deliver.
//!
//! The server runs in this process and its CPU time alone is counted; vendor and receiver are processes of their own.
//! Machines are noisy: compare rows of one run, quote the median of several.
//!
//! `cargo bench --bench line` prints one row a scenario; `-- live history` runs those named.

#![allow(clippy::expect_used, clippy::panic)] // a bench that cannot go on says so and ends

#[path = "../common/mod.rs"]
mod common;
mod scenarios;

use common::peers;
use std::process::ExitCode;

/// As in the server's own binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match peers::role(&arguments) {
        Some(role) => role.play(),
        None => scenarios::run(&arguments),
    }
}
