//! Listing: what is asked for, and what a page holds.

use super::{ListingKind, ObjectSpec, RecordError};
use chrono::{DateTime, Utc};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a connector may know of a connection: settings, no secrets.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// `auth.meta` less its secrets.
    pub meta: &'a BTreeMap<String, String>,
}

impl Account<'_> {
    /// A setting of `auth.meta`.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.meta.get(name).map(String::as_str)
    }
}

/// The record under which other records live at the vendor, such as the repository of an issue; or one of several
/// listings of one object type (see [`super::Connector::parts`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its id, as the parent's own listing gives it.
    pub id: String,
}

/// Where in a listing a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The first page.
    Start,
    /// After this many records; a multiple of the limit where the vendor counts pages.
    Offset(u64),
    /// Where the vendor's own token points.
    Token(&'a str),
}

/// One page to be listed.
#[derive(Debug, Clone, Copy)]
pub struct PageJob<'a> {
    /// What is listed.
    pub spec: &'static ObjectSpec,
    /// Which of the spec's listings this is.
    pub kind: ListingKind,
    /// The connection's settings.
    pub account: Account<'a>,
    /// The webhook's filters; only names the spec knows, with values.
    pub filters: &'a BTreeMap<String, String>,
    /// The parent, where the spec names a parent listing, or the part, where the connector has parts.
    pub parent: Option<&'a Parent>,
    /// The lower bound to ask with. The engine has stepped it back where the vendor's filter is exclusive.
    pub updated_gte: Option<DateTime<Utc>>,
    /// The token of a feed whose cursor is one; none asks for a full listing.
    pub cursor: Option<&'a str>,
    /// Where in the listing.
    pub place: Place<'a>,
    /// How many records a page may hold.
    pub limit: u32,
}

impl PageJob<'_> {
    /// The id of the parent. The engine sets it for every spec with a parent listing or parts.
    pub fn parent_id(&self) -> &str {
        self.parent.map_or("", |parent| parent.id.as_str())
    }

    /// The number of records before this page; 0 where the place is a token.
    pub fn offset(&self) -> u64 {
        match self.place {
            Place::Offset(offset) => offset,
            Place::Start | Place::Token(_) => 0,
        }
    }

    /// The page's number counted from 1, for vendors that count pages.
    pub fn page_number(&self) -> u64 {
        self.offset() / u64::from(self.limit.max(1)) + 1
    }

    /// The vendor's token for this page.
    pub fn token(&self) -> Option<&str> {
        match self.place {
            Place::Token(token) => Some(token),
            Place::Start | Place::Offset(_) => None,
        }
    }

    /// A filter of the webhook.
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filters.get(name).map(String::as_str)
    }
}

/// One record to be fetched.
#[derive(Debug, Clone, Copy)]
pub struct GetJob<'a> {
    /// What it is.
    pub spec: &'static ObjectSpec,
    /// The connection's settings.
    pub account: Account<'a>,
    /// The webhook's filters.
    pub filters: &'a BTreeMap<String, String>,
    /// The parent, where the spec names a parent listing, or the part, where the connector has parts.
    pub parent: Option<&'a Parent>,
    /// The record's id as a page gave it.
    pub id: &'a str,
}

/// One vendor object, normalised.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The vendor's id; unique within the object type and the connection. At most 512 bytes.
    pub id: Cow<'a, str>,
    /// When the vendor last changed it, by the vendor's clock.
    pub updated_at: Option<DateTime<Utc>>,
    /// When it came to be.
    pub created_at: Option<DateTime<Utc>>,
    /// True if the vendor says that it is deleted.
    pub deleted: bool,
    /// The vendor's own revision or etag of the record, where it has one.
    pub revision: Option<Cow<'a, str>>,
    /// The unified object as compact JSON.
    pub object: Vec<u8>,
    /// The vendor's object as JSON: as it stands in the answer, or made from an answer that is none.
    pub raw: Cow<'a, str>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Its id, if that much could be read.
    pub id: Option<String>,
    /// What is wrong.
    pub error: RecordError,
    /// The vendor's object.
    pub raw: String,
}

/// How a listing goes on after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This was the last page.
    End,
    /// There may be more; the engine works out where.
    More,
    /// As [`Next::More`], where the vendor also sent records that the connector left out, such as those of another
    /// type: the greatest `updated_at` of all that it sent.
    From(DateTime<Utc>),
    /// There is more where this token points.
    Token(String),
    /// There will be more where this token points, but not before `wait_ms` milliseconds.
    Later {
        /// The vendor's token.
        token: String,
        /// How long to wait.
        wait_ms: u64,
    },
}

/// One answer of a listing.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// The records that could be read.
    pub records: Vec<Record<'a>>,
    /// Those that could not.
    pub bad: Vec<BadRecord>,
    /// How the listing goes on.
    pub next: Next,
    /// What to remember once the listing has ended, for feeds whose cursor is a token.
    pub cursor: Option<String>,
    /// How many records the whole listing has, where the vendor says so.
    pub total: Option<u64>,
}

impl Page<'_> {
    /// How many records the vendor sent, readable or not.
    pub fn listed(&self) -> usize {
        self.records.len() + self.bad.len()
    }
}

/// The answer to fetching one record.
#[derive(Debug, Clone)]
pub enum Found<'a> {
    /// It is there.
    Record(Box<Record<'a>>),
    /// It is not there, for good.
    Gone,
}
