//! The names of the settings: what there is, and what was meant by a name that is none.

use crate::limits::{BudgetLimits, Limits};
use toml::{Table, Value};

/// Names the settings file; read before the settings are.
pub(super) const CONFIG: &str = "ANYHOOK_CONFIG";

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Texts,
    Numbers,
    Flag,
}

#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// As in the file and in `--set`.
    pub(super) path: String,
    /// As in the environment.
    pub(super) variable: String,
    pub(super) kind: Kind,
}

/// What is no limit.
const OWN: &[(&str, Kind)] = &[
    ("listen", Kind::Text),
    ("data_dir", Kind::Text),
    ("store.backend", Kind::Text),
    ("store.schema", Kind::Text),
    ("store.ca_file", Kind::Text),
    ("roles", Kind::Texts),
    ("api_key", Kind::Text),
    ("workspace_secret", Kind::Text),
    ("master_key", Kind::Text),
    ("public_url", Kind::Text),
    ("destinations_allow", Kind::Texts),
    ("destinations_ports", Kind::Texts),
    ("destinations_https_only", Kind::Flag),
    ("vendors_allow", Kind::Texts),
    ("egress_proxy", Kind::Text),
    ("oauth_clients", Kind::Texts),
    ("dashboard", Kind::Flag),
    ("drain_deadline_ms", Kind::Number),
    ("log.filter", Kind::Text),
    ("log.format", Kind::Text),
];

/// Variables that do not follow from the path.
const VARIABLES: &[(&str, &str)] = &[
    ("store.backend", "ANYHOOK_STORE"),
    ("log.filter", "ANYHOOK_LOG"),
    ("api.interval_floor_ms", "ANYHOOK_INTERVAL_FLOOR_MS"),
];

/// What budgets are set under, by integration.
const BUDGETS: &str = "poll.budgets";

/// Limits for which nothing is a sensible amount.
const ZERO: &[&str] = &[
    "poll.jitter_percent",
    "poll.bad_records_percent_max",
    "poll.retry_base_ms",
    "poll.retry_wait_max_ms",
    "poll.pause_floor_ms",
    "deliver.first_byte_timeout_ms",
    "deliver.quick_retry_ms",
    "deliver.retry_after_max_ms",
    "deliver.page_cache_bytes_max",
    "deliver.response_kept_bytes",
    "deliver.replay_kept_ms",
    "deliver.replay_bytes_max",
    "api.list_offset_max",
    "store.page_linger_us",
    "store.position_linger_ms",
    "store.calls_ok_max",
    "store.calls_failed_max",
];

/// The limits' defaults as a table of tables.
pub(super) fn limits_table() -> Table {
    Table::try_from(Limits::default()).unwrap_or_default()
}

/// Every setting.
pub(super) fn known() -> Vec<Setting> {
    let own = OWN.iter().map(|(path, kind)| ((*path).to_owned(), *kind));
    let limits = limits_table().into_iter().flat_map(|(section, fields)| {
        let fields = if let Value::Table(fields) = fields { fields } else { Table::new() };
        let single = fields.into_iter().filter(|(_, value)| !value.is_table());
        single.map(move |(field, value)| (format!("{section}.{field}"), kind_of(&value)))
    });
    own.chain(limits).chain(budgets()).map(|(path, kind)| Setting { variable: variable(&path), path, kind }).collect()
}

/// The budgets that can be set for each integration of this build.
fn budgets() -> impl Iterator<Item = (String, Kind)> {
    let integrations = anyhook_connectors::all().iter().map(|connector| connector.manifest().integration);
    integrations.flat_map(|integration| {
        let fields = BudgetLimits::NAMES.iter();
        fields.map(move |field| (format!("{BUDGETS}.{integration}.{field}"), Kind::Number))
    })
}

fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Array(_) => Kind::Numbers,
        Value::Integer(_) => Kind::Number,
        _ => Kind::Text,
    }
}

fn variable(path: &str) -> String {
    match VARIABLES.iter().find(|(known, _)| *known == path) {
        Some((_, variable)) => (*variable).to_owned(),
        None => format!("ANYHOOK_{}", path.replace('.', "_").to_uppercase()),
    }
}

/// Whether a known path is a limit's.
pub(super) fn is_limit(path: &str) -> bool {
    !OWN.iter().any(|(own, _)| *own == path)
}

/// Whether a limit may be zero.
pub(super) fn may_be_zero(path: &str) -> bool {
    ZERO.contains(&path)
}

/// True for what Kubernetes sets in every container beside a service called `anyhook`; nobody meant these as settings.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
pub(super) fn is_from_kubernetes(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix("ANYHOOK_") else { return false };
    let is_port = rest.strip_prefix("PORT").is_some_and(|rest| {
        rest.is_empty() && value.contains("://")
            || rest.starts_with('_') && rest[1..].starts_with(|c: char| c.is_ascii_digit())
    });
    is_port || rest == "SERVICE_HOST" || rest.starts_with("SERVICE_PORT")
}

/// The known name that `name` is probably a slip of.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (name.len() / 4).max(2);
    let tail = |text: &str| text.rsplit('.').next().unwrap_or_default().to_owned();
    let scored = known.map(|candidate| {
        // A right name in the wrong section, or without one, is nearer than any slip of the pen.
        let is_elsewhere = candidate.contains('.') && tail(candidate) == tail(name)
            || name.strip_prefix("ANYHOOK_").is_some_and(|rest| candidate.ends_with(&format!("_{rest}")))
            || name.ends_with(candidate.trim_start_matches("ANYHOOK"));
        let distance = distance(name, candidate);
        (if is_elsewhere { 0 } else { distance }, distance, candidate)
    });
    scored.min().filter(|(score, ..)| *score <= bound).map(|(.., candidate)| candidate)
}

/// How many letters must be added, dropped or replaced to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, against) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *against);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
