//! The row of how far a webhook has been served, and its place in the index of retries.

use super::engine::{Place, Read, Tree, Value};
use super::keys::DueKind;
use super::rows::{Reader, Writer, open};
use super::txn::Txn;
use crate::ids::{JobId, WebhookId};
use crate::store::{Beside, DeliveryState, Missed, Position, Retry, ShardId, StoreError, Stream, WebhookHealth};
use chrono::{DateTime, Utc};

pub(super) const WHAT: &str = "delivery";
/// Format 1 knows of no back-fills beside the log, format 2 of nothing missed, format 3 of no retries beside the schedule.
pub(super) const FORMAT: u8 = 4;

/// The row. It exists as long as its webhook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) shard: ShardId,
    /// True while the webhook or its connection is paused: its retry would be in the way of others at the front of the
    /// index.
    pub(super) is_resting: bool,
    pub(super) state: DeliveryState,
}

impl Delivery {
    /// When its batch is to be tried again.
    pub(super) fn due(&self) -> Option<DateTime<Utc>> {
        let is_served = !self.is_resting && self.state.health == WebhookHealth::Healthy;
        self.state.retry.as_ref().filter(|_| is_served).map(|retry| retry.next_at)
    }

    pub(super) fn encode(&self) -> Value {
        let mut row = Writer::new(FORMAT);
        let state = &self.state;
        row.u16(self.shard.0);
        row.u8(u8::from(self.is_resting));
        row.u64(state.position.sequence);
        row.u32(state.position.offset);
        row.u64(state.delivered);
        row.option(state.delivered_at, Writer::time);
        row.option(state.listing, write_job);
        row.option(state.retry.as_ref(), write_retry);
        let unhealthy = match &state.health {
            WebhookHealth::Healthy => None,
            WebhookHealth::Unhealthy { since, message } => Some((*since, message)),
        };
        row.option(unhealthy, |row, (since, message)| {
            row.time(since);
            row.text(message);
        });
        row.option(state.beside, |row, beside| {
            write_job(row, beside.job);
            row.option(beside.held_from, Writer::u64);
        });
        row.option(state.missed, |row, missed| {
            row.option(missed.since, Writer::time);
            row.u64(missed.sequence);
            row.u64(missed.pages);
            row.u8(u8::from(missed.lost_deletions));
        });
        row.finish()
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let (format, _) = open(WHAT, FORMAT, row)?;
        let mut row = Reader::new(WHAT, FORMAT, row)?;
        let (shard, is_resting) = (ShardId(row.u16()?), row.bool()?);
        let mut state = DeliveryState {
            position: Position { sequence: row.u64()?, offset: row.u32()? },
            delivered: row.u64()?,
            delivered_at: row.option(Reader::time)?,
            listing: row.option(read_job)?,
            retry: row.option(|row| read_retry(row, format))?,
            health: row
                .option(|row| Ok(WebhookHealth::Unhealthy { since: row.time()?, message: row.text()? }))?
                .unwrap_or_default(),
            beside: None,
            missed: None,
        };
        if format >= 2 {
            state.beside = row.option(|row| Ok(Beside { job: read_job(row)?, held_from: row.option(Reader::u64)? }))?;
        }
        if format >= 3 {
            state.missed = row.option(read_missed)?;
        }
        Ok(Delivery { shard, is_resting, state })
    }
}

fn read_missed(row: &mut Reader<'_>) -> Result<Missed, StoreError> {
    Ok(Missed {
        since: row.option(Reader::time)?,
        sequence: row.u64()?,
        pages: row.u64()?,
        lost_deletions: row.bool()?,
    })
}

fn write_job(row: &mut Writer, job: JobId) {
    row.raw(job.as_bytes());
}

fn read_job(row: &mut Reader<'_>) -> Result<JobId, StoreError> {
    row.array().map(JobId::from_bytes)
}

fn write_retry(row: &mut Writer, retry: &Retry) {
    let job = match retry.stream {
        Stream::Live => None,
        Stream::Listing(job) => Some(job),
    };
    row.option(job, write_job);
    row.u32(retry.attempts);
    row.time(retry.first_at);
    row.time(retry.next_at);
    row.u32(retry.records);
    row.u32(retry.quick);
    row.u8(u8::from(retry.is_quick));
}

fn read_retry(row: &mut Reader<'_>, format: u8) -> Result<Retry, StoreError> {
    let knows_quick = format >= 4;
    Ok(Retry {
        stream: row.option(read_job)?.map_or(Stream::Live, Stream::Listing),
        attempts: row.u32()?,
        first_at: row.time()?,
        next_at: row.time()?,
        records: row.u32()?,
        quick: if knows_quick { row.u32()? } else { 0 },
        is_quick: knows_quick && row.bool()?,
    })
}

/// Where a webhook's row stands.
pub(super) fn place(webhook: WebhookId) -> Place {
    (Tree::Deliveries, webhook.as_bytes().to_vec())
}

/// The row of a webhook.
pub(super) fn delivery(read: &dyn Read, webhook: WebhookId) -> Result<Option<Delivery>, StoreError> {
    read.get(Tree::Deliveries, webhook.as_bytes())?.map(|row| Delivery::decode(&row)).transpose()
}

/// Sets it, with its place in the index of retries.
pub(super) fn keep(txn: &mut Txn<'_>, webhook: WebhookId, due_before: Option<DateTime<Utc>>, delivery: &Delivery) {
    let due = delivery.due();
    if due != due_before {
        if let Some(at) = due_before {
            txn.remove(Tree::Due, DueKind::Retry.key(delivery.shard, at, webhook.as_bytes()));
        }
        if let Some(at) = due {
            txn.put(Tree::Due, DueKind::Retry.key(delivery.shard, at, webhook.as_bytes()), &[]);
        }
    }
    txn.put(Tree::Deliveries, webhook.as_bytes(), delivery.encode());
}

/// Removes it with its place in the index.
pub(super) fn remove(txn: &mut Txn<'_>, webhook: WebhookId) -> Result<(), StoreError> {
    if let Some((delivery, at)) = delivery(txn, webhook)?.and_then(|delivery| delivery.due().map(|at| (delivery, at))) {
        txn.remove(Tree::Due, DueKind::Retry.key(delivery.shard, at, webhook.as_bytes()));
    }
    txn.remove(Tree::Deliveries, webhook.as_bytes());
    Ok(())
}
