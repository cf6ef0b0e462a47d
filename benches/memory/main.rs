//! The memory of a server under three loads that must not make it grow: a full ledger, a long history, and many idle
//! feeds.
//!
//! The server is the program itself in a process of its own, with the settings it has by default; vendor and receiver
//! are others. Peaks are the kernel's, so none is missed.
//!
//! `cargo bench --bench memory` runs all, in an hour or so; `-- ledger backfill=200000 idle=1000` those named, with
//! another count than the usual one. Each row has a bound, and the bench fails where one is broken.

#![allow(clippy::expect_used, clippy::panic)] // a bench that cannot go on says so and ends

#[path = "../common/mod.rs"]
mod common;
mod scenarios;
mod server;
mod table;
mod vendor;

use common::peers;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(records) = vendor::role(&arguments) {
        return records.play();
    }
    match peers::role(&arguments) {
        Some(role) => role.play(),
        None => scenarios::run(&arguments),
    }
}
