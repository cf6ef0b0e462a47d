//! Everything there is, by the listings (developers.hubspot.com, "Contacts", "Companies", "Deals"): in the order of the
//! ids, first the active records, then the archived ones, which HubSpot keeps for 90 days.
//!
//! Tokens are `active:<after>` and `archived:<after>`, the vendor's `after` empty at the start.

use super::{Results, properties};
use crate::contract::{ApiRequest, ConnectorError, Next, PageJob};

const ACTIVE: &str = "active";
const ARCHIVED: &str = "archived";

fn part<'j>(job: &'j PageJob<'_>) -> (&'j str, &'j str) {
    job.token().and_then(|token| token.split_once(':')).unwrap_or((ACTIVE, ""))
}

pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (part, after) = part(job);
    Ok(ApiRequest::get(format!("/crm/v3/objects/{}", job.spec.raw_object))
        .query("limit", job.limit.to_string())
        .query("properties", properties(job.spec.object_type)?.join(","))
        .query("archived", if part == ARCHIVED { "true" } else { "false" })
        .query_opt("after", Some(after).filter(|after| !after.is_empty())))
}

pub(super) fn next(job: &PageJob<'_>, results: &Results<'_>) -> Next {
    match (part(job).0, results.after()) {
        (part, Some(after)) => Next::Token(format!("{part}:{after}")),
        (ACTIVE, None) => Next::Token(format!("{ARCHIVED}:")),
        (_, None) => Next::End,
    }
}
