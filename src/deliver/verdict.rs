//! What an answer means for a delivery.

use super::backoff::retry_after_ms;
use crate::outbound::{OutboundError, OutboundResponse};
use chrono::{DateTime, Utc};
use http::header::RETRY_AFTER;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Delivered,
    /// It is not; try again.
    Failed {
        /// What happened and what to do.
        error: String,
        /// The least wait that the destination asked for, in milliseconds.
        floor_ms: Option<u64>,
        /// True if it said that it is overloaded.
        slow: bool,
    },
    /// Nobody is there any more: do not try again.
    Gone {
        /// What happened and what to do.
        error: String,
    },
}

/// Judges an answer: any 2xx that was read in time is success, 410 is the end, all else is tried again.
pub fn judge(answer: &Result<OutboundResponse, OutboundError>, now: DateTime<Utc>) -> Verdict {
    match answer {
        Ok(response) => judge_response(response, now),
        Err(error) => Verdict::Failed { error: error_text(error), floor_ms: None, slow: false },
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
    let floor_ms = response.headers.get(RETRY_AFTER).and_then(|value| retry_after_ms(value.to_str().ok()?, now));
    let slow = matches!(status, 429 | 502 | 503 | 504);
    Verdict::Failed { error: status_text(status), floor_ms, slow }
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
        OutboundError::Deadline(_) => "answer 2xx at once and work afterwards",
        OutboundError::Broken(_) => "see the endpoint's own log",
    };
    format!("{error}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use chrono::DateTime;
    use http::HeaderMap;

    fn answer(status: u16, retry_after: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        judge(&Ok(OutboundResponse { status, headers, body: Bytes::new(), is_cut: false }), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn statuses_mean_what_the_contract_says() {
        for status in [200, 201, 204, 299] {
            assert_eq!(answer(status, None), Verdict::Delivered);
        }
        assert!(matches!(answer(410, None), Verdict::Gone { .. }));
        for status in [301, 307, 400, 404, 500] {
            assert!(matches!(answer(status, None), Verdict::Failed { slow: false, floor_ms: None, .. }), "{status}");
        }
        for status in [429, 502, 503, 504] {
            let Verdict::Failed { slow, floor_ms, error } = answer(status, Some("7")) else { panic!("{status}") };
            assert_eq!((slow, floor_ms), (true, Some(7000)));
            assert!(error.contains(&status.to_string()));
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = OutboundError::Deadline(std::time::Duration::from_secs(15));
        let Verdict::Failed { error, .. } = judge(&Err(error), DateTime::UNIX_EPOCH) else { panic!() };
        assert_eq!(error, "no whole answer within 15000 ms; answer 2xx at once and work afterwards");
    }
}
