//! `anyhook simulator`: a vendor of our own making, to develop against without an account anywhere.

use super::CliError;
use super::signals::stop_asked;
use crate::clock::Clock;
use crate::simulator::{Deletions, Granularity, Simulator, SimulatorSettings};
use clap::{Args, ValueEnum};
use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Run a simulated vendor with contacts, companies, deals and tickets
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  anyhook simulator
  anyhook simulator --records 50000 --changes-per-second 25
  curl -H 'authorization: Bearer sandbox' 'http://127.0.0.1:8090/v1/contacts?limit=2'
  curl -X POST http://127.0.0.1:8090/_control/contacts -d '{\"first_name\": \"Ann\"}'
  curl -X POST http://127.0.0.1:8090/_control/faults -d '[{\"fault\": {\"kind\": \"status\", \"status\": 503}, \"next\": 3}]'

Connect it to Anyhook as the integration sandbox, with auth.token sandbox and auth.api_url http://127.0.0.1:8090.
The same seed gives the same records. The control API needs no key, so keep it on loopback.")]
pub(super) struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// What all of its chance comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Records of each kind at the start
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    records: u32,
    /// Changes it makes by itself, over all kinds
    #[arg(long, default_value_t = 0.0, value_name = "RATE")]
    changes_per_second: f64,
    /// The token it accepts
    #[arg(long, default_value = "sandbox")]
    token: String,
    /// Requests a minute before it answers 429; 0 for no limit
    #[arg(long, default_value_t = 600, value_name = "REQUESTS")]
    rate_limit: u32,
    /// What a deletion leaves behind
    #[arg(long, value_enum, default_value_t)]
    deletions: DeletionsArgument,
    /// The granule of its times
    #[arg(long, value_enum, default_value_t)]
    granularity: GranularityArgument,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum DeletionsArgument {
    /// The record with deleted: true
    #[default]
    Flag,
    /// Nothing
    Silent,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum GranularityArgument {
    #[default]
    Millisecond,
    Second,
    Minute,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let rate = arguments.changes_per_second;
    if !(0.0..=10_000.0).contains(&rate) {
        return Err(CliError::Usage("--changes-per-second must be from 0 to 10000".to_owned()));
    }
    let listener = super::bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    let simulator = Simulator::new(settings(&arguments), Clock::system());
    announce(address, &arguments)?;
    simulator
        .serve(listener, stop_asked())
        .await
        .map_err(|error| CliError::Usage(format!("the listener failed: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

fn settings(arguments: &Arguments) -> SimulatorSettings {
    let defaults = SimulatorSettings::default();
    SimulatorSettings {
        seed: arguments.seed,
        records: arguments.records,
        records_max: defaults.records_max.max(arguments.records),
        changes_per_second: arguments.changes_per_second,
        tokens: vec![arguments.token.clone()],
        rate_limit: arguments.rate_limit,
        deletions: match arguments.deletions {
            DeletionsArgument::Flag => Deletions::Flag,
            DeletionsArgument::Silent => Deletions::Silent,
        },
        granularity: match arguments.granularity {
            GranularityArgument::Millisecond => Granularity::Millisecond,
            GranularityArgument::Second => Granularity::Second,
            GranularityArgument::Minute => Granularity::Minute,
        },
        ..defaults
    }
}

fn announce(address: SocketAddr, arguments: &Arguments) -> Result<(), CliError> {
    let mut out = stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    writeln!(
        out,
        "{} contacts, companies, deals and tickets each, {} changes a second, token {}",
        arguments.records, arguments.changes_per_second, arguments.token
    )?;
    Ok(out.flush()?)
}
