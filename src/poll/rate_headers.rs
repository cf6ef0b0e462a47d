//! What a vendor's headers say of its limits. Pure.

use super::budget::Hint;
use anyhook_connectors::contract::{Headers, RateLimit};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// No vendor's word is taken for longer than a day.
const LONGEST_S: f64 = 86_400.0;

/// Reads Retry-After, the manifest's own headers, and the `RateLimit` header of the IETF draft
/// (draft-ietf-httpapi-ratelimit-headers). `now` is the vendor's clock, which its times are told by.
pub fn hint(headers: &Headers, limit: &RateLimit, now: DateTime<Utc>) -> Hint {
    let number = |name: Option<&str>| {
        let text = headers.get(name?)?.split([',', ';']).next()?.trim().to_owned();
        text.parse::<f64>().ok().filter(|number| number.is_finite())
    };
    let mut hint = Hint {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        remaining: number(limit.remaining_header).map(|left| left.clamp(0.0, f64::from(u32::MAX)) as u32),
        reset: number(limit.reset_header).map(|reset| until(reset, now)),
        retry_after: headers.get("retry-after").and_then(|text| retry_after(text, now)),
    };
    if limit.remaining_header.is_none() && hint.reset.is_some() {
        hint.remaining = Some(0);
    }
    if let Some(draft) = headers.get("ratelimit") {
        for item in draft.split([';', ',']).map(str::trim) {
            if let Some(remaining) = item.strip_prefix("r=").and_then(|text| text.parse().ok()) {
                hint.remaining = Some(remaining);
            }
            if let Some(seconds) = item.strip_prefix("t=").and_then(|text| text.parse::<u32>().ok()) {
                hint.reset = Some(span(f64::from(seconds)));
            }
        }
    }
    hint
}

/// Reads Retry-After (RFC 9110): seconds, or an HTTP date.
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

/// The end of a window is epoch milliseconds, epoch seconds or seconds from now: its size tells.
fn until(reset: f64, now: DateTime<Utc>) -> Duration {
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

fn span(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        requests: 1,
        per_ms: 1,
        description: "",
        remaining_header: Some("x-left"),
        reset_header: Some("x-reset"),
        ..RateLimit::PLAIN
    };

    fn read(pairs: &[(&str, &str)]) -> Hint {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        hint(&Headers::from_pairs(pairs.iter().copied()), &LIMIT, now)
    }

    #[test]
    fn every_form_of_a_window_is_read() {
        let minute = Some(Duration::from_secs(60));
        assert_eq!(read(&[("X-Left", "10"), ("X-Reset", "1700000060")]).reset, minute);
        assert_eq!(read(&[("x-reset", "1700000060000")]).reset, minute);
        assert_eq!(read(&[("x-reset", "60")]).reset, minute);
        assert_eq!(read(&[("retry-after", "Tue, 14 Nov 2023 22:14:20 GMT")]).retry_after, minute);
        let draft = read(&[("ratelimit", "\"default\";r=50;t=60")]);
        assert_eq!((draft.remaining, draft.reset), (Some(50), minute));
    }

    #[test]
    fn a_reset_without_a_count_is_a_wish_for_a_pause() {
        let limit = RateLimit { remaining_header: None, reset_header: Some("backoff"), ..LIMIT };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let busy = hint(&Headers::from_pairs([("Backoff", "30")]), &limit, now);
        assert_eq!((busy.remaining, busy.reset), (Some(0), Some(Duration::from_secs(30))));
        assert_eq!(hint(&Headers::default(), &limit, now), Hint::default());
    }

    #[test]
    fn nonsense_is_ignored_or_clamped() {
        let odd = read(&[("retry-after", "soon"), ("x-reset", "-5"), ("x-left", "-1")]);
        assert_eq!(odd, Hint { remaining: Some(0), reset: Some(Duration::ZERO), retry_after: None });
        assert_eq!(read(&[("retry-after", "1e300")]).retry_after, Some(Duration::from_secs(86_400)));
    }
}
