//! Times in headers: how long from now.

use anyhook_connectors::contract::Headers;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// No vendor's word is taken for longer than a day.
const LONGEST_S: f64 = 86_400.0;

/// Reads Retry-After (RFC 9110, section 10.2.3): seconds, also parts of them, or an HTTP date.
pub fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then(|| span(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some(span((at.with_timezone(&Utc) - now).as_seconds_f64()))
}

/// Reads a `Date` header.
pub fn date(headers: &Headers) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(headers.get("date")?).ok().map(|at| at.with_timezone(&Utc))
}

/// The end of a window: epoch milliseconds, epoch seconds or seconds from now, told apart by their size; an HTTP date or
/// one of RFC 3339; or a length with units, such as `1m30s`.
pub(super) fn until(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    // A date of RFC 2822 has a comma too.
    if let Some(number) = text.split(',').next().and_then(|text| text.trim().parse::<f64>().ok()) {
        return number.is_finite().then(|| of_number(number, now));
    }
    let date = DateTime::parse_from_rfc2822(text).or_else(|_| DateTime::parse_from_rfc3339(text));
    match date {
        Ok(at) => Some(span((at.with_timezone(&Utc) - now).as_seconds_f64())),
        Err(_) => with_units(text).map(span),
    }
}

fn of_number(reset: f64, now: DateTime<Utc>) -> Duration {
    #[allow(clippy::cast_precision_loss)] // seconds since the epoch are far below 2^53
    let now_s = now.timestamp_millis() as f64 / 1000.0;
    if reset > 1e12 {
        span(reset / 1000.0 - now_s)
    } else if reset > 1e9 {
        span(reset - now_s)
    } else {
        span(reset)
    }
}

/// Seconds, within what is believed.
pub(super) fn span(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_S))
}

/// `1h`, `1m30s`, `250ms`.
fn with_units(text: &str) -> Option<f64> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let each = match &unit[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * each;
        rest = &unit[letters..];
    }
    (!text.is_empty()).then_some(seconds)
}
