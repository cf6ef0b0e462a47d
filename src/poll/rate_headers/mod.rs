//! What a vendor's headers say of its limits. Pure.

mod draft;
mod times;

#[cfg(test)]
mod tests;

pub use times::{date, retry_after};

use super::budget::quota::Hint;
use anyhook_connectors::contract::{AppLimit, Headers, RateLimit};
use chrono::{DateTime, Utc};

/// What an answer says of the app's quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfApp {
    /// What is left.
    pub hint: Hint,
    /// Where the answer is a refusal: true if it is for this quota, not for the credential's.
    pub is_refusal: bool,
}

/// Reads Retry-After, the manifest's own headers, and where there are none of these what vendors have agreed on. `now`
/// is the vendor's clock, which its times are told by.
pub fn hint(headers: &Headers, limit: &RateLimit, now: DateTime<Utc>) -> Hint {
    let own = Hint {
        remaining: count(headers, limit.remaining_header),
        reset: time(headers, limit.reset_header, now).or_else(|| window(headers, limit.window_ms_header)),
        retry_after: None,
    };
    let mut hint = draft::hint(headers, now).filter(|_| own == Hint::default()).unwrap_or(own);
    if limit.remaining_header.is_none() && limit.reset_header.is_some() && own.reset.is_some() {
        hint.remaining = Some(0);
    }
    Hint { retry_after: headers.get("retry-after").and_then(|text| retry_after(text, now)), ..hint }
}

/// Reads what is said of the app's quota.
pub fn of_app(headers: &Headers, limit: &AppLimit, now: DateTime<Utc>) -> OfApp {
    let hint = Hint {
        remaining: count(headers, limit.remaining_header),
        reset: time(headers, limit.reset_header, now),
        retry_after: headers.get("retry-after").and_then(|text| retry_after(text, now)),
    };
    let is_refusal = limit
        .refusal
        .is_some_and(|(name, value)| headers.get_all(name).any(|given| given.trim().eq_ignore_ascii_case(value)));
    OfApp { hint, is_refusal }
}

/// The first value: some vendors list one for each of their windows, the shortest first.
fn first<'a>(headers: &'a Headers, name: Option<&str>) -> Option<&'a str> {
    headers.get(name?)?.split(';').next().map(str::trim)
}

fn count(headers: &Headers, name: Option<&str>) -> Option<u32> {
    let number: f64 = first(headers, name)?.split(',').next()?.trim().parse().ok()?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    number.is_finite().then(|| number.clamp(0.0, f64::from(u32::MAX)) as u32)
}

fn time(headers: &Headers, name: Option<&str>, now: DateTime<Utc>) -> Option<std::time::Duration> {
    times::until(first(headers, name)?, now)
}

fn window(headers: &Headers, name: Option<&str>) -> Option<std::time::Duration> {
    let ms: f64 = first(headers, name)?.parse().ok().filter(|ms: &f64| ms.is_finite())?;
    Some(times::span(ms / 1_000.0))
}
