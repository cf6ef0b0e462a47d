//! What is made at first start: the master key, and the workspace with its API key and signing secret.

use crate::clock::Clock;
use crate::ids::WorkspaceId;
use crate::random::{NoEntropy, Random};
use crate::secrets::{Vault, VaultError};
use crate::settings::{Secret, Settings, StoreKind};
use crate::store::{SigningSecrets, Store, StoreError, Workspace};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The master key's file in the data directory.
const MASTER_KEY_FILE: &str = "master.key";
/// How often another node may come first.
const MEETINGS_MAX: u32 = 100;

/// Why the first things could not be made or read.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// A file or directory cannot be read or written.
    #[error("{} cannot be {action}: {error}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// Why.
        error: io::Error,
    },
    /// Others may read the master key.
    #[error("{} can be read by others: run chmod 600 on it", .0.display())]
    Exposed(PathBuf),
    /// The master key's file holds no key.
    #[error("{} does not hold a master key: restore it from a backup, or set ANYHOOK_MASTER_KEY", .0.display())]
    Damaged(PathBuf),
    /// Nodes that share a database have to be given the key that they share.
    #[error(
        "with PostgreSQL as the store every node needs the same master key: set ANYHOOK_MASTER_KEY, made once by: openssl rand -base64 32"
    )]
    NoMasterKey,
    /// What is sealed cannot be opened without its key.
    #[error("the master key is not known: set ANYHOOK_MASTER_KEY to the one that the source's nodes have")]
    UnknownMasterKey,
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A secret cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BootstrapError {
    fn file(path: &Path, action: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| BootstrapError::File { path: path.to_owned(), action, error }
    }
}

/// Makes the data directory, for this user alone, where there is none.
pub fn make_data_dir(path: &Path) -> Result<(), BootstrapError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BootstrapError::file(path, "written"))
}

/// The master key: from the settings, else from its file in the data directory, made there at first start. With the
/// store in memory it is made anew each time, since nothing sealed outlives the process; with PostgreSQL it has to be
/// given.
pub fn master_key(settings: &Settings, random: &Random) -> Result<Zeroizing<[u8; 32]>, BootstrapError> {
    if let Some(key) = &settings.master_key {
        return Ok(Vault::parse_key(key.reveal())?);
    }
    match settings.store {
        StoreKind::Memory => return fresh_key(random),
        StoreKind::Postgres(_) => return Err(BootstrapError::NoMasterKey),
        StoreKind::Sled => {}
    }
    let path = settings.data_dir.join(MASTER_KEY_FILE);
    match read_key(&path)? {
        Some(key) => Ok(key),
        None => {
            let key = fresh_key(random)?;
            write_key(&settings.data_dir, &path, &key).map_err(BootstrapError::file(&path, "written"))?;
            Ok(key)
        }
    }
}

/// The master key of a store that is there already: from the settings, else from one of these data directories. None is
/// made.
pub fn known_master_key(settings: &Settings, directories: &[&Path]) -> Result<Zeroizing<[u8; 32]>, BootstrapError> {
    if let Some(key) = &settings.master_key {
        return Ok(Vault::parse_key(key.reveal())?);
    }
    for directory in directories {
        if let Some(key) = read_key(&directory.join(MASTER_KEY_FILE))? {
            return Ok(key);
        }
    }
    Err(BootstrapError::UnknownMasterKey)
}

/// The 32 bytes that a store's keyed hashes start from, if it is new.
pub fn fresh_key(random: &Random) -> Result<Zeroizing<[u8; 32]>, BootstrapError> {
    let mut key = Zeroizing::new([0; 32]);
    random.fill(key.as_mut_slice())?;
    Ok(key)
}

