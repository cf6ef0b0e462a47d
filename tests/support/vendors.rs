//! Vendors that the sandbox is not like: the same API under other manifests, so that what only some vendors do is tested
//! against one that can be told what to do.

use anyhook_connectors::contract::{
    ApiRequest, ApiResponse, Conditional, Connector, ConnectorError, CreatedAt, CursorKind, FilterBound, Found, GetJob,
    Listing, ListingKind, Manifest, Next, ObjectSpec, Order, Page, PageJob, Paging, Verdict,
};
use anyhook_connectors::sandbox::Sandbox;
use chrono::{SecondsFormat, TimeDelta};
use std::sync::LazyLock;

/// Lists newest first and takes no filter.
pub const NEWEST_FIRST: &str = "newest_first";
/// Lists everything in the order of ids, each time.
pub const WHOLE: &str = "whole";
/// Shows records up to a minute late.
pub const LATE: &str = "late";
/// Has whole seconds.
pub const SECONDS: &str = "seconds";
/// Filters by greater than.
pub const EXCLUSIVE: &str = "exclusive";
/// Lists its history in the order of changes, by tokens.
pub const BY_TIME: &str = "by_time";
/// Takes no filter when it lists its history.
pub const UNFILTERED: &str = "unfiltered";
/// Tells no time of creation.
pub const UNDATED: &str = "undated";

struct Variant {
    manifest: &'static Manifest,
}

static VARIANTS: LazyLock<Vec<Variant>> = LazyLock::new(|| NAMES.map(Variant::new).into_iter().collect());

const NAMES: [&str; 8] = [NEWEST_FIRST, WHOLE, LATE, SECONDS, EXCLUSIVE, BY_TIME, UNFILTERED, UNDATED];

/// This build's integrations and the variants.
pub fn find(name: &str) -> Option<&'static dyn Connector> {
    let variant = VARIANTS.iter().find(|variant| variant.manifest.integration == name);
    variant.map(|variant| variant as &dyn Connector).or_else(|| anyhook_connectors::find(name))
}

impl Variant {
    fn new(name: &'static str) -> Self {
        let manifest = Sandbox.manifest();
        let objects: Vec<ObjectSpec> = manifest.objects.iter().map(|spec| change(name, *spec)).collect();
        let manifest = Manifest { integration: name, objects: objects.leak(), ..*manifest };
        Variant { manifest: Box::leak(Box::new(manifest)) }
    }
}

fn change(name: &str, spec: ObjectSpec) -> ObjectSpec {
    let live = |cursor, order| Listing { cursor, order, paging: Paging::Offset };
    match name {
        NEWEST_FIRST => ObjectSpec {
            live: live(CursorKind::Updated(FilterBound::ReadUntil), Order::UpdatedDescending),
            conditional: Conditional::Never,
            ..spec
        },
        WHOLE => ObjectSpec { live: live(CursorKind::Nothing, Order::Stable), ..spec },
        LATE => ObjectSpec { late_visibility_ms: 60_000, ..spec },
        SECONDS => ObjectSpec { granularity_ms: 1_000, ..spec },
        EXCLUSIVE => {
            ObjectSpec { live: live(CursorKind::Updated(FilterBound::Exclusive), Order::UpdatedAscending), ..spec }
        }
        BY_TIME => {
            let history = Listing { order: Order::UpdatedAscending, ..spec.history };
            ObjectSpec { history, ..spec }
        }
        UNFILTERED => ObjectSpec { history: Listing { cursor: CursorKind::Nothing, ..spec.history }, ..spec },
        UNDATED => ObjectSpec { created_at: CreatedAt::Absent, ..spec },
        _ => spec,
    }
}

impl Connector for Variant {
    fn manifest(&self) -> &'static Manifest {
        self.manifest
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        if job.kind == ListingKind::History {
            if self.manifest.integration == BY_TIME && job.token().is_none() {
                let from = job.updated_gte.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
                let request = ApiRequest::get(format!("/v1/{}", job.spec.raw_object));
                let request = request.query("limit", job.limit.to_string()).query("order", "asc");
                return Ok(request.query_opt("updated_gte", from));
            }
            return Sandbox.page_request(job);
        }
        let request = ApiRequest::get(format!("/v1/{}", job.spec.raw_object)).query("limit", job.limit.to_string());
        let offset = (job.offset() > 0).then(|| job.offset().to_string());
        let request = request.query_opt("offset", offset);
        match self.manifest.integration {
            NEWEST_FIRST => Ok(request.query("sort", "updated_at").query("order", "desc")),
            WHOLE => Ok(request.query("sort", "id")),
            EXCLUSIVE => {
                // The simulator has no such filter: its inclusive one, a millisecond later.
                let after = job.updated_gte.map(|at| at + TimeDelta::milliseconds(1));
                let from = after.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
                Ok(request.query("sort", "updated_at").query_opt("updated_gte", from))
            }
            _ => Sandbox.page_request(job),
        }
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let mut page = Sandbox.read_page(job, response)?;
        if self.manifest.integration == UNDATED {
            page.records.iter_mut().for_each(|record| record.created_at = None);
        }
        if job.kind == ListingKind::Live && page.next != Next::End {
            page.next = Next::More;
        }
        Ok(page)
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        Sandbox.get_request(job)
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        Sandbox.read_record(job, response)
    }

    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        Sandbox.judge(response)
    }
}
