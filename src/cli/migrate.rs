//! `anyhook migrate`: everything from one store to another.

mod place;
mod screen;

use super::CliError;
use super::given;
use crate::bootstrap::{BootstrapError, known_master_key};
use crate::clock::Clock;
use crate::ids::NodeId;
use crate::random::Random;
use crate::secrets::{Vault, VaultError};
use crate::server::ServerError;
use crate::settings::Settings;
use crate::store::moving::{self, MoveError, Side, Sum};
use crate::store::{Checkpoint, Move, MoveState, StoreError, Workspace};
use clap::Args;
use place::Place;
use screen::Screen;
use std::path::PathBuf;
use std::process::ExitCode;

/// Move everything to another store, positions included
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  anyhook migrate --from sled --to postgres://anyhook:password@db.internal/anyhook
  anyhook migrate --from postgres --to sled:/var/lib/anyhook        (ANYHOOK_STORE has the URL)
  anyhook migrate --from sled --to postgres --verify-only

A store is sled (in the data directory), sled:DIRECTORY (another data directory), postgres (the one that ANYHOOK_STORE
names) or its URL. Stop all nodes first. What is broken off goes on when it is begun again. At the end both are read and
compared; then the source is marked as moved, so that no server starts on it, and the target can be started.
The exit code is 0 if both hold the same, else 1.")]
pub(super) struct Arguments {
    /// What everything is in: sled, sled:DIRECTORY, postgres or postgres://…
    #[arg(long, value_name = "STORE")]
    from: String,
    /// What everything goes to; it has to be empty
    #[arg(long, value_name = "STORE")]
    to: String,
    /// Only compare the two
    #[arg(long)]
    verify_only: bool,
    /// A settings file in TOML
    #[arg(long, env = "ANYHOOK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the embedded store and the master key live [default: anyhook-data]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// Any setting by its path, such as store.schema=anyhook; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let settings = given::settings(arguments.config.as_deref(), &[("data_dir", &arguments.data_dir)], &arguments.set)?;
    let (from, to) = (Place::parse(&arguments.from, &settings)?, Place::parse(&arguments.to, &settings)?);
    let mut screen = Screen::new();
    screen.opening(&from, &to)?;
    let source = from.open(false, &settings).await?;
    if arguments.verify_only {
        let target = to.open(false, &settings).await?;
        moving::unused(&*source, &from.name()).await?;
        moving::unused(&*target, &to.name()).await?;
        return Ok(if verify(&mut screen, &*source, &*target).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let random = Random::system();
    opens(&*source, &settings, &[&from, &to], &random).await?;
    let target = to.open(true, &settings).await?;
    let clock = Clock::system();
    let new = Move {
        id: NodeId::new(&clock, &random).map_err(|error| CliError::Usage(error.to_string()))?.to_string(),
        from: from.name(),
        to: to.name(),
        give_up: to.give_up(),
        began_at: clock.now(),
        source: String::new(),
        source_leases: String::new(),
        state: MoveState::Arriving(Checkpoint::default()),
    };
    let begun = moving::begin(&*source, &*target, new).await?;
    screen.copying(&begun)?;
    let copied = moving::copy(&*source, &*target, begun.row.clone(), &screen).await.map_err(MoveError::from)?;
    screen.copied(copied)?;
    if !verify(&mut screen, &*source, &*target).await? {
        screen.not_moved(&to)?;
        return Ok(ExitCode::FAILURE);
    }
    moving::finish(&*source, &*target, &begun.row, clock.now()).await.map_err(MoveError::from)?;
    screen.moved(&from, &to)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads both sides and compares them; true if they hold the same.
async fn verify(screen: &mut Screen, source: &dyn Side, target: &dyn Side) -> Result<bool, CliError> {
    screen.verifying()?;
    let both = tokio::try_join!(moving::sums(source, &*screen), moving::sums(target, &*screen));
    let (here, there) = both.map_err(MoveError::from)?;
    let pairs: Vec<(&'static str, Sum, Sum)> =
        here.into_iter().zip(there).map(|((tree, here), (_, there))| (tree.name(), here, there)).collect();
    screen.verified(&pairs)
}

/// Sees that what is sealed in the source opens by the master key that is known here.
async fn opens(source: &dyn Side, settings: &Settings, places: &[&Place], random: &Random) -> Result<(), CliError> {
    let directories: Vec<_> = places.iter().filter_map(|place| place.directory()).collect();
    let key = known_master_key(settings, &directories).map_err(ServerError::from)?;
    let vault = Vault::new(&key, random.clone());
    let rows = moving::workspaces(source).await.map_err(MoveError::from)?;
    for row in &rows {
        let opened = vault.open(&Workspace::seal(row.id), &row.signing.secret);
        opened.map_err(|error: VaultError| ServerError::from(BootstrapError::from(error)))?;
    }
    Ok(())
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        CliError::Move(error.into())
    }
}
