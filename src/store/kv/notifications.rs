//! Notifications: a row each, by workspace and a sequence, written by the units of other nouns. Ended polls have a tree
//! and a bound of their own, and the same sequence.

use super::destinations::{self, Listener};
use super::engine::{Read, Rows, Scan, Span, Tree, Value};
use super::keys::{self, ID_BYTES};
use super::rows::{Reader, Writer, damaged, from_json, to_json};
use super::txn::Txn;
use super::{Domain, Units};
use crate::ids::WorkspaceId;
use crate::store::{
    Connection, Destination, Notification, NotificationEvent, NotificationQuery, Notifications, PlacedNotification,
    StoreError, Wake, Webhook,
};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use std::iter::Peekable;

pub(super) const WHAT: &str = "notification";
const COUNTS: &str = "notification counts";
pub(super) const COUNTS_FORMAT: u8 = 1;
/// Rows beyond the bounds that one new row drives out, after these were lowered or much has aged.
const DRIVEN_OUT_MAX: usize = 16;
/// Where rows stand: all but ended polls, and these.
const TREES: [Tree; 2] = [Tree::Notifications, Tree::Syncs];

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
        connection_id: Some(connection.id),
        webhook_id: None,
        integration: connection.integration.clone(),
        environment: connection.environment.clone(),
        external_xref: connection.external_xref.clone(),
        object_type: None,
        destination_id: None,
        details: None,
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
        connection_id: Some(webhook.connection_id),
        webhook_id: Some(webhook.id),
        integration: webhook.integration.clone(),
        environment: webhook.environment.clone(),
        external_xref: webhook.external_xref.clone(),
        object_type: Some(webhook.object_type),
        destination_id: None,
        details: None,
    }
}

/// About a destination.
pub(super) fn of_destination(
    destination: &Destination,
    event: NotificationEvent,
    at: DateTime<Utc>,
    description: impl Into<String>,
) -> Notification {
    Notification {
        id: String::new(),
        workspace_id: destination.workspace_id,
        event,
        at,
        description: description.into(),
        code: None,
        connection_id: None,
        webhook_id: None,
        integration: String::new(),
        environment: String::new(),
        external_xref: None,
        object_type: None,
        destination_id: Some(destination.id),
        details: None,
    }
}

fn key(workspace: WorkspaceId, sequence: u64) -> Vec<u8> {
    keys::under(workspace.as_bytes(), &sequence.to_be_bytes())
}

fn sequence(key: &[u8]) -> Result<u64, StoreError> {
    let sequence = key.get(ID_BYTES..).and_then(|rest| rest.try_into().ok());
    sequence.map(u64::from_be_bytes).ok_or_else(|| damaged(WHAT))
}

/// Its time and a hash of its place: no randomness, so that a unit stays a function of what it reads.
fn id(workspace: WorkspaceId, sequence: u64, at: DateTime<Utc>) -> String {
    let seconds = u32::try_from(at.timestamp()).unwrap_or(u32::MAX);
    let hash = Sha256::digest(key(workspace, sequence));
    hex::encode([&seconds.to_be_bytes()[..], &hash[..ID_BYTES - 4]].concat())
}

/// The next sequence of a workspace, and its rows in each of [`TREES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) next: u64,
    pub(super) rows: [u64; 2],
}

impl Counts {
    pub(super) fn encode(self) -> Value {
        let mut row = Writer::new(COUNTS_FORMAT);
        row.u64(self.next);
        self.rows.into_iter().for_each(|rows| row.u64(rows));
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut row = Reader::new(COUNTS, COUNTS_FORMAT, row)?;
        Ok(Counts { next: row.u64()?, rows: [row.u64()?, row.u64()?] })
    }

    fn of(read: &dyn Read, workspace: WorkspaceId) -> Result<Self, StoreError> {
        match read.get(Tree::NotificationCounts, workspace.as_bytes())? {
            Some(row) => Counts::decode(&row),
            None => Counts::counted(read, workspace),
        }
    }

    /// Of what an old build has written, which counted nothing.
    fn counted(read: &dyn Read, workspace: WorkspaceId) -> Result<Self, StoreError> {
        let mut counts = Counts::default();
        for row in read.prefix(Tree::Notifications, workspace.as_bytes()) {
            counts.next = sequence(&row?.0)? + 1;
            counts.rows[0] += 1;
        }
        Ok(counts)
    }
}

/// The sequence that the next notification of a workspace gets.
pub(super) fn end(read: &dyn Read, workspace: WorkspaceId) -> Result<u64, StoreError> {
    Counts::of(read, workspace).map(|counts| counts.next)
}

/// Writes one, wakes whoever listens to it, and forgets what is beyond the bounds.
pub(super) fn write(txn: &mut Txn<'_>, new: Notification) -> Result<(), StoreError> {
    let listeners = destinations::listeners(txn, new.workspace_id)?;
    write_for(txn, new, &listeners)
}

