//! What an answer means for a delivery.

use super::backoff::{Hint, http_date, retry_after_ms};
use crate::outbound::{OutboundError, OutboundResponse};
use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Delivered,
    /// It is not; try again.
    Failed {
        /// What happened and what to do.
        error: String,
        /// What it says of the next attempt.
        hint: Hint,
    },
    /// Nobody is there any more: do not try again.
    Gone {
        /// What happened and what to do.
        error: String,
    },
}

/// Judges an answer: any 2xx that was read in time is success, 410 is the end, all else is tried again. Read means to its
/// end or to the cap: what an endpoint says beyond that takes nothing back.
pub fn judge(answer: &Result<OutboundResponse, OutboundError>, now: DateTime<Utc>) -> Verdict {
    match answer {
        Ok(response) => judge_response(response, now),
        Err(error) => {
            let unreached = matches!(error, OutboundError::Connect(_) | OutboundError::Closed(_));
            Verdict::Failed { error: error_text(error), hint: Hint { unreached, ..Hint::default() } }
        }
    }
}

fn judge_response(response: &OutboundResponse, now: DateTime<Utc>) -> Verdict {
    let status = response.status;
    if (200..300).contains(&status) {
        return Verdict::Delivered;
    }
    if status == 410 {
        let error =
            "the endpoint answered 410 Gone, so nothing more is sent; set another hook_url, or resume the webhook";
        return Verdict::Gone { error: error.to_owned() };
    }
    let slow = matches!(status, 429 | 502 | 503 | 504);
    let hint = Hint { floor_ms: floor_ms(&response.headers, now), slow, unreached: false };
    Verdict::Failed { error: status_text(status), hint }
}

/// Retry-After. A date is meant by the destination's own clock, which its `Date` shows.
fn floor_ms(headers: &HeaderMap, now: DateTime<Utc>) -> Option<u64> {
    let text = |name| headers.get(name)?.to_str().ok();
    retry_after_ms(text(RETRY_AFTER)?, text(DATE).and_then(http_date).unwrap_or(now))
}

fn status_text(status: u16) -> String {
    let advice = match status {
        300..=399 => "redirects are not followed; set hook_url to the address itself",
        401 | 403 => "let deliveries in, and check the endpoint's signature verification",
        404 | 405 => "check that hook_url is right and accepts POST",
        413 => "set page_max_limit lower, or accept larger bodies",
        429 => "it asks for fewer requests; deliveries slow down",
        500.. => "see the endpoint's own log",
        _ => "answer 2xx once the payload is taken",
    };
    format!("the endpoint answered {status}: {advice}")
}

fn error_text(error: &OutboundError) -> String {
    let advice = match error {
        OutboundError::Forbidden(_) => "set hook_url to a public address",
        OutboundError::Connect(_) => "check that the endpoint is up and its name and certificate are right",
        OutboundError::ConnectTimeout(_) => "check that the endpoint is up and lets us in",
        OutboundError::FirstByte(_) | OutboundError::Deadline(_) => "answer 2xx at once and work afterwards",
        OutboundError::NotHttp(_) => "check that hook_url is an HTTP endpoint",
        OutboundError::Closed(_) | OutboundError::Broken(_) => "see the endpoint's own log",
    };
    format!("{error}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const NOW: &str = "Sun, 22 Nov 2026 10:00:00 GMT";

    fn answer(status: u16, headers: &[(http::HeaderName, &str)]) -> Verdict {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let response = OutboundResponse { status, headers, body: Bytes::new(), is_cut: false };
        judge(&Ok(response), http_date(NOW).unwrap())
    }

    fn failed(error: OutboundError) -> (String, Hint) {
        match judge(&Err(error), DateTime::UNIX_EPOCH) {
            Verdict::Failed { error, hint } => (error, hint),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn statuses_mean_what_the_contract_says() {
        for status in [200, 201, 204, 299] {
            assert_eq!(answer(status, &[]), Verdict::Delivered);
        }
        assert!(matches!(answer(410, &[]), Verdict::Gone { .. }));
        for status in [101, 301, 307, 400, 404, 500] {
            assert!(matches!(answer(status, &[]), Verdict::Failed { hint, .. } if hint == Hint::default()), "{status}");
        }
        for status in [429, 502, 503, 504] {
            let Verdict::Failed { hint, error } = answer(status, &[(RETRY_AFTER, "7")]) else { panic!("{status}") };
            assert_eq!((hint.slow, hint.floor_ms), (true, Some(7000)));
            assert!(error.contains(&status.to_string()));
        }
    }

    #[test]
    fn a_date_to_come_back_at_is_read_by_the_destinations_own_clock() {
        let asked = (RETRY_AFTER, "Sun, 22 Nov 2026 10:00:40 GMT");
        for (headers, wait_ms) in [
            (vec![asked.clone()], 40_000),
            (vec![asked.clone(), (DATE, "Sun, 22 Nov 2026 10:00:10 GMT")], 30_000),
            (vec![asked, (DATE, "yesterday")], 40_000),
        ] {
            let Verdict::Failed { hint, .. } = answer(503, &headers) else { panic!() };
            assert_eq!(hint.floor_ms, Some(wait_ms));
        }
    }

    #[test]
    fn errors_say_what_to_do_and_whether_the_endpoint_was_reached() {
        let limit = std::time::Duration::from_secs(15);
        let cases = [
            (OutboundError::FirstByte(limit), "no answer began within 15000 ms; answer 2xx at once", false),
            (OutboundError::Deadline(limit), "no whole answer within 15000 ms; answer 2xx at once", false),
            (OutboundError::ConnectTimeout(limit), "no connection within 15000 ms; check that", false),
            (OutboundError::NotHttp("x".into()), "the answer is not HTTP: x; check that hook_url", false),
            (OutboundError::Broken("x".into()), "the connection broke: x; see", false),
            (OutboundError::Forbidden("x".into()), "the address is not allowed: x; set hook_url", false),
            (OutboundError::Connect("x".into()), "could not connect: x; check that", true),
            (OutboundError::Closed("x".into()), "the connection was closed without an answer: x; see", true),
        ];
        for (error, text, unreached) in cases {
            let (told, hint) = failed(error);
            assert!(told.starts_with(text), "{told}");
            assert_eq!(hint, Hint { unreached, ..Hint::default() }, "{told}");
        }
    }
}
