//! Replays: a row for the last one of each webhook and destination.

use super::calls::{self, Fold, Scope};
use super::engine::{Read, Span, Tree};
use super::keys::{self, FromKey, Index};
use super::rows::{damaged, load, save};
use super::txn::Txn;
use super::{Domain, Pace, Units, destinations, leases};
use crate::ids::WebhookId;
use crate::store::{Replay, ReplayState, ReplayStep, Replays, ShardId, StoreError, Wake};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub(super) const WHAT: &str = "replay";

fn replay(read: &dyn Read, webhook: WebhookId) -> Result<Option<Replay>, StoreError> {
    load(read, Tree::Replays, webhook.as_bytes(), WHAT)
}

fn open_key(replay: &Replay) -> Vec<u8> {
    Index::OpenReplayOfShard.key(&[&keys::shard(replay.shard), replay.webhook_id.as_bytes()])
}

fn keep(txn: &mut Txn<'_>, replay: &Replay) -> Result<(), StoreError> {
    match replay.is_open() {
        true => txn.put(Tree::Index, open_key(replay), &[]),
        false => txn.remove(Tree::Index, open_key(replay)),
    }
    save(txn, Tree::Replays, replay.webhook_id.as_bytes(), WHAT, replay)
}

fn begin(txn: &mut Txn<'_>, new: &Replay) -> Result<(), StoreError> {
    let is_there =
        txn.has(Tree::Webhooks, new.webhook_id.as_bytes())? || destinations::served_as(txn, new.webhook_id)?.is_some();
    if !is_there {
        return Err(StoreError::Missing("webhook"));
    }
    if replay(txn, new.webhook_id)?.is_some_and(|last| last.is_open()) {
        return Err(StoreError::Exists(WHAT));
    }
    txn.wake(Wake::WebhookChanged(new.webhook_id));
    keep(txn, new)
}

fn open(read: &dyn Read, webhook: WebhookId) -> Result<Replay, StoreError> {
    replay(read, webhook)?.filter(Replay::is_open).ok_or(StoreError::Missing(WHAT))
}

fn step(txn: &mut Txn<'_>, step: ReplayStep) -> Result<(), StoreError> {
    leases::check(txn, step.fence)?;
    let mut replay = open(txn, step.webhook)?;
    if replay.id != step.id {
        return Err(StoreError::Missing(WHAT));
    }
    (replay.part, replay.position) = (step.part, step.position);
    replay.repeated += step.repeated;
    replay.retry = step.retry;
    replay.error = step.error;
    replay.state = step.state;
    replay.updated_at = step.at;
    replay.finished_at = (!replay.is_open()).then_some(step.at);
    keep(txn, &replay)?;
    match step.call {
        Some(call) => calls::record(txn, Scope::webhook(step.webhook), call, Fold::Nothing),
        None => Ok(()),
    }
}

fn cancel(txn: &mut Txn<'_>, webhook: WebhookId, now: DateTime<Utc>) -> Result<Replay, StoreError> {
    let mut replay = open(txn, webhook)?;
    replay.state = ReplayState::Cancelled;
    replay.retry = None;
    (replay.updated_at, replay.finished_at) = (now, Some(now));
    keep(txn, &replay)?;
    Ok(replay)
}

/// Removes a webhook's replay.
pub(super) fn remove(txn: &mut Txn<'_>, webhook: WebhookId) -> Result<(), StoreError> {
    if let Some(replay) = replay(txn, webhook)? {
        txn.remove(Tree::Index, open_key(&replay));
        txn.remove(Tree::Replays, webhook.as_bytes());
    }
    Ok(())
}

#[async_trait]
impl<U: Units> Replays for U {
    async fn begin_replay(&self, replay: Replay) -> Result<(), StoreError> {
        self.write(Domain::Shard(replay.shard), Pace::Now, move |txn| begin(txn, &replay)).await
    }

    async fn replay(&self, webhook: WebhookId) -> Result<Option<Replay>, StoreError> {
        self.read(|read| replay(read, webhook)).await
    }

    async fn open_replays(&self, shards: &[ShardId], limit: usize) -> Result<Vec<Replay>, StoreError> {
        self.read(|read| {
            let spans = shards.iter().map(|shard| Span::prefix(&Index::OpenReplayOfShard.key(&[&keys::shard(*shard)])));
            let open = read.ranges(Tree::Index, spans.collect())?.into_iter().flat_map(|rows| rows.take(limit));
            let ids = open.map(|row| WebhookId::from_key(&row?.0).ok_or_else(|| damaged("index")));
            ids.filter_map(|id| id.and_then(|id| replay(read, id)).transpose()).collect()
        })
        .await
    }

    async fn step_replay(&self, replayed: ReplayStep) -> Result<(), StoreError> {
        self.write(Domain::Shard(replayed.fence.shard), Pace::Lazy, move |txn| step(txn, replayed.clone())).await
    }

    async fn cancel_replay(&self, webhook: WebhookId, now: DateTime<Utc>) -> Result<Replay, StoreError> {
        self.write(Domain::Webhook(webhook), Pace::Now, move |txn| cancel(txn, webhook, now)).await
    }
}