fn read_key(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, BootstrapError> {
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BootstrapError::file(path, "read")(error)),
    };
    if mode & 0o077 != 0 {
        return Err(BootstrapError::Exposed(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(BootstrapError::file(path, "read"))?);
    Vault::parse_key(&text).map(Some).map_err(|_| BootstrapError::Damaged(path.to_owned()))
}

/// Written beside its place and moved there whole, so that a crash leaves a key or none.
fn write_key(directory: &Path, path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let text = Zeroizing::new(format!("{}\n", BASE64.encode(key)));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(directory)?.sync_all()
}

/// What was made because the settings did not give it. Shown once; kept nowhere in this form.
#[derive(Debug, Default)]
pub struct Made {
    /// The API key.
    pub api_key: Option<Secret>,
    /// The signing secret.
    pub secret: Option<Secret>,
}

/// The first workspace: made where there is none, brought in line with the settings where there is.
pub async fn workspace(
    store: &dyn Store,
    vault: &Vault,
    clock: &Clock,
    random: &Random,
    settings: &Settings,
) -> Result<(Workspace, Made), BootstrapError> {
    // Nodes that start together meet here: the one that comes second reads again what the first has done.
    for _ in 0..MEETINGS_MAX {
        let done = match store.workspaces(None, 1).await?.into_iter().next() {
            Some(known) => align(store, vault, clock, settings, known).await.map(|known| (known, Made::default())),
            None => make(store, vault, clock, random, settings).await,
        };
        match done {
            Err(BootstrapError::Store(StoreError::Exists(_) | StoreError::Conflict(_))) => {}
            done => return done,
        }
    }
    Err(StoreError::Conflict("workspace").into())
}

/// SHA-256 of an API key, as the store knows it.
pub fn key_hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

async fn make(
    store: &dyn Store,
    vault: &Vault,
    clock: &Clock,
    random: &Random,
    settings: &Settings,
) -> Result<(Workspace, Made), BootstrapError> {
    let mut made = Made::default();
    let api_key = match &settings.api_key {
        Some(key) => key,
        None => made.api_key.insert(new_api_key(random)?),
    };
    let secret = match &settings.workspace_secret {
        Some(secret) => secret,
        None => made.secret.insert(new_secret(random)?),
    };
    let id = WorkspaceId::new(clock, random)?;
    let sealed = vault.seal(&Workspace::seal(id), secret.reveal().as_bytes())?;
    let settings_secret = settings.workspace_secret.as_ref().map(|_| sealed.clone());
    let workspace = Workspace::new(id, "default", key_hash(api_key.reveal()), sealed, clock.now());
    let workspace = Workspace { settings_secret, ..workspace };
    store.insert_first_workspace(workspace.clone()).await?;
    Ok((workspace, made))
}

/// The settings' secret counts when it is another than the settings had last: one that was replaced by API since stays
/// replaced over a restart.
async fn align(
    store: &dyn Store,
    vault: &Vault,
    clock: &Clock,
    settings: &Settings,
    known: Workspace,
) -> Result<Workspace, BootstrapError> {
    let owner = Workspace::seal(known.id);
    let plain = vault.open(&owner, known.settings_secret.as_ref().unwrap_or(&known.signing.secret))?;
    let mut wanted = known.clone();
    if let Some(key) = &settings.api_key {
        wanted.key_hash = key_hash(key.reveal());
    }
    match &settings.workspace_secret {
        Some(secret) if secret.reveal().as_bytes() != &plain[..] => {
            let sealed = vault.seal(&owner, secret.reveal().as_bytes())?;
            if vault.open(&owner, &known.signing.secret)?.as_slice() != secret.reveal().as_bytes() {
                wanted.signing = SigningSecrets::only(sealed.clone(), Some(clock.now()));
            }
            wanted.settings_secret = Some(sealed);
        }
        Some(_) if known.settings_secret.is_none() => wanted.settings_secret = Some(known.signing.secret.clone()),
        _ => {}
    }
    if wanted == known {
        return Ok(known);
    }
    let (key, secret) = (wanted.key_hash != known.key_hash, wanted.signing != known.signing);
    let kept = store.replace_workspace(wanted).await?;
    if key || secret {
        tracing::info!(workspace_id = %known.id, key, secret, "the workspace's key or secret was replaced by the settings'");
    }
    Ok(kept)
}

/// 192 random bits, in characters that a double click selects.
fn new_api_key(random: &Random) -> Result<Secret, NoEntropy> {
    let mut bytes = Zeroizing::new([0; 24]);
    random.fill(bytes.as_mut_slice())?;
    Ok(Secret::new(format!("ahk_{}", hex::encode(bytes.as_slice()))))
}

/// A signing secret: 256 random bits in the form of the Standard Webhooks specification.
pub fn new_secret(random: &Random) -> Result<Secret, NoEntropy> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.fill(bytes.as_mut_slice())?;
    Ok(Secret::new(format!("whsec_{}", BASE64.encode(bytes.as_slice()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::StoreLimits;
    use crate::store::{MemoryStore, Workspaces};
    use std::os::unix::fs::PermissionsExt;

    fn settings(directory: &Path) -> Settings {
        Settings { data_dir: directory.to_owned(), ..Settings::default() }
    }

    #[test]
    fn the_master_key_is_made_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        let key = master_key(&settings, &Random::seeded(1)).unwrap();
        let path = directory.path().join(MASTER_KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(master_key(&settings, &Random::seeded(2)).unwrap(), key, "the second start reads the first one's");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = master_key(&settings, &Random::seeded(2)).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_master_key_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        master_key(&settings, &Random::seeded(1)).unwrap();
        let path = directory.path().join(MASTER_KEY_FILE);
        fs::write(&path, "short").unwrap();
        assert!(matches!(master_key(&settings, &Random::seeded(2)), Err(BootstrapError::Damaged(_))));
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }

    #[tokio::test]
    async fn the_settings_secret_replaces_what_signs_only_when_it_is_another() {
        let (random, clock) = (Random::seeded(4), Clock::system());
        let vault = Vault::new(&[7; 32], random.clone());
        let store = MemoryStore::new(&StoreLimits::default());
        let start = async |secret: Option<&str>| {
            let workspace_secret = secret.map(|secret| Secret::new(secret.to_owned()));
            let settings = Settings { workspace_secret, ..Settings::default() };
            let (row, _) = workspace(&store, &vault, &clock, &random, &settings).await.unwrap();
            let plain = vault.open(&Workspace::seal(row.id), &row.signing.secret).unwrap();
            (String::from_utf8(plain.to_vec()).unwrap(), row)
        };
        assert_eq!(start(Some("first")).await.0, "first");
        let row = start(Some("first")).await.1;
        let sealed = vault.seal(&Workspace::seal(row.id), b"by API").unwrap();
        let now = clock.now();
        let signing = row.signing.replaced(sealed, now, now + chrono::TimeDelta::days(1));
        store.replace_workspace(Workspace { signing, ..row }).await.unwrap();
        let (newest, row) = start(Some("first")).await;
        assert_eq!((newest.as_str(), row.signing.former_secrets.len()), ("by API", 1), "a restart is no change");
        assert_eq!(start(None).await.0, "by API");
        let (newest, row) = start(Some("by API")).await;
        assert_eq!((newest.as_str(), row.signing.former_secrets.len()), ("by API", 1), "it signs already");
        let (newest, row) = start(Some("second")).await;
        assert_eq!((newest.as_str(), row.signing.former_secrets.len()), ("second", 0));

        // As rows were before the settings' secret was kept.
        store.replace_workspace(Workspace { settings_secret: None, ..row }).await.unwrap();
        assert!(start(Some("second")).await.1.settings_secret.is_some());
        assert_eq!(start(Some("third")).await.0, "third");
    }

    #[test]
    fn made_keys_differ_and_have_their_forms() {
        let random = Random::seeded(3);
        let (one, other) = (new_api_key(&random).unwrap(), new_api_key(&random).unwrap());
        assert_ne!(one, other);
        assert!(one.reveal().starts_with("ahk_") && one.reveal().len() == 52);
        assert!(new_secret(&random).unwrap().reveal().starts_with("whsec_"));
    }
}
