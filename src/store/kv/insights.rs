//! Insights: a row for each connection, length, span and object type, added to by the units that end runs and attempts.

use super::Units;
use super::destinations;
use super::engine::{Place, Read, Scan, Span, Tree};
use super::insight_row::{WHAT, decode, encode};
use super::keys::ID_BYTES;
use super::notifications;
use super::rows::damaged;
use super::txn::Txn;
use crate::ids::{ConnectionId, WorkspaceId};
use crate::store::{
    ApiCall, CallKind, Figures, Insight, InsightQuery, Insights, Notification, NotificationDetails, NotificationEvent,
    Resolution, StoreError, Webhook,
};
use anyhook_connectors::model::ObjectType;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

/// Rows that are too old which one new row drives out.
const DRIVEN_OUT_MAX: usize = 16;
/// Rows looked through for the hour before.
const LOOKED_BACK_MAX: usize = 256;
/// Bytes of a key before the object type.
const TYPE_AT: usize = ID_BYTES + 1 + 8;

fn prefix(connection: ConnectionId, resolution: Resolution) -> Vec<u8> {
    let kind = match resolution {
        Resolution::Hour => 1,
        Resolution::Day => 2,
    };
    [&connection.as_bytes()[..], &[kind]].concat()
}

/// Times before 1970 are no times of ours.
fn at_key(connection: ConnectionId, resolution: Resolution, at: DateTime<Utc>) -> Vec<u8> {
    let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
    [prefix(connection, resolution), seconds.to_be_bytes().to_vec()].concat()
}

fn key(connection: ConnectionId, resolution: Resolution, at: DateTime<Utc>, object_type: ObjectType) -> Vec<u8> {
    [at_key(connection, resolution, at), object_type.as_str().as_bytes().to_vec()].concat()
}

/// The span and the object type of a key; none for a type that this build does not know.
fn place(key: &[u8]) -> Result<Option<(DateTime<Utc>, ObjectType)>, StoreError> {
    let (head, name) = key.split_at_checked(TYPE_AT).ok_or_else(|| damaged(WHAT))?;
    let seconds = head[ID_BYTES + 1..].try_into().map(u64::from_be_bytes).map_err(|_| damaged(WHAT))?;
    let at = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let at = at.ok_or_else(|| damaged(WHAT))?;
    Ok(std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).map(|object_type| (at, object_type)))
}

/// Adds a row's figures; false for a row that is neither a run nor an attempt.
fn add(figures: &mut Figures, call: &ApiCall) -> bool {
    match call.kind {
        CallKind::Inbound if call.webhook_id.is_none() => {
            figures.runs += 1;
            figures.failed_runs += u64::from(call.is_failure());
            figures.requests += call.requests;
            figures.changes += call.records;
            figures.kinds += call.changes.unwrap_or_default();
        }
        CallKind::Webhook if call.delivery.is_some() && call.is_failure() => figures.failures += 1,
        CallKind::Webhook if call.delivery.is_some() => {
            figures.deliveries += 1;
            figures.records += call.records;
            if let Some(lag_ms) = call.attempt.as_ref().and_then(|attempt| attempt.lag_ms) {
                figures.lags.add(lag_ms);
            }
        }
        _ => return false,
    }
    true
}

/// What figures are about.
struct About<'a> {
    workspace_id: WorkspaceId,
    connection_id: ConnectionId,
    integration: &'a str,
    environment: &'a str,
    external_xref: Option<&'a str>,
    object_type: ObjectType,
    at: DateTime<Utc>,
}

/// Counts the row of a run or an attempt. Rows of one group commit that fall into the same span are written once.
pub(super) fn count(txn: &mut Txn<'_>, call: &ApiCall) -> Result<(), StoreError> {
    let Some(object_type) = counted(call) else { return Ok(()) };
    let about = About {
        workspace_id: call.workspace_id,
        connection_id: call.connection_id,
        integration: &call.integration,
        environment: &call.environment,
        external_xref: call.external_xref.as_deref(),
        object_type,
        at: call.at,
    };
    count_about(txn, &about, |figures| add(figures, call))
}

/// Counts requests that a listing for a webhook made.
pub(super) fn count_requests(
    txn: &mut Txn<'_>,
    webhook: &Webhook,
    requests: u64,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let about = About {
        workspace_id: webhook.workspace_id,
        connection_id: webhook.connection_id,
        integration: &webhook.integration,
        environment: &webhook.environment,
        external_xref: webhook.external_xref.as_deref(),
        object_type: webhook.object_type,
        at,
    };
    count_about(txn, &about, |figures| {
        figures.requests += requests;
        true
    })
}

/// Where the rows stand that a run or an attempt is counted in.
pub(super) fn places(call: &ApiCall) -> Vec<Place> {
    let Some(object_type) = counted(call) else { return Vec::new() };
    let at = |resolution: Resolution| key(call.connection_id, resolution, resolution.begin(call.at), object_type);
    [Resolution::Hour, Resolution::Day].map(|resolution| (Tree::Insights, at(resolution))).into()
}

/// The object type that a row is counted for; none for what a destination is sent of several.
fn counted(call: &ApiCall) -> Option<ObjectType> {
    let named = call.name.split(' ').next().and_then(|name| name.parse::<ObjectType>().ok());
    named.filter(|_| call.destination_id.is_none())
}

