use super::*;
use proptest::prelude::*;
use std::time::Duration;

const LIMIT: RateLimit =
    RateLimit { remaining_header: Some("x-left"), reset_header: Some("x-reset"), ..RateLimit::PLAIN };
const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn read(pairs: &[(&str, &str)]) -> Hint {
    hint(&Headers::from_pairs(pairs.iter().copied()), &LIMIT, now())
}

#[test]
fn every_form_of_a_time_is_read() {
    let forms = [
        "1700000060",
        "1700000060.0",
        "1700000060000",
        "60",
        "60.0",
        "60, 3600",
        "1m",
        "1m0s",
        "60000ms",
        "0h1m",
        "Tue, 14 Nov 2023 22:14:20 GMT",
        "2023-11-14T22:14:20Z",
        "2023-11-14T23:14:20.000+01:00",
    ];
    for form in forms {
        assert_eq!(read(&[("X-Left", "10"), ("X-Reset", form)]).reset, MINUTE, "{form}");
    }
    for (form, expected) in [("60", 60.0), ("0.25", 0.25), ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0), (" 7 ", 7.0)] {
        let read = read(&[("Retry-After", form)]).retry_after;
        assert_eq!(read, Some(Duration::from_secs_f64(expected)), "{form}");
    }
}

#[test]
fn every_version_of_the_draft_is_read() {
    let cases: &[(&[(&str, &str)], u32)] = &[
        (&[("ratelimit", "\"default\";r=50;t=60")], 50),
        (&[("ratelimit", "\"day\";r=900;t=3600, \"burst\";r=5;t=60")], 5),
        (&[("ratelimit", "\"day\";r=900;t=3600"), ("ratelimit", "\"burst\";r=5;t=60")], 5),
        (&[("ratelimit", "\"burst\";r=0;t=1, \"day\";r=0;t=60")], 0),
        (&[("ratelimit", "\"burst\";r=5"), ("ratelimit-policy", "\"day\";q=900;w=3600, \"burst\";q=10;w=60")], 5),
        (&[("ratelimit", "limit=100, remaining=50, reset=60")], 50),
        (&[("ratelimit", "limit=100, remaining=50"), ("ratelimit-policy", "100;w=60")], 50),
        (&[("ratelimit-limit", "100"), ("ratelimit-remaining", "50"), ("ratelimit-reset", "60")], 50),
        (&[("x-ratelimit-remaining", "50"), ("x-ratelimit-reset", "1700000060")], 50),
    ];
    for (pairs, remaining) in cases {
        let read = read(pairs);
        assert_eq!((read.remaining, read.reset), (Some(*remaining), MINUTE), "{pairs:?}");
    }
    let both = read(&[("x-left", "7"), ("x-reset", "60"), ("ratelimit", "\"default\";r=50;t=1")]);
    assert_eq!((both.remaining, both.reset), (Some(7), MINUTE), "what the manifest names counts first");
}

#[test]
fn the_vendors_own_headers_are_read() {
    let of = |integration: &str, pairs: &[(&str, &str)]| {
        let manifest = anyhook_connectors::find(integration).unwrap().manifest();
        let hint = hint(&Headers::from_pairs(pairs.iter().copied()), &manifest.rate_limit, now());
        (hint.remaining, hint.reset)
    };
    let github = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1700000060"), ("X-RateLimit-Used", "5000")];
    assert_eq!(of("github", &github), (Some(0), MINUTE));
    let linear = [("X-RateLimit-Requests-Remaining", "1499"), ("X-RateLimit-Requests-Reset", "1700000060000")];
    assert_eq!(of("linear", &linear), (Some(1_499), MINUTE));
    let hubspot = [
        ("X-HubSpot-RateLimit-Max", "100"),
        ("X-HubSpot-RateLimit-Remaining", "12"),
        ("X-HubSpot-RateLimit-Interval-Milliseconds", "10000"),
    ];
    assert_eq!(of("hubspot", &hubspot), (Some(12), Some(Duration::from_secs(10))));
    assert_eq!(of("hubspot", &[]), (None, None), "searches tell nothing");
    assert_eq!(of("kinto", &[("Backoff", "60")]), (Some(0), MINUTE));
    assert_eq!(of("kinto", &[]), (None, None));
}

#[test]
fn a_refusal_says_by_a_header_that_it_is_the_apps() {
    // As Xero does (developer.xero.com, "Limits").
    let app = AppLimit {
        requests: 10_000,
        per_ms: 60_000,
        remaining_header: Some("x-appminlimit-remaining"),
        reset_header: None,
        refusal: Some(("x-rate-limit-problem", "appminute")),
    };
    let read = |pairs: &[(&str, &str)]| of_app(&Headers::from_pairs(pairs.iter().copied()), &app, now());
    let refused = read(&[("X-Rate-Limit-Problem", "AppMinute"), ("Retry-After", "60")]);
    assert_eq!((refused.is_refusal, refused.hint.retry_after), (true, MINUTE));
    assert!(!read(&[("X-Rate-Limit-Problem", "minute"), ("Retry-After", "60")]).is_refusal);
    assert_eq!(read(&[("X-AppMinLimit-Remaining", "9999")]).hint.remaining, Some(9_999));
}

#[test]
fn nonsense_is_ignored_or_clamped() {
    let odd = read(&[("retry-after", "soon"), ("x-reset", "-5"), ("x-left", "-1")]);
    assert_eq!(odd, Hint { remaining: Some(0), reset: Some(Duration::ZERO), retry_after: None });
    assert_eq!(read(&[("retry-after", "1e300")]).retry_after, Some(Duration::from_secs(86_400)));
    for reset in ["", "s", "5x", "1m s", "NaN", "inf"] {
        assert_eq!(read(&[("x-reset", reset)]).reset, None, "{reset}");
    }
}

proptest! {
    #[test]
    fn whatever_headers_say_is_no_panic_and_at_most_a_day(
        left in ".{0,40}", reset in ".{0,40}", retry in ".{0,40}", draft in ".{0,60}", policy in ".{0,40}",
    ) {
        let pairs = [("x-left", left), ("x-reset", reset), ("retry-after", retry), ("ratelimit", draft), ("ratelimit-policy", policy)];
        let hint = hint(&Headers::from_pairs(pairs), &LIMIT, now());
        let day = Duration::from_secs(86_400);
        prop_assert!(hint.reset.is_none_or(|reset| reset <= day) && hint.retry_after.is_none_or(|wait| wait <= day));
    }

    #[test]
    fn a_time_is_the_same_in_every_form(seconds in 0..86_400u32) {
        let at = now() + chrono::TimeDelta::seconds(seconds.into());
        let forms = [
            seconds.to_string(),
            at.timestamp().to_string(),
            at.timestamp_millis().to_string(),
            at.to_rfc3339(),
            at.to_rfc2822(),
            format!("{}h{}m{}s", seconds / 3_600, seconds / 60 % 60, seconds % 60),
        ];
        for form in forms {
            let expected = Some(Duration::from_secs(seconds.into()));
            prop_assert_eq!(read(&[("x-left", "1"), ("x-reset", &form)]).reset, expected, "{}", form);
        }
    }
}
