//! The command line.

mod demo;
mod given;
mod integrations;
mod migrate;
pub(crate) mod output;
mod serve;
mod signals;
mod simulator;
mod verify;

use clap::{Parser, Subcommand};
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;

/// Webhooks from any API, self-hosted.
#[derive(Debug, Parser)]
#[command(name = "anyhook", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Start with `anyhook demo`: it needs no account, no network and no other program.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Demo(demo::Arguments),
    Simulator(simulator::Arguments),
    Verify(verify::Arguments),
    Integrations(integrations::Arguments),
    Migrate(migrate::Arguments),
}

/// Why a command failed: one line that says what to do.
#[derive(Debug, Error)]
enum CliError {
    /// A file cannot be read.
    #[error("{name} cannot be read: {error}")]
    Unreadable { name: String, error: std::io::Error },
    /// Nothing could be written to stdout.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// The settings were refused.
    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),
    /// Log lines or metrics cannot be started.
    #[error(transparent)]
    Telemetry(#[from] crate::telemetry::TelemetryError),
    /// The server could not be started, or ended.
    #[error(transparent)]
    Server(#[from] crate::server::ServerError),
    /// The demo came to no end.
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
    /// The payload cannot be checked.
    #[error(transparent)]
    NotAPayload(#[from] crate::verify::NotAPayload),
    /// Nothing was moved, or not all of it.
    #[error(transparent)]
    Move(#[from] crate::store::moving::MoveError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}; give another address with --listen, port 0 for a free one")]
    Listen { address: SocketAddr, error: std::io::Error },
    /// Something was asked for that is not there, or not so.
    #[error("{0}")]
    Usage(String),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(arguments) => block_on(serve::run(arguments)),
        Command::Demo(arguments) => block_on(demo::run(arguments)),
        Command::Simulator(arguments) => block_on(simulator::run(arguments)),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Integrations(arguments) => integrations::run(&arguments),
        Command::Migrate(arguments) => block_on(migrate::run(arguments)),
    };
    match result {
        Ok(code) => code,
        // Whoever reads our output has heard enough, as `head` does.
        Err(CliError::Output(error) | CliError::Demo(crate::demo::DemoError::Output(error)))
            if error.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// What may still run once a command has ended, such as the look-up of a name, is left behind after this.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(1);

/// Runs a command that waits for things.
fn block_on(command: impl Future<Output = Result<ExitCode, CliError>>) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::Usage(format!("threads cannot be started: {error}")))?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(LEFT_BEHIND_AFTER);
    result
}

async fn bind(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| CliError::Listen { address, error })
}
