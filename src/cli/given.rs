//! Settings as the command line gives them: a file, the environment, flags.

use super::CliError;
use crate::settings::Settings;
use std::env;
use std::fs;
use std::path::Path;

/// Bytes of a settings file that are read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Loads the settings. `named` are flags that stand for a setting each, `set` those of `--set`, which come after them.
pub(super) fn settings(
    config: Option<&Path>,
    named: &[(&str, &Option<String>)],
    set: &[String],
) -> Result<Settings, CliError> {
    let file = config.map(|path| {
        let unreadable = |error| CliError::Unreadable { name: path.display().to_string(), error };
        if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(CliError::Usage(format!("{} is larger than a settings file can be", path.display())));
        }
        fs::read_to_string(path).map_err(unreadable)
    });
    let file = file.transpose()?;
    let environment =
        env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    Ok(Settings::load(file.as_deref(), environment, &flags(named, set)?)?)
}

/// The flags that were given, as paths and values.
fn flags(named: &[(&str, &Option<String>)], set: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let named = named.iter().filter_map(|(path, value)| Some(Ok(((*path).to_owned(), (*value).clone()?))));
    let set = set.iter().map(|pair| match pair.split_once('=') {
        Some((path, value)) => Ok((path.trim().to_owned(), value.to_owned())),
        None => Err(CliError::Usage(format!("--set {pair}: write it as path=value, such as poll.runs_max=128"))),
    });
    named.chain(set).collect()
}
