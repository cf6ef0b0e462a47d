//! The header fields of the IETF's draft on rate limits (draft-ietf-httpapi-ratelimit-headers) in the forms that its
//! versions gave them, all of which vendors send:
//!
//! - since version 8 `RateLimit: "burst";r=5;t=1, "day";r=900;t=3600`, with `RateLimit-Policy: "burst";q=10;w=1`;
//! - version 7 `RateLimit: limit=100, remaining=50, reset=5`, with `RateLimit-Policy: 100;w=60`;
//! - before that `RateLimit-Remaining: 50` and `RateLimit-Reset: 5`, also with `X-` before them.
//!
//! Times are seconds from now.

use super::times::span;
use super::{count, time};
use crate::poll::budget::quota::Hint;
use anyhook_connectors::contract::Headers;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// One quota as it is told.
#[derive(Default)]
struct Told {
    name: Option<String>,
    remaining: Option<u32>,
    reset: Option<Duration>,
}

/// The quota that bounds most; none where the fields are not there.
pub(super) fn hint(headers: &Headers, now: DateTime<Utc>) -> Option<Hint> {
    let told = told(headers);
    let tightest = told.into_iter().filter_map(|told| {
        let remaining = told.remaining?;
        let reset = told.reset.or_else(|| window(headers, told.name.as_deref()));
        Some(Hint { remaining: Some(remaining), reset, retry_after: None })
    });
    tightest.min_by(|one, other| rate(one).total_cmp(&rate(other))).or_else(|| single(headers, now))
}

/// Requests a second until the window ends.
fn rate(hint: &Hint) -> f64 {
    let seconds = hint.reset.unwrap_or(Duration::from_secs(1)).as_secs_f64().max(0.001);
    // Of those with none left, the one that takes longest.
    match hint.remaining {
        Some(0) => -seconds,
        remaining => f64::from(remaining.unwrap_or(u32::MAX)) / seconds,
    }
}

fn told(headers: &Headers) -> Vec<Told> {
    let lines: Vec<&str> = headers.get_all("ratelimit").collect();
    let is_version_7 = lines.iter().any(|line| line.contains("remaining="));
    if is_version_7 {
        return lines.iter().map(|line| read(line.split([',', ';']))).collect();
    }
    lines.iter().flat_map(|line| line.split(',')).map(|item| read(item.split(';'))).collect()
}

fn read<'a>(parts: impl Iterator<Item = &'a str>) -> Told {
    let mut told = Told::default();
    for part in parts.map(str::trim) {
        match part.split_once('=') {
            Some(("r" | "remaining", number)) => told.remaining = number.trim().parse().ok(),
            Some(("t" | "reset", seconds)) => told.reset = seconds.trim().parse::<u32>().ok().map(|s| span(s.into())),
            Some(_) => {}
            None => told.name = Some(part.to_owned()),
        }
    }
    told
}

/// The window that the policy of this name has, or the only policy.
fn window(headers: &Headers, name: Option<&str>) -> Option<Duration> {
    let policies: Vec<&str> = headers.get_all("ratelimit-policy").flat_map(|line| line.split(',')).collect();
    let of_name = policies.iter().find(|policy| name.is_some() && policy.split(';').next().map(str::trim) == name);
    let policy = of_name.or_else(|| policies.first().filter(|_| policies.len() == 1))?;
    let seconds = policy.split(';').find_map(|part| part.trim().strip_prefix("w=")?.trim().parse::<u32>().ok())?;
    Some(span(seconds.into()))
}

fn single(headers: &Headers, now: DateTime<Utc>) -> Option<Hint> {
    ["ratelimit", "x-ratelimit"].into_iter().find_map(|prefix| {
        let remaining = count(headers, Some(&format!("{prefix}-remaining")))?;
        let reset = time(headers, Some(&format!("{prefix}-reset")), now);
        Some(Hint { remaining: Some(remaining), reset, retry_after: None })
    })
}
