//! Anyhook's own sandbox vendor, which `anyhook simulator` serves: an integration to develop against without an account
//! anywhere, and the smallest example of a whole connector.
//!
//! A connector is three parts. `manifest` says what the vendor is and can do. `records` has the vendor's objects and how
//! each becomes a unified one. Here are the requests, and what is read from the answers; the vendor's API is described
//! at the top of the simulator's module.

mod manifest;
mod records;

use crate::contract::{
    ApiRequest, ApiResponse, Arrival, Change, Connector, ConnectorError, Found, GetJob, HookJob, ListingKind, Manifest,
    Method, NativeEvent, Next, Page, PageJob, Registration, Verdict, encode_segment,
};
use crate::json::Text;
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The integration `sandbox`.
#[derive(Debug)]
pub struct Sandbox;

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    has_more: bool,
    next_cursor: Option<String>,
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event: Text<'a>,
    #[serde(borrow)]
    data: EventData<'a>,
}

#[derive(Deserialize)]
struct EventData<'a> {
    #[serde(borrow)]
    record: &'a RawValue,
}

#[derive(Serialize)]
struct NewHook<'a> {
    url: &'a str,
    events: [String; 1],
    secret: &'a str,
}

#[derive(Deserialize)]
struct Hook {
    id: String,
}

impl Connector for Sandbox {
    fn manifest(&self) -> &'static Manifest {
        &manifest::MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let request = ApiRequest::get(format!("/v1/{}", job.spec.raw_object)).query("limit", job.limit.to_string());
        if let Some(token) = job.token() {
            // A cursor carries the rest of its query.
            return Ok(request.query("cursor", token));
        }
        let from = job.updated_gte.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        let offset = (job.offset() > 0).then(|| job.offset().to_string());
        let sort = match job.kind {
            ListingKind::Live => "updated_at",
            ListingKind::History => "id",
        };
        Ok(request.query("sort", sort).query_opt("updated_gte", from).query_opt("offset", offset))
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let listing: Listing<'a> = response.json()?;
        let (records, bad) = records::read_all(job.spec.object_type, &listing.data)?;
        let next = match (listing.has_more, job.kind, listing.next_cursor) {
            (false, ..) => Next::End,
            (true, ListingKind::Live, _) => Next::More,
            (true, ListingKind::History, Some(token)) => Next::Token(token),
            (true, ListingKind::History, None) => {
                return Err(ConnectorError::malformed("has_more is true, but there is no next_cursor"));
            }
        };
        Ok(Page { records, bad, next, cursor: None, total: listing.total })
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        Ok(ApiRequest::get(format!("/v1/{}/{}", job.spec.raw_object, encode_segment(job.id))))
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if self.judge(response) == Verdict::NotFound {
            return Ok(Found::Gone);
        }
        let record = records::read_one(job.spec.object_type, response.json()?)?;
        Ok(Found::Record(Box::new(record)))
    }

    /// 410 is a cursor that has expired; what is gone is 404.
    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        match response.status {
            410 => Verdict::CursorExpired,
            status => Verdict::of_status(status),
        }
    }

    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        let event: Event<'a> = serde_json::from_slice(event.body)?;
        let (object, change) = event.event.0.split_once('.').unwrap_or_default();
        let change = match change {
            "created" => Change::Created,
            "updated" => Change::Updated,
            "deleted" => Change::Deleted,
            _ => return Ok(vec![Arrival::Ignore]),
        };
        let Some(object_type) = manifest::of_event(object) else { return Ok(vec![Arrival::Ignore]) };
        let record = Box::new(records::read_one(object_type, event.data.record)?);
        Ok(vec![Arrival::Record { object_type, change, record, matches: Vec::new(), parent: None }])
    }

    fn register_request(&self, job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let object = manifest::in_events(job.object_type)
            .ok_or_else(|| ConnectorError::unsupported(format!("native webhooks for {}", job.object_type)))?;
        let hook = NewHook { url: job.ingress_url, events: [format!("{object}.*")], secret: job.secret };
        let mut request = ApiRequest::new(Method::Post, "/v1/webhooks").header("content-type", "application/json");
        request.body = Some(serde_json::to_string(&hook)?);
        Ok(request)
    }

    fn read_registration(&self, _: &HookJob<'_>, response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
        let hook: Hook = response.json()?;
        Ok(Registration { id: hook.id, secret: None })
    }

    fn remove_request(&self, _: &HookJob<'_>, registration: &Registration) -> Result<ApiRequest, ConnectorError> {
        Ok(ApiRequest::new(Method::Delete, format!("/v1/webhooks/{}", encode_segment(&registration.id))))
    }
}
