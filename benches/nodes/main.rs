//! Several nodes on one PostgreSQL, measured: what changes and deliveries cost the nodes and the database.
//!
//! Nodes are processes of the server's own binary; vendor and receiver are processes of this one. CPU of the database is
//! counted where it runs on this machine and TEST_PGDATA names its directory.
//!
//! `tests/with_postgres.sh cargo bench --bench nodes` measures 1, 2 and 4 nodes; `-- 2 single` that number and scenario.
//! `-- many` measures 100,000 webhooks and `-- ledger` a ledger of 20 million records, each in half an hour or so;
//! `many=10000` and `ledger=2000000` fewer. `stored=10000` makes the webhooks of `many` straight in the store. BENCH_NODE
//! names the binary of another build.

#![allow(clippy::expect_used, clippy::panic)] // a bench that cannot go on says so and ends
#![allow(dead_code)] // what the benches share is more than one of them needs

#[path = "../common/mod.rs"]
mod common;
mod costs;
mod database;
mod ledger;
mod many;
mod node;
mod receiver;
mod scenarios;
mod stored;
mod vendor;

use common::peers;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(ended) = vendor::play(&arguments).or_else(|| receiver::play(&arguments)) {
        return ended;
    }
    match peers::role(&arguments) {
        Some(role) => role.play(),
        None => scenarios::run(&arguments),
    }
}
