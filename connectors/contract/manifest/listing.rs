//! What can be listed, and how.

use crate::contract::Change;
use crate::model::ObjectType;

/// The two listings an object type may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingKind {
    /// What changed since a time or token.
    Live,
    /// Everything there is, for back-fills and sweeps.
    History,
}

/// How one object type is listed, and what its records tell.
#[derive(Debug, Clone, Copy)]
pub struct ObjectSpec {
    /// What it is.
    pub object_type: ObjectType,
    /// The vendor's name of it.
    pub raw_object: &'static str,
    /// How changes are listed.
    pub live: Listing,
    /// How everything is listed.
    pub history: Listing,
    /// Records a page may hold at most.
    pub page_size: u32,
    /// Where paging ends, however many records match (10,000 at some vendors).
    pub result_window: Option<u32>,
    /// How long a record may stay invisible in the listing after its `updated_at`, in milliseconds.
    pub late_visibility_ms: u64,
    /// The granule of the vendor's times in milliseconds: 1,000 where times have whole seconds.
    pub granularity_ms: u64,
    /// How deletions show.
    pub deletions: Deletions,
    /// Whether `created_at` tells when a record came to be.
    pub created_at: CreatedAt,
    /// The object type whose records are listed first, because this one lives under them.
    pub parent: Option<ObjectType>,
    /// Names of filters that listing takes.
    pub filters: &'static [&'static str],
    /// Top-level fields of the vendor's object that change without the record changing.
    pub volatile: &'static [&'static str],
    /// What the vendor's own webhooks tell of this type.
    pub native: &'static [Change],
    /// What the vendor tells by that nothing changed since the listing was last read.
    pub conditional: Conditional,
}

impl ObjectSpec {
    /// True where the vendor has no listing of it and only pushes.
    pub fn is_only_pushed(&self) -> bool {
        self.live.cursor == CursorKind::Pushed
    }

    /// The listing of this kind.
    pub fn listing(&self, kind: ListingKind) -> &Listing {
        match kind {
            ListingKind::Live => &self.live,
            ListingKind::History => &self.history,
        }
    }
}

/// By what a vendor can tell that an answer is still the same, with 304 (RFC 9110, section 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conditional {
    /// By nothing.
    #[default]
    Never,
    /// By its `ETag`, sent back in `If-None-Match`.
    Etag,
    /// By its `Last-Modified`, sent back in `If-Modified-Since`.
    LastModified,
}

impl Conditional {
    /// The answer's header that is kept, and the request's header that it is sent back in.
    pub fn headers(self) -> Option<(&'static str, &'static str)> {
        match self {
            Conditional::Never => None,
            Conditional::Etag => Some(("etag", "if-none-match")),
            Conditional::LastModified => Some(("last-modified", "if-modified-since")),
        }
    }
}

/// How a listing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// What a feed remembers.
    pub cursor: CursorKind,
    /// The order of the answers.
    pub order: Order,
    /// How its pages are told apart.
    pub paging: Paging,
}

/// What a feed remembers between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorKind {
    /// A time: the listing takes a lower bound of `updated_at`.
    Updated(FilterBound),
    /// The vendor's opaque token.
    Token,
    /// Nothing: each run is a full listing.
    Nothing,
    /// There is no listing: the vendor only pushes.
    Pushed,
}

/// Whether the vendor's filter includes its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterBound {
    /// `>=`
    Inclusive,
    /// `>`
    Exclusive,
    /// The vendor does not filter; records come newest first and reading stops at the bound.
    ReadUntil,
}

/// The order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest change first.
    UpdatedAscending,
    /// Newest change first.
    UpdatedDescending,
    /// By creation or id, so that changes do not move records.
    Stable,
    /// None that can be relied on.
    Unordered,
}

/// How pages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// By the vendor's token or link, which keeps its place while records move.
    Token,
    /// By an offset in records.
    Offset,
    /// By a page number.
    PageNumber,
}

/// How deletions show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletions {
    /// Deleted records stay in the listing with a flag or state.
    Flag,
    /// Most stay in the listing with a state (a trash), but some vanish: only a sweep tells of those.
    FlagOrSilent,
    /// A listing of tombstones comes with the changes.
    Feed,
    /// They vanish: only a sweep tells.
    Silent,
}

/// Whether `created_at` can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedAt {
    /// It is when the record came to be.
    True,
    /// It is missing, or means something else.
    Absent,
}