/// The same, where the workspace's listeners, or all that may listen to it, are known.
pub(super) fn write_for(txn: &mut Txn<'_>, mut new: Notification, listeners: &[Listener]) -> Result<(), StoreError> {
    let workspace = new.workspace_id;
    // Units of all shards write here, and sequences have no gaps.
    txn.lock(&[Domain::Workspace(workspace)])?;
    let mut counts = Counts::of(txn, workspace)?;
    let place = usize::from(new.event == NotificationEvent::SyncCompleted);
    new.id = id(workspace, counts.next, new.at);
    txn.put(TREES[place], key(workspace, counts.next), to_json(WHAT, &new)?);
    counts.next += 1;
    counts.rows[place] += 1;
    for listener in listeners.iter().filter(|listener| listener.wants(&new)) {
        txn.wake(Wake::Notified(listener.id));
    }
    drive_out(txn, &new, place, &mut counts, listeners)?;
    txn.put(Tree::NotificationCounts, workspace.as_bytes(), counts.encode());
    Ok(())
}

fn drive_out(
    txn: &mut Txn<'_>,
    new: &Notification,
    place: usize,
    counts: &mut Counts,
    listeners: &[Listener],
) -> Result<(), StoreError> {
    let limits = txn.limits();
    let max = [limits.notifications_max, limits.syncs_max][place].max(1);
    let kept = i64::try_from(limits.notifications_kept_ms).ok().and_then(TimeDelta::try_milliseconds);
    let kept = kept.unwrap_or(TimeDelta::MAX);
    let mut gone = Vec::new();
    for row in txn.prefix(TREES[place], new.workspace_id.as_bytes()).take(DRIVEN_OUT_MAX) {
        let (key, row) = row?;
        let old: Notification = from_json(WHAT, &row)?;
        let is_beyond = counts.rows[place] - gone.len() as u64 > max;
        let is_older = new.at.signed_duration_since(old.at) > kept;
        if old.id == new.id || !(is_beyond || is_older) {
            break;
        }
        gone.push((key, old));
    }
    counts.rows[place] -= gone.len() as u64;
    for (key, old) in gone {
        destinations::miss(txn, listeners, sequence(&key)?, &old)?;
        txn.remove(TREES[place], &*key);
    }
    Ok(())
}

/// A workspace's rows in the order of their sequences, from both trees.
struct Both<'a> {
    rows: [Peekable<Rows<'a>>; 2],
    scan: Scan,
}

impl<'a> Both<'a> {
    fn new(read: &'a dyn Read, workspace: WorkspaceId, from: u64, scan: Scan) -> Self {
        let span = || Span { from: key(workspace, from), ..Span::prefix(workspace.as_bytes()) };
        Both { rows: TREES.map(|tree| read.range(tree, span(), scan).peekable()), scan }
    }
}

impl Iterator for Both<'_> {
    type Item = Result<PlacedNotification, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let [first, second] = &mut self.rows;
        let is_first = match (first.peek(), second.peek()) {
            (Some(Ok((one, _))), Some(Ok((other, _)))) => (one < other) == (self.scan == Scan::Up),
            (first, _) => first.is_some(),
        };
        let row = if is_first { first.next() } else { second.next() }?;
        Some(row.and_then(|(key, row)| {
            Ok(PlacedNotification { sequence: sequence(&key)?, notification: from_json(WHAT, &row)? })
        }))
    }
}

fn matches(query: &NotificationQuery, row: &Notification) -> bool {
    query.since.is_none_or(|since| row.at >= since)
        && (query.events.is_empty() || query.events.iter().any(|pattern| pattern.matches(row.event)))
        && query.connection_id.is_none_or(|wanted| row.connection_id == Some(wanted))
        && query.webhook_id.is_none_or(|wanted| row.concerns(wanted))
}

fn list(read: &dyn Read, workspace: WorkspaceId, query: &NotificationQuery) -> Result<Vec<Notification>, StoreError> {
    let scan = if query.is_ascending { Scan::Up } else { Scan::Down };
    let rows = Both::new(read, workspace, 0, scan).map(|row| row.map(|row| row.notification));
    let matching = rows.filter(|row| row.as_ref().map_or(true, |row| matches(query, row)));
    matching.skip(query.offset).take(query.limit).collect()
}

/// The first row of a tree, if some sequence before it is in neither: that one may have stood there.
fn oldest_left(
    read: &dyn Read,
    workspace: WorkspaceId,
    of_polls: bool,
) -> Result<Option<PlacedNotification>, StoreError> {
    let place = usize::from(of_polls);
    let first = read.first(TREES[place], Span::prefix(workspace.as_bytes()), Scan::Up)?;
    let Some((key, row)) = first else { return Ok(None) };
    let first = sequence(&key)?;
    let span = Span { to: Some(key.to_vec()), ..Span::prefix(workspace.as_bytes()) };
    let mut before = 0;
    for row in read.range(TREES[1 - place], span, Scan::Up) {
        row?;
        before += 1;
    }
    let oldest = PlacedNotification { sequence: first, notification: from_json(WHAT, &row)? };
    Ok((before < first).then_some(oldest))
}

#[async_trait]
impl<U: Units> Notifications for U {
    async fn notifications(
        &self,
        workspace: WorkspaceId,
        query: &NotificationQuery,
    ) -> Result<Vec<Notification>, StoreError> {
        self.read(|read| list(read, workspace, query)).await
    }

    async fn notifications_from(
        &self,
        workspace: WorkspaceId,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<PlacedNotification>, StoreError> {
        self.read(|read| Both::new(read, workspace, sequence, Scan::Up).take(limit).collect()).await
    }

    async fn oldest_left(
        &self,
        workspace: WorkspaceId,
        of_polls: bool,
    ) -> Result<Option<PlacedNotification>, StoreError> {
        self.read(|read| oldest_left(read, workspace, of_polls)).await
    }
}
