//! `anyhook demo`: everything on one machine, to be seen in a quarter of a minute.

use super::CliError;
use super::signals::stop_asked;
use crate::demo::{self, Options};
use crate::settings::LogFormat;
use crate::telemetry;
use clap::Args;
use std::env;
use std::process::ExitCode;

/// Log lines that the demo shows where ANYHOOK_LOG says nothing else: it is a show, not a server.
const LOG_FILTER: &str = "error";

/// See it work: a vendor, a receiver and Anyhook between them, on this machine alone
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  anyhook demo
  anyhook demo --records 50000 --seconds 30
  anyhook demo --keep

It starts a simulated vendor, a receiver that verifies every signature, and a server with a temporary store; connects
and subscribes over the HTTP API; shows the history and then the changes arriving; and compares what the receiver holds
with what the vendor holds. The exit code is 0 if everything was verified and nothing was lost, else 1.")]
pub(super) struct Arguments {
    /// Contacts that the vendor has at first
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(0..=200_000))]
    records: u32,
    /// How long the vendor goes on changing them
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    seconds: u64,
    /// Changes a second
    #[arg(long, default_value_t = 20, value_name = "RATE", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    changes_per_second: u32,
    /// Leave everything running at the end, with URLs, key and requests to try
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let filter = env::var("ANYHOOK_LOG").unwrap_or_else(|_| LOG_FILTER.to_owned());
    telemetry::start_log(&filter, LogFormat::Text)?;
    let options = Options {
        records: arguments.records,
        seconds: arguments.seconds,
        changes_per_second: arguments.changes_per_second,
        keep: arguments.keep,
    };
    let is_good = Box::pin(demo::run(options, stop_asked())).await?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
