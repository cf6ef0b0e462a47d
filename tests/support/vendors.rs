//! Vendors that the sandbox is not like: the same API under other manifests, so that what only some vendors do is tested
//! against one that can be told what to do.

use anyhook_connectors::contract::{
    ApiRequest, ApiResponse, AppLimit, Conditional, Connector, ConnectorError, CreatedAt, CursorKind, FilterBound,
    Found, GetJob, Listing, ListingKind, Manifest, Next, ObjectSpec, Order, Page, PageJob, Paging, RateLimit, Verdict,
};
use anyhook_connectors::model::Zone;
use anyhook_connectors::sandbox::Sandbox;
use chrono::SecondsFormat;
use std::sync::LazyLock;

/// Lists newest first and takes no filter.
pub const NEWEST_FIRST: &str = "newest_first";
/// Lists everything in the order of ids, each time.
pub const WHOLE: &str = "whole";
/// Shows records up to a minute late.
pub const LATE: &str = "late";
/// Has whole seconds.
pub const SECONDS: &str = "seconds";
/// Has whole minutes.
pub const MINUTES: &str = "minutes";
/// Filters by greater than.
pub const EXCLUSIVE: &str = "exclusive";
/// Lists its history in the order of changes, by tokens.
pub const BY_TIME: &str = "by_time";
/// Takes no filter when it lists its history.
pub const UNFILTERED: &str = "unfiltered";
/// Filters by greater than, and has whole seconds.
pub const SECONDS_AFTER: &str = "seconds_after";
/// Lists everything each time, and takes no filter for its history either.
pub const TIMELESS: &str = "timeless";
/// Tells no time of creation.
pub const UNDATED: &str = "undated";
/// Lists everything in the order of changes, by offset, each time.
pub const BY_CHANGE: &str = "by_change";
/// Lists everything in the order of ids, each time, and tells no times.
pub const UNTIMED: &str = "untimed";
/// Lists its history by offset.
pub const BY_PLACE: &str = "by_place";
/// Has whole seconds, and lists no more than 200 records by offset.
pub const WINDOWED: &str = "windowed";
/// Sends fields that change without the record.
pub const VOLATILE: &str = "volatile";
/// Tells local times of Berlin.
pub const BERLIN: &str = "berlin";
/// Tells local times of Kolkata.
pub const KOLKATA: &str = "kolkata";

const ALL: [&str; 21] = [
    NEWEST_FIRST,
    WHOLE,
    LATE,
    SECONDS,
    MINUTES,
    EXCLUSIVE,
    BY_TIME,
    UNFILTERED,
    TIMELESS,
    SECONDS_AFTER,
    UNDATED,
    BY_CHANGE,
    BY_PLACE,
    UNTIMED,
    WINDOWED,
    VOLATILE,
    BERLIN,
    KOLKATA,
    FREE_304,
    MODIFIED,
    APP_WIDE,
];

/// Does not count answers of 304.
pub const FREE_304: &str = "free_304";
/// Tells by a time that nothing changed.
pub const MODIFIED: &str = "modified";
/// Says by a Retry-After of 77 that it is the app, over all accounts, that asked too much.
pub const APP_WIDE: &str = "app_wide";

struct Variant {
    manifest: &'static Manifest,
}

static VARIANTS: LazyLock<Vec<Variant>> = LazyLock::new(|| ALL.map(Variant::new).into_iter().collect());

/// This build's integrations and the variants.
pub fn find(name: &str) -> Option<&'static dyn Connector> {
    let variant = VARIANTS.iter().find(|variant| variant.manifest.integration == name);
    let variant = variant.map(|variant| variant as &dyn Connector);
    variant.or_else(|| super::silent::find(name)).or_else(|| anyhook_connectors::find(name))
}

impl Variant {
    fn new(name: &'static str) -> Self {
        let manifest = Sandbox.manifest();
        let objects: Vec<ObjectSpec> = manifest.objects.iter().map(|spec| change(name, *spec)).collect();
        let manifest = Manifest {
            integration: name,
            objects: objects.leak(),
            rate_limit: limit(name, manifest.rate_limit),
            ..*manifest
        };
        Variant { manifest: Box::leak(Box::new(manifest)) }
    }
}

fn limit(name: &str, limit: RateLimit) -> RateLimit {
    let app = AppLimit {
        requests: 600,
        per_ms: 60_000,
        remaining_header: None,
        reset_header: None,
        refusal: Some(("retry-after", "77")),
    };
    RateLimit { unchanged_is_free: name == FREE_304, app: (name == APP_WIDE).then_some(app), ..limit }
}

