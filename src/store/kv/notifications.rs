//! Notifications: a row each, by workspace and a sequence that has no gaps, written by the units of other nouns.

use super::Units;
use super::engine::{Read, Scan, Span, Tree};
use super::keys::{self, ID_BYTES};
use super::rows::{damaged, from_json, to_json};
use super::txn::Txn;
use crate::ids::WorkspaceId;
use crate::store::{
    Connection, Notification, NotificationEvent, NotificationQuery, Notifications, StoreError, Webhook,
};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

pub(super) const WHAT: &str = "notification";
/// Rows beyond the bounds that one new row drives out, after these were lowered or much has aged.
const DRIVEN_OUT_MAX: u64 = 16;

/// About a connection.
pub(super) fn of_connection(
    connection: &Connection,
    event: NotificationEvent,
    at: DateTime<Utc>,
    description: impl Into<String>,
) -> Notification {
    Notification {
        id: String::new(),
        workspace_id: connection.workspace_id,
        event,
        at,
        description: description.into(),
        code: None,
        connection_id: connection.id,
        webhook_id: None,
        integration: connection.integration.clone(),
        environment: connection.environment.clone(),
        external_xref: connection.external_xref.clone(),
    }
}

/// About a webhook.
pub(super) fn of_webhook(
    webhook: &Webhook,
    event: NotificationEvent,
    at: DateTime<Utc>,
    description: impl Into<String>,
) -> Notification {
    Notification {
        id: String::new(),
        workspace_id: webhook.workspace_id,
        event,
        at,
        description: description.into(),
        code: None,
        connection_id: webhook.connection_id,
        webhook_id: Some(webhook.id),
        integration: webhook.integration.clone(),
        environment: webhook.environment.clone(),
        external_xref: webhook.external_xref.clone(),
    }
}

fn key(workspace: WorkspaceId, sequence: u64) -> Vec<u8> {
    keys::under(workspace.as_bytes(), &sequence.to_be_bytes())
}

fn sequence(key: &[u8]) -> Result<u64, StoreError> {
    let sequence = key.get(ID_BYTES..).and_then(|rest| rest.try_into().ok());
    sequence.map(u64::from_be_bytes).ok_or_else(|| damaged(WHAT))
}

/// The sequence of a workspace's oldest or newest row.
fn at_end(read: &dyn Read, workspace: WorkspaceId, scan: Scan) -> Result<Option<u64>, StoreError> {
    let mut rows = read.range(Tree::Notifications, Span::prefix(workspace.as_bytes()), scan);
    rows.next().map(|row| sequence(&row?.0)).transpose()
}

/// Its time and a hash of its place: no randomness, so that a unit stays a function of what it reads.
fn id(workspace: WorkspaceId, sequence: u64, at: DateTime<Utc>) -> String {
    let seconds = u32::try_from(at.timestamp()).unwrap_or(u32::MAX);
    let hash = Sha256::digest(key(workspace, sequence));
    hex::encode([&seconds.to_be_bytes()[..], &hash[..ID_BYTES - 4]].concat())
}

/// Writes one, and forgets what is beyond the bounds.
pub(super) fn write(txn: &mut Txn<'_>, mut new: Notification) -> Result<(), StoreError> {
    let workspace = new.workspace_id;
    // The newest row always stays, so that a sequence is never given twice.
    let next = at_end(txn, workspace, Scan::Down)?.map_or(0, |newest| newest + 1);
    let oldest = at_end(txn, workspace, Scan::Up)?.unwrap_or(next);
    new.id = id(workspace, next, new.at);
    txn.put(Tree::Notifications, key(workspace, next), to_json(WHAT, &new)?);
    let (max, kept_ms) = (txn.limits().notifications_max.max(1), txn.limits().notifications_kept_ms);
    let kept = i64::try_from(kept_ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX);
    for sequence in (oldest..next).take(usize::try_from(DRIVEN_OUT_MAX).unwrap_or(usize::MAX)) {
        let key = key(workspace, sequence);
        let is_beyond = next - sequence >= max;
        if !is_beyond && !is_older(txn, &key, new.at, kept)? {
            break;
        }
        txn.remove(Tree::Notifications, key);
    }
    Ok(())
}

fn is_older(read: &dyn Read, key: &[u8], now: DateTime<Utc>, kept: TimeDelta) -> Result<bool, StoreError> {
    let Some(row) = read.get(Tree::Notifications, key)? else { return Ok(true) };
    let row: Notification = from_json(WHAT, &row)?;
    Ok(now.signed_duration_since(row.at) > kept)
}

fn list(read: &dyn Read, workspace: WorkspaceId, query: &NotificationQuery) -> Result<Vec<Notification>, StoreError> {
    let scan = if query.is_ascending { Scan::Up } else { Scan::Down };
    let rows = read.range(Tree::Notifications, Span::prefix(workspace.as_bytes()), scan);
    let rows = rows.map(|row| from_json::<Notification>(WHAT, &row?.1));
    let matching = rows.filter(|row| match row {
        Ok(row) => query.since.is_none_or(|since| row.at >= since),
        Err(_) => true,
    });
    matching.skip(query.offset).take(query.limit).collect()
}

#[async_trait]
impl<U: Units> Notifications for U {
    async fn notifications(
        &self,
        workspace: WorkspaceId,
        query: &NotificationQuery,
    ) -> Result<Vec<Notification>, StoreError> {
        self.read(|read| list(read, workspace, query))
    }
}
