//! A store, as the command line names it.

use super::CliError;
use crate::bootstrap::make_data_dir;
use crate::server::{STORE_DIRECTORY, ServerError};
use crate::settings::{Settings, StoreKind};
use crate::store::moving::Side;
use crate::store::{PostgresOptions, PostgresSide, SledSide, StoreError};
use std::path::{Path, PathBuf, absolute};

/// Where a store is.
pub(super) enum Place {
    /// In a data directory.
    Sled(PathBuf),
    /// In a database.
    Postgres(Box<PostgresOptions>),
}

impl Place {
    /// Reads what `--from` or `--to` was given.
    pub(super) fn parse(text: &str, settings: &Settings) -> Result<Self, CliError> {
        if text == "sled" {
            return Ok(Place::Sled(whole(&settings.data_dir)));
        }
        if let Some(path) = text.strip_prefix("sled:").filter(|path| !path.is_empty()) {
            return Ok(Place::Sled(whole(Path::new(path))));
        }
        let url = match (text, &settings.store) {
            ("postgres", StoreKind::Postgres(url)) => url.reveal(),
            ("postgres", _) => {
                return Err(CliError::Usage(
                    "postgres is the database that ANYHOOK_STORE names: set it to its URL".into(),
                ));
            }
            (url, _) if url.starts_with("postgres://") || url.starts_with("postgresql://") => url,
            // A mistyped URL may hold a password.
            _ => {
                return Err(CliError::Usage(
                    "--from and --to take sled, sled:DIRECTORY, postgres or a postgres:// URL".into(),
                ));
            }
        };
        let options = PostgresOptions::new(url, &settings.store_schema, settings.store_ca_file.clone());
        options
            .map(|options| Place::Postgres(Box::new(options)))
            .map_err(|error| CliError::Usage(format!("--from and --to must be {error}")))
    }

    /// Its name, without a password.
    pub(super) fn name(&self) -> String {
        match self {
            Place::Sled(directory) => format!("sled:{}", directory.display()),
            Place::Postgres(options) => options.place(),
        }
    }

    /// What takes away all that is kept there.
    pub(super) fn give_up(&self) -> String {
        match self {
            Place::Sled(directory) => format!("removing {}", directory.join(STORE_DIRECTORY).display()),
            Place::Postgres(options) => options.drop_statement(),
        }
    }

    /// The data directory, where there is one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Place::Sled(directory) => Some(directory),
            Place::Postgres(_) => None,
        }
    }

    /// Opens it for a move, and makes it where it is to be made.
    pub(super) async fn open(&self, is_made: bool, settings: &Settings) -> Result<Box<dyn Side>, CliError> {
        let limits = &settings.limits.store;
        let opened: Result<Box<dyn Side>, StoreError> = match self {
            Place::Sled(directory) => {
                if is_made {
                    make_data_dir(directory).map_err(ServerError::from)?;
                }
                let store = directory.join(STORE_DIRECTORY);
                SledSide::open(&store, is_made, limits).await.map(|side| Box::new(side) as Box<dyn Side>)
            }
            Place::Postgres(options) => {
                PostgresSide::open(options, is_made, limits).await.map(|side| Box::new(side) as Box<dyn Side>)
            }
        };
        opened.map_err(|error| match error {
            StoreError::Missing(what) => CliError::Usage(format!("there is no {what} in {}", self.name())),
            error => error.into(),
        })
    }
}

/// The whole path, since a move is remembered by it.
fn whole(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}
