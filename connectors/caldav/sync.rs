//! Reading a calendar's changes: the REPORT `sync-collection` (RFC 6578), and `calendar-multiget` (RFC 4791, section
//! 7.9) for events whose data did not come with it.
//!
//! Where the listing goes on after a page is a token of ours: the server's own token so far, whether it has more from
//! there, and which resources are still to be fetched. The server's token is remembered once nothing is left.

use super::Resource;
use super::multistatus::{Multistatus, Response};
use crate::contract::{ApiRequest, ApiResponse, ConnectorError, Method, Next, Page, PageJob, Place};
use percent_encoding::percent_decode_str;
use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};

/// Resources that one answer may leave to be fetched: their names travel in the token.
const HREFS_MAX: usize = 20_000;

/// Where a listing goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Step {
    /// The server's token.
    sync: String,
    /// True if the server has more changes from there.
    #[serde(default)]
    more: bool,
    /// Resources whose events are still to be fetched.
    #[serde(default)]
    hrefs: Vec<String>,
}

impl Step {
    fn of(job: &PageJob<'_>) -> Result<Step, ConnectorError> {
        match job.place {
            Place::Token(token) => serde_json::from_str(token).map_err(|_| ConnectorError::CursorExpired),
            Place::Start | Place::Offset(_) => {
                Ok(Step { sync: job.cursor.unwrap_or_default().to_owned(), ..Step::default() })
            }
        }
    }

    /// How many resources the next request fetches.
    fn batch(&self, job: &PageJob<'_>) -> usize {
        self.hrefs.len().min(job.limit.max(1) as usize)
    }

    fn next(self) -> Result<(Next, Option<String>), ConnectorError> {
        if self.hrefs.is_empty() && !self.more {
            return Ok((Next::End, Some(self.sync)));
        }
        Ok((Next::Token(serde_json::to_string(&self)?), None))
    }
}

/// The id of a resource: its name in the calendar, decoded. An `href` is a path or a whole URL (RFC 4918, section 8.3).
pub(super) fn id_of(href: &str) -> String {
    let name = href.rsplit('/').next().unwrap_or(href);
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let step = Step::of(job)?;
    let batch = &step.hrefs[..step.batch(job)];
    let body = if batch.is_empty() {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><d:sync-collection xmlns:d=\"DAV:\" \
             xmlns:c=\"urn:ietf:params:xml:ns:caldav\"><d:sync-token>{}</d:sync-token><d:sync-level>1</d:sync-level>\
             <d:prop><d:getetag/><c:calendar-data/></d:prop></d:sync-collection>",
            escape(&step.sync)
        )
    } else {
        let hrefs: String = batch.iter().map(|href| format!("<d:href>{}</d:href>", escape(href))).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><c:calendar-multiget xmlns:d=\"DAV:\" \
             xmlns:c=\"urn:ietf:params:xml:ns:caldav\"><d:prop><d:getetag/><c:calendar-data/></d:prop>{hrefs}\
             </c:calendar-multiget>"
        )
    };
    // RFC 6578, section 3.2, wants depth 0; calendar-multiget ignores it.
    let mut request = ApiRequest::new(Method::Report, "/")
        .header("content-type", "application/xml; charset=utf-8")
        .header("depth", "0");
    request.body = Some(body);
    Ok(request)
}

pub(super) fn read_page<'a>(job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let mut step = Step::of(job)?;
    let batch = step.batch(job);
    let answer = Multistatus::read(response.body)?;
    let mut page = Page { records: Vec::new(), bad: Vec::new(), next: Next::End, cursor: None, total: None };
    let mut unfetched = Vec::new();
    let mut is_truncated = false;
    for resource in &answer.responses {
        match resource {
            // The collection itself: 507 says that the changes were cut short (RFC 6578, section 3.6).
            Response { href, status, .. } if href.ends_with('/') => is_truncated |= *status == Some(507),
            Response { href, status: Some(404 | 410), .. } => {
                take(Resource { href, etag: None, ical: None }, &mut page)
            }
            Response { href, etag, data: Some(ical), .. } => {
                take(Resource { href, etag: etag.as_deref(), ical: Some(ical) }, &mut page);
            }
            Response { href, .. } if batch == 0 => unfetched.push(href.clone()),
            Response { href, .. } => {
                return Err(ConnectorError::malformed(format!("the server sent no event for {}", id_of(href))));
            }
        }
    }
    if unfetched.len() > HREFS_MAX {
        return Err(ConnectorError::malformed(format!("more than {HREFS_MAX} events at once, without their data")));
    }
    if batch == 0 {
        let token = answer.sync_token.filter(|token| !token.is_empty());
        let sync = token.ok_or_else(|| ConnectorError::malformed("the answer has no sync-token"))?;
        step = Step { sync, more: is_truncated, hrefs: unfetched };
    } else {
        step.hrefs.drain(..batch);
    }
    (page.next, page.cursor) = step.next()?;
    Ok(page)
}

fn take(resource: Resource<'_>, page: &mut Page<'_>) {
    match resource.record() {
        Ok(record) => page.records.extend(record),
        Err(bad) => page.bad.push(bad),
    }
}
