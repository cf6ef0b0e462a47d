//! One endpoint holds up no other, measured: how long a change that is committed takes to arrive at healthy endpoints
//! while others hang or refuse.
//!
//! Delivery runs in this process on a fresh sled directory with the default limits. The endpoints are processes of their
//! own that listen on all of 127.0.0.0/8, so that each webhook has a host of its own. Times depend on the machine and
//! are only printed; that everything arrived is asserted.
//!
//! `cargo bench --bench isolation` prints one row a scenario; `-- hanging refusing paced behind` runs those named.

#![allow(clippy::expect_used, clippy::panic)] // a bench that cannot go on says so and ends

#[path = "../common/mod.rs"]
mod common;
mod endpoints;
mod scenarios;
mod world;

use std::process::ExitCode;

/// As in the server's own binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match endpoints::Manner::of(&arguments) {
        Some(manner) => manner.play(),
        None => scenarios::run(&arguments),
    }
}
