//! `anyhook simulator`: a vendor of our own making, to develop against without an account anywhere.

use super::CliError;
use super::signals::stop_asked;
use crate::clock::Clock;
use crate::simulator::{Deletions, FaultRule, Granularity, Simulator, SimulatorSettings};
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
  anyhook simulator --fault '{\"fault\": {\"kind\": \"late_visibility\", \"ms\": 5000}, \"path\": \"/v1/contacts\"}'

Faults strike requests whose path begins with path (/v1/ unless given): the next so many, or each with a probability
from 0 to 1, or all.
  too_many_requests {retry_after_s}  429; the seconds may be left out
  status {status}                    an error, from 400 to 599
  truncated_body, html_body          half an answer; a page for people
  slow {ms}, hang, reset             late, never, cut off
  wrong_content_length {by}          so many bytes off
  expired_token                      401
  expired_cursor                     410 where a cursor was sent
  clock_skew {ms}                    its clock is ahead, or behind (negative)
  late_visibility {ms}               changes, or a share of them by probability, show in listings only later
  lagging_replica {ms}               listings and reads come from a copy that is behind
  local_times {zone}                 times without a zone, local in Europe/Berlin or +05:30
  volatile_fields                    fetched_at and avatar_url differ in each answer
  ignored_filter                     updated_gte, updated_gt and updated_lt have no effect
  result_window {records}            400 for offsets beyond so many records
  duplicated_ids                     a page begins with the last record of the page before it
  changes_while_paging {records}     so many records of a page change behind it
  shrinking_list {records}           so many records of a page vanish behind it
  empty_page                         no records, though more follow
  bad_record                         a record whose updated_at is no time
Records of the future are made by their updated_at; records of one time, by --granularity or all at once:
  curl -X POST http://127.0.0.1:8090/_control/contacts -d '{\"updated_at\": \"2099-01-01T00:00:00Z\"}'
  curl -X POST http://127.0.0.1:8090/_control/contacts/bulk -d '{\"count\": 350}'

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
    /// How long an OAuth access token lives, in seconds; each refresh gives a new refresh token and ends the old one
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    access_token_lifetime: u32,
    /// What goes wrong from the start, as one rule of /_control/faults in JSON; may be given several times
    #[arg(long = "fault", value_name = "JSON", value_parser = rule)]
    faults: Vec<FaultRule>,
}

fn rule(text: &str) -> Result<FaultRule, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
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
    let faults = arguments.faults.clone();
    simulator
        .with(|vendor, _| vendor.set_faults(faults))
        .map_err(|message| CliError::Usage(format!("--fault: {message}")))?;
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
        access_token_lifetime_s: arguments.access_token_lifetime,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::Fault;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// The names of all kinds, as the error about an unknown one lists them.
    fn kinds() -> Vec<String> {
        let unknown = serde_json::from_str::<Fault>(r#"{"kind":"?"}"#).unwrap_err().to_string();
        unknown.split('`').skip(1).step_by(2).filter(|name| *name != "?").map(str::to_owned).collect()
    }

    #[test]
    fn the_help_tells_of_every_fault() {
        let help = <Arguments as Args>::augment_args(clap::Command::new("simulator")).render_long_help().to_string();
        assert!(kinds().len() > 20, "{:?}", kinds());
        for kind in kinds() {
            assert!(help.contains(&kind), "{kind}");
        }
    }

    #[test]
    fn faults_are_given_at_the_start_or_refused() {
        let with = |json: &str| Command::try_parse_from(["simulator", "--fault", json]);
        let command = with(r#"{"fault":{"kind":"slow","ms":5},"next":1}"#).unwrap();
        assert_eq!(command.arguments.faults, [FaultRule::next(Fault::Slow { ms: 5 }, 1)]);
        assert!(with(r#"{"fault":{"kind":"unheard_of"}}"#).is_err());
    }
}
