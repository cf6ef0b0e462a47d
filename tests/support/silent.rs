//! Vendors that tell of no deletion: the sandbox's API under manifests of such ones.

use anyhook_connectors::contract::{
    ApiRequest, ApiResponse, Conditional, Connector, ConnectorError, CursorKind, Deletions, Found, GetJob, Listing,
    ListingKind, Manifest, Next, ObjectSpec, Order, Page, PageJob, Paging, Parent, Verdict,
};
use anyhook_connectors::sandbox::Sandbox;
use chrono::SecondsFormat;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Tells of no deletion.
pub const SILENT: &str = "silent";
/// Lists everything each time.
pub const WHOLE: &str = "silent_whole";
/// Is listed by title.
pub const FILTERED: &str = "silent_filtered";
/// Has two listings: of even ids and of odd ones.
pub const PARTS: &str = "silent_parts";
/// Lists its history newest first by page numbers, and gives no ids of what cannot be read.
pub const MOVING: &str = "silent_moving";
/// Lists what changed since a token.
pub const TOKEN: &str = "silent_token";

const ALL: [&str; 6] = [SILENT, WHOLE, FILTERED, PARTS, MOVING, TOKEN];

/// What [`FILTERED`] filters by.
const TITLE_FILTER: &str = "title";
/// What [`TOKEN`] gives while nothing has changed.
const FIRST_TOKEN: &str = "1970-01-01T00:00:00.000Z";

struct Silent {
    manifest: &'static Manifest,
}

static VENDORS: LazyLock<Vec<Silent>> = LazyLock::new(|| ALL.map(Silent::new).into_iter().collect());

pub fn find(name: &str) -> Option<&'static dyn Connector> {
    let vendor = VENDORS.iter().find(|vendor| vendor.manifest.integration == name);
    vendor.map(|vendor| vendor as &dyn Connector)
}

impl Silent {
    fn new(name: &'static str) -> Self {
        let manifest = Sandbox.manifest();
        let objects: Vec<ObjectSpec> = manifest.objects.iter().map(|spec| change(name, *spec)).collect();
        let manifest = Manifest { integration: name, objects: objects.leak(), ..*manifest };
        Silent { manifest: Box::leak(Box::new(manifest)) }
    }
}

fn change(name: &str, spec: ObjectSpec) -> ObjectSpec {
    let listing = |cursor, order, paging| Listing { cursor, order, paging };
    let spec = ObjectSpec { deletions: Deletions::Silent, ..spec };
    match name {
        WHOLE => ObjectSpec { live: listing(CursorKind::Nothing, Order::Stable, Paging::Offset), ..spec },
        FILTERED => ObjectSpec { filters: &[TITLE_FILTER], ..spec },
        MOVING => {
            let history = listing(CursorKind::Nothing, Order::UpdatedDescending, Paging::PageNumber);
            ObjectSpec { history, ..spec }
        }
        // Its token tells of deletions, if the simulator has any to show.
        TOKEN => ObjectSpec {
            live: listing(CursorKind::Token, Order::Unordered, Paging::Offset),
            deletions: Deletions::Feed,
            conditional: Conditional::Never,
            ..spec
        },
        _ => spec,
    }
}

/// Where [`PARTS`] lists a record.
fn part_of(id: &str) -> &'static str {
    if id.ends_with(['0', '2', '4', '6', '8']) { "even" } else { "odd" }
}

impl Connector for Silent {
    fn manifest(&self) -> &'static Manifest {
        self.manifest
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let request = ApiRequest::get(format!("/v1/{}", job.spec.raw_object)).query("limit", job.limit.to_string());
        let offset = (job.offset() > 0).then(|| job.offset().to_string());
        let request = request.query_opt("offset", offset);
        match (self.manifest.integration, job.kind) {
            (WHOLE, ListingKind::Live) => Ok(request.query("sort", "id")),
            (TOKEN, ListingKind::Live) => Ok(request.query("sort", "updated_at").query_opt("updated_gte", job.cursor)),
            (MOVING, ListingKind::History) => Ok(request.query("sort", "updated_at").query("order", "desc")),
            _ => Sandbox.page_request(job),
        }
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let mut page = Sandbox.read_page(job, response)?;
        let name = self.manifest.integration;
        if job.spec.listing(job.kind).paging != Paging::Token && page.next != Next::End {
            page.next = Next::More;
        }
        page.bad.iter_mut().filter(|_| name == MOVING).for_each(|bad| bad.id = None);
        if name == TOKEN && page.next == Next::End {
            let newest = page.records.iter().filter_map(|record| record.updated_at).max();
            let newest = newest.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
            page.cursor = newest.or(job.cursor.map(str::to_owned)).or(Some(FIRST_TOKEN.to_owned()));
        }
        if let Some(title) = job.filter(TITLE_FILTER) {
            let wanted = format!("\"title\":\"{title}\"");
            page.records.retain(|record| record.raw.contains(&wanted));
        }
        if let Some(part) = job.parent {
            page.records.retain(|record| part_of(&record.id) == part.id);
        }
        Ok(page)
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        match job.parent {
            Some(part) if part.id != part_of(job.id) => {
                Ok(ApiRequest::get(format!("/v1/{}/of_the_other_part", job.spec.raw_object)))
            }
            _ => Sandbox.get_request(job),
        }
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        Sandbox.read_record(job, response)
    }

    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        Sandbox.judge(response)
    }

    fn parts(&self, _: &ObjectSpec, _: &BTreeMap<String, String>) -> Vec<Parent> {
        let parts: &[&str] = if self.manifest.integration == PARTS { &["even", "odd"] } else { &[] };
        parts.iter().map(|part| Parent { id: (*part).to_owned() }).collect()
    }
}
