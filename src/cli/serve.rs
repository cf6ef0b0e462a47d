//! `anyhook serve`: the server.

use super::CliError;
use super::given;
use super::signals::stop_asked;
use crate::bootstrap::Made;
use crate::server::Server;
use crate::settings::{Settings, StoreKind};
use crate::telemetry;
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  anyhook serve
  anyhook serve --listen 0.0.0.0:8080 --data-dir /var/lib/anyhook --public-url https://hooks.example.com
  anyhook serve --config anyhook.toml --set poll.runs_max=128
  ANYHOOK_DESTINATIONS_ALLOW=10.0.0.0/8 anyhook serve

Settings come from the file, then from the environment (ANYHOOK_POLL_RUNS_MAX is poll.runs_max), then from flags.
At first start an API key and a signing secret are made and printed once, unless ANYHOOK_API_KEY and
ANYHOOK_WORKSPACE_SECRET give them. SIGTERM and SIGINT let what is under way end first.")]
pub(super) struct Arguments {
    /// A settings file in TOML
    #[arg(long, env = "ANYHOOK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the store and the master key live [default: anyhook-data]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// sled, or memory for trying things out [default: sled]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// What vendors and browsers reach this server by [default: from the address]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Filter of log lines, such as info or anyhook::poll=debug,warn [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any setting by its path; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Only check the settings
    #[arg(long)]
    check: bool,
}

fn settings(arguments: &Arguments) -> Result<Settings, CliError> {
    let named = [
        ("listen", &arguments.listen),
        ("data_dir", &arguments.data_dir),
        ("store.backend", &arguments.store),
        ("public_url", &arguments.public_url),
        ("log.filter", &arguments.log),
        ("log.format", &arguments.log_format),
    ];
    given::settings(arguments.config.as_deref(), &named, &arguments.set)
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let settings = settings(&arguments)?;
    if arguments.check {
        writeln!(stdout().lock(), "the settings are good")?;
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::start_log(&settings.log_filter, settings.log_format)?;
    let metrics = telemetry::start_metrics()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(telemetry::UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    // Asked for before the first line is printed, so that a signal is never missed.
    let stop = stop_asked();
    tokio::pin!(stop);
    let (mut server, made) = Server::start(&settings, Some(metrics)).await?;
    announce(&server, &settings, &made)?;
    tokio::select! {
        () = &mut stop => {}
        error = server.failed() => return Err(error.into()),
    }
    tracing::info!("draining; a second signal ends the process at once");
    tokio::select! {
        ended = server.stop() => ended?,
        () = stop_asked() => return Err(CliError::Usage("ended at once by a second signal".to_owned())),
    }
    tracing::info!("drained");
    Ok(ExitCode::SUCCESS)
}

fn announce(server: &Server, settings: &Settings, made: &Made) -> Result<(), CliError> {
    let mut out = stdout().lock();
    if made.api_key.is_some() || made.secret.is_some() {
        writeln!(out, "First start. Keep what follows; it is not shown again.")?;
    }
    if let Some(key) = &made.api_key {
        writeln!(out, "  API key         {}", key.reveal())?;
    }
    if let Some(secret) = &made.secret {
        writeln!(out, "  signing secret  {}", secret.reveal())?;
    }
    if matches!(settings.store, StoreKind::Memory) {
        writeln!(out, "The store is in memory: everything is gone when this process ends.")?;
    }
    writeln!(out, "listening on http://{}", server.address())?;
    Ok(out.flush()?)
}
