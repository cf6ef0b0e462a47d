//! Several nodes on one PostgreSQL, measured: what changes and deliveries cost the nodes and the database.
//!
//! Nodes are processes of the server's own binary; vendor and receiver are processes of this one. CPU of the database is
//! counted where it runs on this machine and TEST_PGDATA names its directory.
//!
//! `tests/with_postgres.sh cargo bench --bench nodes` measures 1, 2 and 4 nodes; `-- 2 single` that number and scenario.

#![allow(clippy::expect_used, clippy::panic)] // a bench that cannot go on says so and ends
#![allow(dead_code)] // what the benches share is more than one of them needs

#[path = "../common/mod.rs"]
mod common;
mod database;
mod scenarios;

use common::peers;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match peers::role(&arguments) {
        Some(role) => role.play(),
        None => scenarios::run(&arguments),
    }
}