/// Adds to the figures of the hour and the day; to none where there is nothing to add.
fn count_about(txn: &mut Txn<'_>, about: &About<'_>, add: impl Fn(&mut Figures) -> bool) -> Result<(), StoreError> {
    for resolution in [Resolution::Hour, Resolution::Day] {
        let from = resolution.begin(about.at);
        let key = key(about.connection_id, resolution, from, about.object_type);
        let known = txn.get(Tree::Insights, &key)?;
        let mut figures = known.as_deref().map(decode).transpose()?.unwrap_or_default();
        if !add(&mut figures) {
            return Ok(());
        }
        txn.put(Tree::Insights, key, encode(&figures));
        if known.is_none() {
            drive_out(txn, about.connection_id, resolution, from)?;
            if resolution == Resolution::Hour {
                tell_before(txn, about, from)?;
            }
        }
    }
    Ok(())
}

fn drive_out(
    txn: &mut Txn<'_>,
    connection: ConnectionId,
    resolution: Resolution,
    newest: DateTime<Utc>,
) -> Result<(), StoreError> {
    let spans = match resolution {
        Resolution::Hour => txn.limits().insight_hours_max,
        Resolution::Day => txn.limits().insight_days_max,
    };
    let kept = TimeDelta::try_seconds(resolution.seconds().saturating_mul(i64::from(spans.max(1)) - 1));
    let Some(oldest) = kept.and_then(|kept| newest.checked_sub_signed(kept)) else { return Ok(()) };
    let span = Span { from: prefix(connection, resolution), to: Some(at_key(connection, resolution, oldest)) };
    let old = txn.range(Tree::Insights, span, Scan::Up).take(DRIVEN_OUT_MAX);
    let old = old.map(|row| row.map(|(key, _)| key)).collect::<Result<Vec<_>, _>>()?;
    old.iter().for_each(|key| txn.remove(Tree::Insights, &**key));
    Ok(())
}

/// Tells of the last hour before this one, which is complete now, if some destination listens to that.
fn tell_before(txn: &mut Txn<'_>, about: &About<'_>, from: DateTime<Utc>) -> Result<(), StoreError> {
    let listeners = destinations::listeners(txn, about.workspace_id)?;
    if listeners.is_empty() {
        return Ok(());
    }
    let span = Span {
        from: prefix(about.connection_id, Resolution::Hour),
        to: Some(at_key(about.connection_id, Resolution::Hour, from)),
    };
    let mut before = None;
    for row in txn.range(Tree::Insights, span, Scan::Down).take(LOOKED_BACK_MAX) {
        let (key, row) = row?;
        if let Some((at, _)) = place(&key)?.filter(|(_, known)| *known == about.object_type) {
            before = Some((at, decode(&row)?));
            break;
        }
    }
    let Some((at, figures)) = before else { return Ok(()) };
    let new = told(about, at, &figures);
    if listeners.iter().any(|listener| listener.wants(&new)) {
        return notifications::write_for(txn, new, &listeners);
    }
    Ok(())
}

fn told(about: &About<'_>, from: DateTime<Utc>, figures: &Figures) -> Notification {
    let Figures { changes, kinds, requests, records, failures, .. } = *figures;
    let object_type = about.object_type;
    let hour = from.format("%Y-%m-%dT%H:00Z");
    let details = NotificationDetails {
        began_at: Some(from),
        duration_ms: Some(3_600_000),
        changes: Some(changes),
        kinds: Some(kinds).filter(|kinds| kinds.total() == changes),
        requests: Some(requests),
        delivered: Some(records),
        ..NotificationDetails::default()
    };
    Notification {
        id: String::new(),
        workspace_id: about.workspace_id,
        event: NotificationEvent::InsightPopulated,
        at: about.at,
        description: format!(
            "the hour of {hour} of {object_type} is added up: {changes} changes found, {records} records delivered, {failures} attempts failed"
        ),
        code: None,
        connection_id: Some(about.connection_id),
        webhook_id: None,
        integration: about.integration.to_owned(),
        environment: about.environment.to_owned(),
        external_xref: about.external_xref.map(str::to_owned),
        object_type: Some(object_type),
        destination_id: None,
        details: Some(Box::new(details)),
    }
}

fn list(read: &dyn Read, query: &InsightQuery) -> Result<Vec<Insight>, StoreError> {
    let InsightQuery { connection_id, resolution, .. } = *query;
    if !read.has(Tree::Connections, connection_id.as_bytes())? {
        return Ok(Vec::new());
    }
    let mut span = Span::prefix(&prefix(connection_id, resolution));
    if let Some(since) = query.since {
        span.from = at_key(connection_id, resolution, resolution.begin(since));
    }
    let scan = if query.is_ascending { Scan::Up } else { Scan::Down };
    let (mut found, mut passed) = (Vec::new(), 0);
    for row in read.range(Tree::Insights, span, scan) {
        if found.len() == query.limit {
            break;
        }
        let (key, row) = row?;
        let Some((from, object_type)) = place(&key)? else { continue };
        if query.object_type.is_some_and(|wanted| wanted != object_type) {
            continue;
        }
        if passed < query.offset {
            passed += 1;
            continue;
        }
        found.push(Insight { connection_id, object_type, resolution, from, figures: decode(&row)? });
    }
    Ok(found)
}

#[async_trait]
impl<U: Units> Insights for U {
    async fn insights(&self, query: &InsightQuery) -> Result<Vec<Insight>, StoreError> {
        self.read(|read| list(read, query)).await
    }
}
