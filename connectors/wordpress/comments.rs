//! Comments (developer.wordpress.org, "REST API Handbook", "Reference", "Comments").

use super::PAGE_SIZE;
use super::text::{Rendered, pointer, time};
use crate::contract::{
    ApiRequest, BadRecord, Conditional, CreatedAt, CursorKind, Deletions, Listing, ObjectSpec, Order, PageJob, Paging,
    Record, RecordError, encode_segment,
};
use crate::json::{Id, Mapped, Text, read_record, read_records};
use crate::model::{KmsComment, ObjectType};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The post or page that comments belong to.
const PAGE_FILTER: &str = "page_id";

/// Comments have no time of their last change. `after` would find new ones, but neither edits nor approvals, so each
/// run lists all of them.
const LISTING: Listing = Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Offset };

pub(super) const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::KmsComment,
    raw_object: "comment",
    live: LISTING,
    history: LISTING,
    page_size: PAGE_SIZE,
    result_window: None,
    late_visibility_ms: 0,
    granularity_ms: 1_000,
    deletions: Deletions::Silent,
    created_at: CreatedAt::True,
    parent: None,
    filters: &[PAGE_FILTER],
    volatile: &["_links", "author_avatar_urls"],
    native: &[],
    conditional: Conditional::Never,
};

#[derive(Deserialize)]
struct Comment<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(default)]
    post: u64,
    #[serde(default)]
    parent: u64,
    #[serde(default)]
    author: u64,
    #[serde(borrow)]
    date_gmt: Text<'a>,
    #[serde(borrow, default)]
    content: Option<Rendered<'a>>,
    #[serde(borrow)]
    status: Text<'a>,
}

/// `status=all` is what is approved and what waits for it, without spam and trash.
pub(super) fn page_request(job: &PageJob<'_>) -> ApiRequest {
    ApiRequest::get("/wp-json/wp/v2/comments")
        .query("status", "all")
        .query("orderby", "id")
        .query("order", "asc")
        .query_opt("post", job.filter(PAGE_FILTER))
}

pub(super) fn get_request(id: &str) -> ApiRequest {
    ApiRequest::get(format!("/wp-json/wp/v2/comments/{}", encode_segment(id)))
}

pub(super) fn read_all<'a>(raws: &[&'a RawValue]) -> (Vec<Record<'a>>, Vec<BadRecord>) {
    read_records(raws, map)
}

pub(super) fn read_one(raw: &RawValue) -> Result<Record<'_>, RecordError> {
    read_record(raw, map)
}

/// By its id, a comment in the trash or among spam is still there: it counts as deleted, as it does by the listing.
fn map(comment: Comment<'_>) -> Result<Mapped<'_, KmsComment<'_>>, RecordError> {
    let created_at = time(&comment.date_gmt)?;
    Ok(Mapped {
        id: comment.id.0.clone(),
        updated_at: None,
        created_at: Some(created_at),
        deleted: matches!(comment.status.0.as_ref(), "trash" | "spam"),
        revision: None,
        object: KmsComment {
            id: comment.id.0,
            created_at: Some(created_at.into()),
            content: comment.content.map(|content| content.rendered.0),
            page_id: pointer(comment.post),
            parent_id: pointer(comment.parent),
            user_id: pointer(comment.author),
            ..KmsComment::default()
        },
    })
}
