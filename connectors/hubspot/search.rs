//! Changes, by the search endpoints (developers.hubspot.com, "Search the CRM").
//!
//! A search takes one sort rule, pages by an offset, and ends at 10,000 results. So no search is paged: the next page is
//! another search, from the last time seen. Where all of a page has one time, as after an import, the records of that
//! time are gone through by their ids, and then what is later. Tokens say which: `since:<ms>` or `tie:<ms>:<last id>`.

use super::parts::instant;
use super::{Results, properties};
use crate::contract::{ApiRequest, ConnectorError, Method, Next, PageJob};
use crate::json::Text;
use crate::model::ObjectType;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The record's own id, as a property that counts.
const ID: &str = "hs_object_id";

/// The property that holds the time of a record's last change: contacts have their own.
fn modified_property(object_type: ObjectType) -> &'static str {
    match object_type {
        ObjectType::CrmContact => "lastmodifieddate",
        _ => "hs_lastmodifieddate",
    }
}

/// Which search a page is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Everything from this time on, oldest first; none is everything.
    Since(Option<i64>),
    /// Everything of exactly this time with a greater id than this, by id.
    Tie(i64, String),
}

impl Part {
    fn of(job: &PageJob<'_>) -> Result<Part, ConnectorError> {
        let Some(token) = job.token() else {
            return Ok(Part::Since(job.updated_gte.map(|at| at.timestamp_millis())));
        };
        let mut items = token.split(':');
        let part = match (items.next(), items.next().and_then(|ms| ms.parse().ok()), items.next()) {
            (Some("since"), Some(ms), None) => Part::Since(Some(ms)),
            (Some("tie"), Some(ms), Some(id)) => Part::Tie(ms, id.to_owned()),
            _ => return Err(ConnectorError::CursorExpired),
        };
        Ok(part)
    }

    fn token(&self) -> String {
        match self {
            Part::Since(ms) => format!("since:{}", ms.unwrap_or_default()),
            Part::Tie(ms, id) => format!("tie:{ms}:{id}"),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    filter_groups: Vec<Group>,
    sorts: [Sort; 1],
    properties: &'static [&'static str],
    limit: u32,
}

#[derive(Serialize)]
struct Group {
    filters: Vec<Filter>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: &'static str,
    operator: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sort {
    property_name: &'static str,
    direction: &'static str,
}

pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let modified = modified_property(job.spec.object_type);
    let filter = |property_name, operator, value| Filter { property_name, operator, value };
    let (filters, sort, limit) = match Part::of(job)? {
        Part::Since(since) => {
            let bound = since.map(|ms| filter(modified, "GTE", ms.to_string()));
            (bound.into_iter().collect::<Vec<_>>(), modified, job.limit)
        }
        // One fewer than in the page that showed the tie, which would else be taken for the same page again.
        Part::Tie(ms, id) => {
            let (from, until) = (filter(modified, "GTE", ms.to_string()), filter(modified, "LT", (ms + 1).to_string()));
            (vec![from, until, filter(ID, "GT", id)], ID, (job.limit - 1).max(1))
        }
    };
    let search = Search {
        filter_groups: if filters.is_empty() { Vec::new() } else { vec![Group { filters }] },
        sorts: [Sort { property_name: sort, direction: "ASCENDING" }],
        properties: properties(job.spec.object_type)?,
        limit,
    };
    let path = format!("/crm/v3/objects/{}/search", job.spec.raw_object);
    let mut request = ApiRequest::new(Method::Post, path).header("content-type", "application/json");
    request.body = Some(serde_json::to_string(&search)?);
    Ok(request)
}

pub(super) fn next(job: &PageJob<'_>, results: &Results<'_>) -> Result<Next, ConnectorError> {
    let part = Part::of(job)?;
    let is_last = results.after().is_none();
    let next = match part {
        Part::Since(_) if is_last => return Ok(Next::End),
        Part::Since(bound) => {
            let ((first, _), (last, _)) = ends(job, results)?;
            if bound.is_some_and(|bound| last < bound) {
                return Err(ConnectorError::malformed("a search from a time on gave only records before it"));
            }
            if first == last { Part::Tie(last, "0".to_owned()) } else { Part::Since(Some(last)) }
        }
        Part::Tie(ms, _) if is_last => Part::Since(Some(ms + 1)),
        Part::Tie(ms, _) => Part::Tie(ms, ends(job, results)?.1.1),
    };
    Ok(Next::Token(next.token()))
}

/// Of a page's first and last records the time of the last change, in milliseconds, and the id.
fn ends(job: &PageJob<'_>, results: &Results<'_>) -> Result<(Key, Key), ConnectorError> {
    let key = |raw: Option<&&RawValue>| raw.and_then(|raw| key(raw, job.spec.object_type));
    key(results.results.first()).zip(key(results.results.last())).ok_or_else(|| {
        ConnectorError::malformed("a page with a next one, whose first and last records have no id or time of change")
    })
}

type Key = (i64, String);

fn key(raw: &RawValue, object_type: ObjectType) -> Option<Key> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
    struct Keyed<'a> {
        id: Text<'a>,
        properties: Modified<'a>,
        updated_at: Option<Text<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "'de: 'a"))]
    struct Modified<'a> {
        lastmodifieddate: Option<Text<'a>>,
        hs_lastmodifieddate: Option<Text<'a>>,
    }
    let keyed: Keyed<'_> = serde_json::from_str(raw.get()).ok()?;
    let property = match object_type {
        ObjectType::CrmContact => keyed.properties.lastmodifieddate,
        _ => keyed.properties.hs_lastmodifieddate,
    };
    let at = instant(&property.or(keyed.updated_at)?.0)?;
    Some((at.timestamp_millis(), keyed.id.0.into_owned()))
}