fn change(name: &str, spec: ObjectSpec) -> ObjectSpec {
    let live = |cursor, order| Listing { cursor, order, paging: Paging::Offset };
    match name {
        NEWEST_FIRST => ObjectSpec {
            live: live(CursorKind::Updated(FilterBound::ReadUntil), Order::UpdatedDescending),
            conditional: Conditional::Never,
            ..spec
        },
        MODIFIED => ObjectSpec { conditional: Conditional::LastModified, ..spec },
        WHOLE | UNTIMED => ObjectSpec { live: live(CursorKind::Nothing, Order::Stable), ..spec },
        LATE => ObjectSpec { late_visibility_ms: 60_000, ..spec },
        SECONDS => ObjectSpec { granularity_ms: 1_000, ..spec },
        BY_TIME => {
            let history = Listing { order: Order::UpdatedAscending, ..spec.history };
            ObjectSpec { history, ..spec }
        }
        TIMELESS => ObjectSpec {
            live: live(CursorKind::Nothing, Order::Stable),
            history: Listing { cursor: CursorKind::Nothing, ..spec.history },
            ..spec
        },
        UNFILTERED => ObjectSpec { history: Listing { cursor: CursorKind::Nothing, ..spec.history }, ..spec },
        MINUTES => ObjectSpec { granularity_ms: 60_000, ..spec },
        EXCLUSIVE => after(spec, 1),
        SECONDS_AFTER => after(spec, 1_000),
        BY_CHANGE => ObjectSpec {
            live: live(CursorKind::Nothing, Order::UpdatedAscending),
            history: live(CursorKind::Nothing, Order::UpdatedAscending),
            ..spec
        },
        BY_PLACE => ObjectSpec { history: live(CursorKind::Nothing, Order::Stable), ..spec },
        WINDOWED => ObjectSpec { granularity_ms: 1_000, result_window: Some(200), ..spec },
        VOLATILE => ObjectSpec { volatile: &["fetched_at", "avatar_url"], ..spec },
        // Where clocks are put back, records of an hour seem to come an hour late.
        BERLIN => ObjectSpec { late_visibility_ms: 3_600_000, ..spec },
        UNDATED => ObjectSpec { created_at: CreatedAt::Absent, ..spec },
        _ => spec,
    }
}

/// Filters by greater than.
fn after(spec: ObjectSpec, granularity_ms: u64) -> ObjectSpec {
    let cursor = CursorKind::Updated(FilterBound::Exclusive);
    let live = Listing { cursor, order: Order::UpdatedAscending, paging: Paging::Offset };
    ObjectSpec { live, granularity_ms, ..spec }
}

fn zone(name: &str) -> Option<Zone> {
    match name {
        BERLIN => "Europe/Berlin".parse().ok(),
        KOLKATA => "+05:30".parse().ok(),
        _ => None,
    }
}

/// The answer with its local times as instants, as a connector's mapping would read them.
fn with_instants(body: &[u8], zone: Zone) -> &'static [u8] {
    let text = std::str::from_utf8(body).expect("JSON is text");
    let mut parts = text.split(r#"_at":""#);
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (local, rest) = part.split_once('"').expect("a time ends");
        let at = zone.read(local).expect("a local time").to_rfc3339_opts(SecondsFormat::AutoSi, true);
        read.push_str(&format!(r#"_at":"{at}"{rest}"#));
    }
    read.into_bytes().leak()
}

impl Connector for Variant {
    fn manifest(&self) -> &'static Manifest {
        self.manifest
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let name = self.manifest.integration;
        if name == BY_TIME && job.kind == ListingKind::History && job.token().is_none() {
            let from = job.updated_gte.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
            let request = ApiRequest::get(format!("/v1/{}", job.spec.raw_object));
            let request = request.query("limit", job.limit.to_string()).query("order", "asc");
            return Ok(request.query_opt("updated_gte", from));
        }
        if job.kind == ListingKind::History && !matches!(name, BY_CHANGE | BY_PLACE) {
            return Sandbox.page_request(job);
        }
        let request = ApiRequest::get(format!("/v1/{}", job.spec.raw_object)).query("limit", job.limit.to_string());
        let offset = (job.offset() > 0).then(|| job.offset().to_string());
        let request = request.query_opt("offset", offset);
        match name {
            NEWEST_FIRST => Ok(request.query("sort", "updated_at").query("order", "desc")),
            BY_CHANGE => Ok(request.query("sort", "updated_at")),
            WHOLE | UNTIMED | TIMELESS => Ok(request.query("sort", "id")),
            BY_PLACE if job.kind == ListingKind::History => Ok(request.query("sort", "id")),
            EXCLUSIVE | SECONDS_AFTER => {
                let after = job.updated_gte.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
                Ok(request.query("sort", "updated_at").query_opt("updated_gt", after))
            }
            BERLIN | KOLKATA => {
                let local = |at| zone(name).map(|zone| zone.local(at).format("%Y-%m-%dT%H:%M:%S%.3f").to_string());
                Ok(request.query("sort", "updated_at").query_opt("updated_gte", job.updated_gte.and_then(local)))
            }
            _ => Sandbox.page_request(job),
        }
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let mut page = match zone(self.manifest.integration) {
            Some(zone) => {
                let body = with_instants(response.body, zone);
                Sandbox.read_page(job, &ApiResponse { body, ..*response })?
            }
            None => Sandbox.read_page(job, response)?,
        };
        if self.manifest.integration == UNDATED {
            page.records.iter_mut().for_each(|record| record.created_at = None);
        }
        if self.manifest.integration == UNTIMED {
            page.records.iter_mut().for_each(|record| (record.created_at, record.updated_at) = (None, None));
        }
        if job.spec.listing(job.kind).paging == Paging::Offset && page.next != Next::End {
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
