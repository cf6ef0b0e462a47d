//! The command line.

mod integrations;
mod output;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use thiserror::Error;

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
    Verify(verify::Arguments),
    Integrations(integrations::Arguments),
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
    /// The payload cannot be checked.
    #[error(transparent)]
    NotAPayload(#[from] crate::verify::NotAPayload),
    /// Something was asked for that is not there, or not so.
    #[error("{0}")]
    Usage(String),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Integrations(arguments) => integrations::run(&arguments),
    };
    match result {
        Ok(code) => code,
        // Whoever reads our output has heard enough, as `head` does.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
