//! Settings: from a TOML file, then the environment (`ANYHOOK_*`), then flags, each over the one before.
//!
//! A setting has a path (`poll.runs_max`, as in the file and in `--set`) and a variable (`ANYHOOK_POLL_RUNS_MAX`). What
//! is unknown, unreadable or contradicts something else is refused by name, before anything is started.

mod check;
mod error;
mod names;
mod roles;
mod value;

#[cfg(test)]
mod tests;

pub use error::SettingsError;
pub use roles::{Role, Roles};

use crate::limits::Limits;
use crate::outbound::{EgressProxy, Ports};
use crate::store::{PostgresOptions, WrongUrl};
use error::invalid;
use ipnet::IpNet;
use names::Setting;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::{Table, Value};
use zeroize::Zeroizing;

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text from being shown.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// The embedded store in the data directory.
    #[default]
    Sled,
    /// Memory: gone when the process ends. For trying things out and for tests.
    Memory,
    /// A PostgreSQL database, by its URL, for as many nodes as there are.
    Postgres(Secret),
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// An app that is registered at a vendor (RFC 6749, section 2): what people consent to by OAuth 2.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuthClient {
    /// The integration.
    pub integration: String,
    /// The client id that the vendor gave.
    pub client_id: String,
    /// The client secret that the vendor gave.
    pub client_secret: Secret,
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Address of the API and the ingress; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the embedded store and the master key live.
    pub data_dir: PathBuf,
    /// Where state is kept.
    pub store: StoreKind,
    /// The schema that a PostgreSQL store is in.
    pub store_schema: String,
    /// Certificates that are trusted for PostgreSQL in place of the machine's, in PEM.
    pub store_ca_file: Option<PathBuf>,
    /// What this node does.
    pub roles: Roles,
    /// API key of the first workspace; made at first start where none is set.
    pub api_key: Option<Secret>,
    /// Signing secret of the first workspace; made at first start where none is set.
    pub workspace_secret: Option<Secret>,
    /// Key that encrypts credentials at rest, 32 bytes in base64; a file in the data directory where none is set.
    pub master_key: Option<Secret>,
    /// What vendors and browsers reach us by, without a slash at the end; from the bound address where none is set.
    pub public_url: Option<String>,
    /// Private networks that hook URLs may reach.
    pub destinations_allow: Vec<IpNet>,
    /// Ports that hook URLs may reach; all but those of other protocols where none is listed.
    pub destinations_ports: Ports,
    /// True if hook URLs must be https.
    pub destinations_https_only: bool,
    /// Private networks that a connection's `auth.api_url` may reach.
    pub vendors_allow: Vec<IpNet>,
    /// What requests to destinations and vendors go through.
    pub egress_proxy: Option<EgressProxy>,
    /// The apps that are registered at vendors, for consent by OAuth 2.
    pub oauth_clients: Vec<OAuthClient>,
    /// Whether browsers are served the dashboard.
    pub dashboard: bool,
    /// How long a drain may take before what is left is dropped, in milliseconds.
    pub drain_deadline_ms: u64,
    /// Filter of log lines, such as `info` or `anyhook::poll=debug,warn`.
    pub log_filter: String,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Every limit.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data_dir: PathBuf::from("anyhook-data"),
            store: StoreKind::default(),
            store_schema: "anyhook".to_owned(),
            store_ca_file: None,
            roles: Roles::default(),
            api_key: None,
            workspace_secret: None,
            master_key: None,
            public_url: None,
            destinations_allow: Vec::new(),
            destinations_ports: Ports::default(),
            destinations_https_only: false,
            vendors_allow: Vec::new(),
            egress_proxy: None,
            oauth_clients: Vec::new(),
            dashboard: true,
            drain_deadline_ms: 20_000,
            log_filter: "info".to_owned(),
            log_format: LogFormat::default(),
            limits: Limits::default(),
        }
    }
}

/// A value and the name it was given by, as its writer knows it.
struct Given {
    name: String,
    value: Value,
}

impl Settings {
    /// Reads settings. `file` is the text of a settings file; of `environment` the variables `ANYHOOK_*` count; `flags`
    /// are paths with their values. Later sources win.
    pub fn load(
        file: Option<&str>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let known = names::known();
        let mut given = BTreeMap::new();
        take_file(file.unwrap_or_default(), &known, &mut given)?;
        for (name, text) in environment {
            take_variable(name, &text, &known, &mut given)?;
        }
        for (path, text) in flags {
            let setting = find(&known, path, path, |setting| &setting.path)?;
            let value = value::parse(setting.kind, text).map_err(|expected| invalid(path, expected))?;
            given.insert(setting.path.clone(), Given { name: path.clone(), value });
        }
        let mut settings = Settings::default();
        let limits = given.iter().filter(|(path, _)| names::is_limit(path));
        settings.limits = limits_of(limits)?;
        for (path, given) in &given {
            settings.apply(path, given)?;
        }
        check::check(&settings)?;
        Ok(settings)
    }

    /// The database, where the store is one.
    pub fn postgres(&self) -> Option<Result<PostgresOptions, WrongUrl>> {
        match &self.store {
            StoreKind::Postgres(url) => {
                Some(PostgresOptions::new(url.reveal(), &self.store_schema, self.store_ca_file.clone()))
            }
            StoreKind::Sled | StoreKind::Memory => None,
        }
    }

