//! What GitHub's statuses mean.

use crate::contract::{ApiResponse, Verdict};
use crate::json::Text;
use serde::Deserialize;

/// The body of an error (docs.github.com, "Troubleshooting the REST API").
#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    message: Text<'a>,
}

/// Statuses that GitHub uses in its own way:
///
/// - 403 and 429 are limits where no requests remain, where there is a `retry-after`, or where the message says so
///   ("Rate limits for the REST API"); any other 403 is a missing permission.
/// - 301 is where a repository was renamed or an issue transferred: under this id it is gone. 302 and 307 pass
///   ("Best practices for using the REST API").
/// - 409 of an empty repository and 410 of one without issues are listings of nothing.
/// - 422 is also the answer for a commit that does not exist ("Get a commit").
pub(super) fn judge(response: &ApiResponse<'_>) -> Verdict {
    match response.status {
        403 | 429 if is_limit(response) => Verdict::RateLimited,
        409 | 410 if lists_nothing(response) => Verdict::Read,
        301 | 308 => Verdict::NotFound,
        302 | 307 => Verdict::Transient,
        422 if says(response, "No commit found for") => Verdict::NotFound,
        status => Verdict::of_status(status),
    }
}

/// Whether this is how GitHub answers for a repository without commits, or with issues switched off.
pub(super) fn lists_nothing(response: &ApiResponse<'_>) -> bool {
    match response.status {
        409 => says(response, "Git Repository is empty"),
        410 => says(response, "Issues are disabled") || says(response, "Issues has been disabled"),
        _ => false,
    }
}

fn is_limit(response: &ApiResponse<'_>) -> bool {
    response.headers.get("retry-after").is_some()
        || response.headers.get("x-ratelimit-remaining") == Some("0")
        || says(response, "secondary rate limit")
        || says(response, "API rate limit exceeded")
}

fn says(response: &ApiResponse<'_>, words: &str) -> bool {
    response.json::<Problem<'_>>().is_ok_and(|problem| problem.message.0.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Headers;

    fn judged(status: u16, headers: &[(&str, &str)], message: &str) -> Verdict {
        let headers = Headers::from_pairs(headers.iter().copied());
        let body = format!(r#"{{"message":"{message}","documentation_url":"https://docs.github.com/rest"}}"#);
        judge(&ApiResponse { status, headers: &headers, body: body.as_bytes() })
    }

    #[test]
    fn a_limit_is_told_from_a_missing_permission() {
        let none_left = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1372700873")];
        assert_eq!(judged(403, &none_left, "API rate limit exceeded for user ID 1."), Verdict::RateLimited);
        let some_left = [("X-RateLimit-Remaining", "4999")];
        let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        assert_eq!(judged(403, &some_left, secondary), Verdict::RateLimited);
        assert_eq!(judged(403, &[("Retry-After", "60")], "Slow down"), Verdict::RateLimited);
        assert_eq!(judged(429, &[], "Too many requests"), Verdict::RateLimited);
        assert_eq!(judged(403, &some_left, "Resource not accessible by personal access token"), Verdict::Permanent);
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_wrong() {
        assert_eq!(judged(401, &[], "Bad credentials"), Verdict::Credential);
        assert_eq!(judged(404, &[], "Not Found"), Verdict::NotFound);
        assert_eq!(judged(301, &[], "Moved Permanently"), Verdict::NotFound);
        assert_eq!(judged(410, &[], "This issue was deleted"), Verdict::NotFound);
        assert_eq!(judged(410, &[], "Issues are disabled for this repo"), Verdict::Read);
        assert_eq!(judged(409, &[], "Git Repository is empty."), Verdict::Read);
        assert_eq!(judged(409, &[], "Conflict"), Verdict::Permanent);
        assert_eq!(judged(422, &[], "No commit found for SHA: 6dcb09b"), Verdict::NotFound);
        assert_eq!(judged(422, &[], "Validation Failed"), Verdict::Permanent);
        assert_eq!(judged(307, &[], ""), Verdict::Transient);
        assert_eq!(judged(502, &[], "Server Error"), Verdict::Transient);
    }
}
