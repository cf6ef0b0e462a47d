//! Values: from text, and of the right kind.

use super::names::Kind;
use super::{OAuthClient, Secret};
use crate::outbound::Ports;
use ipnet::IpNet;
use std::net::IpAddr;
use toml::{Table, Value};
use url::Url;

const NUMBER: &str = "a whole number";
const FLAG: &str = "true or false";
const PORTS: &str = "a list of ports and ranges of them, such as 443,8000-8999";
const NETWORKS: &str = "a list of networks, such as 10.0.0.0/8,192.168.1.7";

/// The items of a list that is written in one line, divided by commas.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn number(text: &str) -> Option<Value> {
    text.trim().replace('_', "").parse().ok().map(Value::Integer)
}

/// Reads what the environment or a flag says. The error is what it must be.
pub(super) fn parse(kind: Kind, text: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Number => number(text).ok_or(NUMBER),
        Kind::Texts => Ok(Value::Array(items(text).map(|item| Value::String(item.to_owned())).collect())),
        Kind::Numbers => {
            let numbers: Option<Vec<Value>> = items(text).map(number).collect();
            numbers.map(Value::Array).ok_or("whole numbers divided by commas")
        }
        Kind::Flag => text.trim().parse().map(Value::Boolean).map_err(|_| FLAG),
    }
}

/// Whether the file's value is of this kind. The error is what it must be.
pub(super) fn check_kind(kind: Kind, value: &Value) -> Result<(), &'static str> {
    let all = |is: fn(&Value) -> bool| value.as_array().is_some_and(|items| items.iter().all(is));
    match kind {
        Kind::Text if value.is_str() => Ok(()),
        Kind::Number if value.is_integer() => Ok(()),
        Kind::Texts if all(Value::is_str) => Ok(()),
        Kind::Numbers if all(Value::is_integer) => Ok(()),
        Kind::Flag if value.is_bool() => Ok(()),
        Kind::Text => Err("a text in quotes"),
        Kind::Number => Err(NUMBER),
        Kind::Texts => Err("a list of texts, such as [\"10.0.0.0/8\"]"),
        Kind::Numbers => Err("a list of whole numbers, such as [1000, 5000]"),
        Kind::Flag => Err(FLAG),
    }
}

/// A key or secret: printable ASCII without spaces, because it travels in headers and shells.
pub(super) fn secret(text: &str, characters_min: usize) -> Result<Secret, String> {
    if text.len() < characters_min || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("at least {characters_min} printable ASCII characters without spaces"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// A base URL without a slash at the end.
pub(super) fn url(text: &str) -> Result<String, &'static str> {
    let expected = "an http or https URL without query, such as https://hooks.example.com";
    let url = Url::parse(text).map_err(|_| expected)?;
    let is_plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
        return Err(expected);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Networks; an address alone is a network of one.
pub(super) fn networks(value: &Value) -> Result<Vec<IpNet>, &'static str> {
    let items = value.as_array().ok_or(NETWORKS)?;
    let network = |item: &Value| {
        let text = item.as_str()?.trim();
        text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    items.iter().map(network).collect::<Option<_>>().ok_or(NETWORKS)
}

/// Ports, one or a range of them each.
pub(super) fn ports(value: &Value) -> Result<Ports, &'static str> {
    let range = |item: &Value| {
        let text = item.as_str()?;
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
        (first > 0 && first <= last).then_some(first..=last)
    };
    let ranges: Option<Vec<_>> = value.as_array().ok_or(PORTS)?.iter().map(range).collect();
    ranges.map(Ports::new).ok_or(PORTS)
}

/// Apps registered at vendors: `integration:client_id:client_secret` each.
pub(super) fn oauth_clients(value: &Value) -> Result<Vec<OAuthClient>, &'static str> {
    let expected = "a list of integration:client_id:client_secret, for integrations that sign in by OAuth 2";
    let client = |item: &Value| {
        let mut parts = item.as_str()?.trim().splitn(3, ':');
        let (integration, client_id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let is_known = anyhook_connectors::find(integration).is_some();
        (is_known && !client_id.is_empty() && !secret.is_empty()).then(|| OAuthClient {
            integration: integration.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: Secret::new(secret.to_owned()),
        })
    };
    value.as_array().ok_or(expected)?.iter().map(client).collect::<Option<_>>().ok_or(expected)
}

/// A text of several lines in one.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sections, and sections in these, as paths.
pub(super) fn flatten(above: String, table: Table, flat: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let path = if above.is_empty() { name } else { format!("{above}.{name}") };
        match value {
            Value::Table(section) => flatten(path, section, flat),
            value => flat.push((path, value)),
        }
    }
}

/// Puts a value at its path.
pub(super) fn put(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(table.insert(path.to_owned(), value)),
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                put(section, rest, value);
            }
        }
    }
}
