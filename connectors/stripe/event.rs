//! Events, listed and pushed (docs.stripe.com/api/events): one reading for both.

use super::parts::{Kind, List};
use super::{list, names};
use crate::contract::{
    ApiRequest, ApiResponse, Arrival, BadRecord, Change, ConnectorError, NativeEvent, Next, Page, PageJob, Record,
    RecordError,
};
use crate::json::Text;
use crate::model::ObjectType;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    id: Text<'a>,
    created: i64,
    #[serde(rename = "type")]
    kind: Text<'a>,
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Between the last event of a page and the ids of what it told in its last second.
const TOLD: char = ' ';

const TYPES: [ObjectType; 5] = [
    ObjectType::AccountingInvoice,
    ObjectType::PaymentPayment,
    ObjectType::PaymentPayout,
    ObjectType::PaymentRefund,
    ObjectType::PaymentSubscription,
];

/// docs.stripe.com/api/events/list: `type` takes a group of events with `*`, `created[gte]` includes its bound.
pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (_, _, prefix) = names(job.spec.object_type)?;
    let after = job.token().map(|token| token.split_once(TOLD).map_or(token, |(event, _)| event));
    Ok(ApiRequest::get("/v1/events")
        .query("limit", job.limit.to_string())
        .query("type", format!("{prefix}*"))
        .query_opt("created[gte]", job.updated_gte.map(|at| at.timestamp().to_string()))
        .query_opt("starting_after", after))
}

/// The newest event of each object on the page: the others are what it was meanwhile, and within one second nothing else
/// tells them apart. What the last second of a page told is passed on to the next one.
pub(super) fn read_page<'a>(job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let list: List<'a> = response.json()?;
    let mut told: BTreeSet<String> = job.token().map(told_before).unwrap_or_default();
    let (mut records, mut bad) = (Vec::new(), Vec::new());
    let mut last_second = None;
    let mut of_last_second: Vec<String> = told.iter().cloned().collect();
    for raw in &list.data {
        let event: Event<'a> = match serde_json::from_str(raw.get()) {
            Ok(event) => event,
            Err(error) => {
                bad.push(BadRecord { id: None, error: error.into(), raw: raw.get().to_owned() });
                continue;
            }
        };
        if last_second.is_some_and(|second| second != event.created) {
            of_last_second.clear();
        }
        last_second = Some(event.created);
        match read(&event, job.spec.object_type) {
            Ok(None) => {}
            Ok(Some((_, record))) => {
                of_last_second.push(record.id.clone().into_owned());
                if told.insert(record.id.clone().into_owned()) {
                    records.push(record);
                }
            }
            Err(error) => {
                let (id, raw) = (Some(event.id.0.into_owned()), event.data.object.get().to_owned());
                bad.push(BadRecord { id, error, raw });
            }
        }
    }
    let next = match list.next_token()? {
        None => Next::End,
        Some(event) => {
            of_last_second.insert(0, event);
            Next::Token(of_last_second.join(&TOLD.to_string()))
        }
    };
    Ok(Page { records, bad, next, cursor: None, total: None })
}

fn told_before(token: &str) -> BTreeSet<String> {
    token.split(TOLD).skip(1).map(str::to_owned).collect()
}

/// What an event tells of an object of this type; none where it is about another. An invoice that is yet to come is none:
/// it has no id (docs.stripe.com/api/events/types, "invoice.upcoming"), or that of a preview, `upcoming_in_` and more
/// (docs.stripe.com/api/invoices/create_preview).
fn read<'a>(event: &Event<'a>, object_type: ObjectType) -> Result<Option<(Change, Record<'a>)>, RecordError> {
    let (name, _, prefix) = names(object_type).map_err(|error| RecordError(error.to_string()))?;
    let Some(verb) = event.kind.0.strip_prefix(prefix).filter(|verb| *verb != "upcoming") else { return Ok(None) };
    let kind: Kind<'_> = serde_json::from_str(event.data.object.get())?;
    if kind.object.is_none_or(|object| object.0 != name) || kind.id.is_none() {
        return Ok(None);
    }
    let at: DateTime<Utc> = DateTime::from_timestamp(event.created, 0)
        .ok_or_else(|| RecordError("created is no time in seconds".to_owned()))?;
    let change = match verb {
        "created" => Change::Created,
        // A subscription that ended stays, as canceled.
        "deleted" if object_type == ObjectType::AccountingInvoice => Change::Deleted,
        _ => Change::Updated,
    };
    let mut record = list::read(object_type, event.data.object)?;
    record.updated_at = Some(at);
    record.revision = Some(event.id.0.clone());
    record.deleted = change == Change::Deleted;
    Ok(Some((change, record)))
}

pub(super) fn read_event<'a>(event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
    let event: Event<'a> = serde_json::from_slice(event.body)?;
    for object_type in TYPES {
        match read(&event, object_type) {
            Ok(None) => {}
            Ok(Some((change, record))) => {
                let record = Box::new(record);
                return Ok(vec![Arrival::Record { object_type, change, record, matches: Vec::new(), parent: None }]);
            }
            Err(_) => return Ok(vec![Arrival::PollNow(object_type)]),
        }
    }
    Ok(vec![Arrival::Ignore])
}
