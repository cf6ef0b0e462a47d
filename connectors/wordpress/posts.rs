//! Posts and pages (developer.wordpress.org, "REST API Handbook", "Reference", "Posts" and "Pages").

use super::PAGE_SIZE;
use super::text::{Rendered, plain, pointer, time, timestamp};
use crate::contract::{
    ApiRequest, BadRecord, Conditional, ConnectorError, CreatedAt, CursorKind, Deletions, FilterBound, GetJob, Listing,
    ObjectSpec, Order, PageJob, Paging, Parent, Record, RecordError, encode_segment,
};
use crate::json::{Id, Mapped, Text, read_record, read_records};
use crate::model::{KmsPage, Metadata, ObjectType};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// `post` or `page`; both if not given.
const TYPE_FILTER: &str = "type";
/// Statuses to list, with commas; all if not given. Without `trash` among them only sweeps find deletions.
const STATUS_FILTER: &str = "status";
/// Every status of WordPress's own that is meant to be seen: the default is `publish` alone.
const STATUSES: &str = "publish,future,draft,pending,private,trash";

/// The listings, by the type that their records have.
const ROUTES: [(&str, &str); 2] = [("post", "posts"), ("page", "pages")];

/// `modified_after` (since WordPress 5.7) leaves out the very second it names (measured with 6.1), and takes any zone,
/// but both it and `orderby=modified` work on the site's local time. When clocks are set back, an hour of that comes
/// twice, so what changes in it may stay hidden for as long: hence two hours of late visibility.
///
/// `date_gmt` is when a post was or will be published, and can be set at will: it is no `created_at` to rely on.
const LISTING: Listing = Listing {
    cursor: CursorKind::Updated(FilterBound::Exclusive),
    order: Order::UpdatedAscending,
    paging: Paging::Offset,
};

pub(super) const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::KmsPage,
    raw_object: "post",
    live: LISTING,
    // `orderby=id` would move less, but `modified_after` resumes without counting through all that came before.
    history: LISTING,
    page_size: PAGE_SIZE,
    result_window: None,
    late_visibility_ms: 2 * 3_600_000,
    granularity_ms: 1_000,
    // The trash shows; what is deleted past it, or from it, does not.
    deletions: Deletions::FlagOrSilent,
    created_at: CreatedAt::Absent,
    parent: None,
    filters: &[TYPE_FILTER, STATUS_FILTER],
    // What plugins render anew with each request, and links that count revisions.
    volatile: &["_links", "class_list", "content", "excerpt"],
    native: &[],
    conditional: Conditional::Never,
};

#[derive(Deserialize)]
struct Post<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow, default)]
    date_gmt: Option<Text<'a>>,
    #[serde(borrow)]
    modified_gmt: Text<'a>,
    #[serde(borrow, default)]
    slug: Option<Text<'a>>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    link: Option<Text<'a>>,
    #[serde(borrow, default)]
    title: Option<Rendered<'a>>,
    #[serde(default)]
    author: u64,
    #[serde(default)]
    parent: u64,
}

/// One part per type, unless the filter names one. A type that is none becomes a part that cannot be listed.
pub(super) fn parts(filters: &BTreeMap<String, String>) -> Vec<Parent> {
    match filters.get(TYPE_FILTER) {
        Some(kind) => vec![Parent { id: kind.clone() }],
        None => ROUTES.iter().map(|(kind, _)| Parent { id: (*kind).to_owned() }).collect(),
    }
}

/// The path of the listing with records of this type.
fn route(kind: &str) -> Result<String, ConnectorError> {
    let known = ROUTES.iter().find(|(known, _)| *known == kind);
    let message = || ConnectorError::setting("filters.type", format!("{kind:?} is neither post nor page"));
    known.map(|(_, route)| format!("/wp-json/wp/v2/{route}")).ok_or_else(message)
}

pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    Ok(ApiRequest::get(route(job.parent_id())?)
        .query("status", job.filter(STATUS_FILTER).unwrap_or(STATUSES))
        .query("orderby", "modified")
        .query("order", "asc")
        .query_opt("modified_after", job.updated_gte.map(timestamp)))
}

pub(super) fn get_request(job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let kind = job.parent.map_or("", |part| part.id.as_str());
    Ok(ApiRequest::get(format!("{}/{}", route(kind)?, encode_segment(job.id))))
}

pub(super) fn read_all<'a>(raws: &[&'a RawValue]) -> (Vec<Record<'a>>, Vec<BadRecord>) {
    read_records(raws, map)
}

pub(super) fn read_one(raw: &RawValue) -> Result<Record<'_>, RecordError> {
    read_record(raw, map)
}

fn map(post: Post<'_>) -> Result<Mapped<'_, KmsPage<'_>>, RecordError> {
    let updated_at = time(&post.modified_gmt)?;
    let created_at = post.date_gmt.as_ref().map(time).transpose()?;
    let is_active = post.status.0 == "publish";
    Ok(Mapped {
        id: post.id.0.clone(),
        updated_at: Some(updated_at),
        created_at,
        deleted: post.status.0 == "trash",
        revision: None,
        object: KmsPage {
            id: post.id.0,
            created_at: created_at.map(Into::into),
            updated_at: Some(updated_at.into()),
            is_active: Some(is_active),
            metadata: metadata(post.status, post.slug),
            parent_id: pointer(post.parent),
            title: post.title.map(|title| plain(title.rendered.0)),
            kind: Some(post.kind.0),
            user_id: pointer(post.author),
            web_url: post.link.map(|link| link.0),
            ..KmsPage::default()
        },
    })
}

/// The status and, unless it is yet to be made, the slug.
fn metadata<'a>(status: Text<'a>, slug: Option<Text<'a>>) -> Vec<Metadata<'a>> {
    let entry = |slug, value| Metadata { slug: Some(Cow::Borrowed(slug)), value: Some(value), ..Metadata::default() };
    let slug = slug.filter(|slug| !slug.0.is_empty()).map(|slug| entry("slug", slug.0));
    std::iter::once(entry("status", status.0)).chain(slug).collect()
}