    /// Takes over one setting that is not a limit.
    fn apply(&mut self, path: &str, Given { name, value }: &Given) -> Result<(), SettingsError> {
        let text = value.as_str().unwrap_or_default();
        let fail = |expected: &str| invalid(name, expected);
        match path {
            "listen" => {
                self.listen = text.parse().map_err(|_| fail("an address with a port, such as 127.0.0.1:8080"))?
            }
            "data_dir" if text.is_empty() => return Err(fail("a directory")),
            "data_dir" => self.data_dir = PathBuf::from(text),
            "roles" => self.roles = Roles::parse(value).map_err(|expected| invalid(name, expected))?,
            "store.backend" => self.store = store_kind(text, name)?,
            "store.schema" => self.store_schema = text.to_owned(),
            "store.ca_file" => self.store_ca_file = Some(PathBuf::from(text)),
            "api_key" => self.api_key = Some(value::secret(text, 16).map_err(|expected| invalid(name, expected))?),
            "workspace_secret" => {
                self.workspace_secret = Some(value::secret(text, 6).map_err(|expected| invalid(name, expected))?);
            }
            "master_key" => {
                crate::secrets::Vault::parse_key(text).map_err(|_| fail("32 bytes in base64"))?;
                self.master_key = Some(Secret::new(text.trim().to_owned()));
            }
            "public_url" => self.public_url = Some(value::url(text).map_err(|expected| invalid(name, expected))?),
            "destinations_allow" => self.destinations_allow = value::networks(value).map_err(|e| invalid(name, e))?,
            "destinations_ports" => self.destinations_ports = value::ports(value).map_err(|e| invalid(name, e))?,
            "destinations_https_only" => self.destinations_https_only = value.as_bool().unwrap_or_default(),
            "egress_proxy" => {
                let proxy = EgressProxy::parse(text);
                self.egress_proxy =
                    Some(proxy.ok_or_else(|| fail("the URL of an HTTP proxy, such as http://proxy:3128"))?);
            }
            "vendors_allow" => self.vendors_allow = value::networks(value).map_err(|e| invalid(name, e))?,
            "oauth_clients" => self.oauth_clients = value::oauth_clients(value).map_err(|e| invalid(name, e))?,
            "dashboard" => self.dashboard = value.as_bool().unwrap_or_default(),
            "drain_deadline_ms" => {
                let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
                self.drain_deadline_ms = number.ok_or_else(|| fail("a whole number, zero or more"))?;
            }
            "log.filter" => self.log_filter = text.to_owned(),
            "log.format" => {
                self.log_format = match text {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => return Err(fail("text or json")),
                };
            }
            _ => {}
        }
        Ok(())
    }
}

/// The setting whose name (by `name_of`) is `wanted`; else refused as it was `written`.
fn find<'a>(
    known: &'a [Setting],
    wanted: &str,
    written: &str,
    name_of: fn(&Setting) -> &str,
) -> Result<&'a Setting, SettingsError> {
    known.iter().find(|setting| name_of(setting) == wanted).ok_or_else(|| SettingsError::Unknown {
        name: written.to_owned(),
        meant: names::nearest(wanted, known.iter().map(name_of)).map(str::to_owned),
    })
}

fn take_file(text: &str, known: &[Setting], given: &mut BTreeMap<String, Given>) -> Result<(), SettingsError> {
    let table: Table =
        text.parse().map_err(|error: toml::de::Error| SettingsError::Malformed(value::one_line(&error.to_string())))?;
    let mut flat = Vec::new();
    value::flatten(String::new(), table, &mut flat);
    for (path, value) in flat {
        let setting = find(known, &path, &path, |setting| &setting.path)?;
        value::check_kind(setting.kind, &value).map_err(|expected| invalid(&path, expected))?;
        given.insert(path.clone(), Given { name: path, value });
    }
    Ok(())
}

fn take_variable(
    name: String,
    text: &str,
    known: &[Setting],
    given: &mut BTreeMap<String, Given>,
) -> Result<(), SettingsError> {
    if !name.starts_with("ANYHOOK_") || name == names::CONFIG || names::is_from_kubernetes(&name, text) {
        return Ok(());
    }
    let setting = find(known, &name, &name, |setting| &setting.variable)?;
    let value = value::parse(setting.kind, text).map_err(|expected| invalid(&name, expected))?;
    given.insert(setting.path.clone(), Given { name, value });
    Ok(())
}

fn store_kind(text: &str, name: &str) -> Result<StoreKind, SettingsError> {
    match text {
        "sled" => Ok(StoreKind::Sled),
        "memory" => Ok(StoreKind::Memory),
        url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(StoreKind::Postgres(Secret::new(url.to_owned())))
        }
        _ => Err(invalid(name, "sled, memory, or a URL such as postgres://anyhook:password@db.internal/anyhook")),
    }
}

/// The limits with what was given, one after the other, so that the one that does not fit is named.
fn limits_of<'a>(given: impl Iterator<Item = (&'a String, &'a Given)>) -> Result<Limits, SettingsError> {
    let mut table = names::limits_table();
    for (path, Given { name, value }) in given {
        let least = i64::from(!names::may_be_zero(path));
        if value.as_integer().is_some_and(|number| number < least) {
            let expected = if least == 0 { "a whole number, zero or more" } else { "a whole number, one or more" };
            return Err(invalid(name, expected));
        }
        value::put(&mut table, path, value.clone());
        Limits::deserialize(table.clone()).map_err(|_| invalid(name, "a smaller number"))?;
    }
    Limits::deserialize(table).map_err(|error| SettingsError::Malformed(value::one_line(&error.to_string())))
}
