//! Listing jobs and their spools.

use super::engine::{Read, Tree};
use super::keys::{self, Grave, Index};
use super::rows::{load, save};
use super::txn::Txn;
use super::{
    Domain, Pace, Units, behind, deliveries, delivery_row, endings, head, insights, leases, lists, pages, webhooks,
};
use crate::ids::{JobId, WebhookId};
use crate::store::{
    Beside, CatchUp, Fence, JobMode, JobState, ListingCommit, ListingJob, Listings, Position, ShardId, StoreError, Wake,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;

const WHAT: &str = "listing job";
/// Jobs of one webhook that are remembered; the oldest that has ended makes room for a new one.
const JOBS_MAX: usize = 50;

/// The job of this id.
pub(super) fn job(read: &dyn Read, id: JobId) -> Result<Option<ListingJob>, StoreError> {
    load(read, Tree::Jobs, id.as_bytes(), WHAT)
}

fn keep(txn: &mut Txn<'_>, job: &ListingJob) -> Result<(), StoreError> {
    let open = Index::OpenJobOfShard.key(&[&keys::shard(job.shard), job.id.as_bytes()]);
    if job.is_open() {
        txn.put(Tree::Index, open, &[]);
    } else {
        txn.remove(Tree::Index, open);
    }
    txn.wake(Wake::JobChanged(job.id, job.webhook_id));
    save(txn, Tree::Jobs, job.id.as_bytes(), WHAT, job)
}

/// A webhook's jobs, newest first.
fn of_webhook(read: &dyn Read, webhook: WebhookId) -> Result<Vec<ListingJob>, StoreError> {
    let ids = lists::ids(read, &Index::JobOfWebhook.key(&[webhook.as_bytes()]), None, JOBS_MAX)?;
    let mut jobs =
        ids.into_iter().filter_map(|id| job(read, id).transpose()).collect::<Result<Vec<_>, StoreError>>()?;
    jobs.sort_by_key(|job| Reverse((job.created_at, job.id)));
    Ok(jobs)
}

/// Adds a job to a webhook that is there.
pub(super) fn insert(txn: &mut Txn<'_>, mut new: ListingJob) -> Result<(), StoreError> {
    let webhook = webhooks::webhook(txn, new.webhook_id)?.ok_or(StoreError::Missing("webhook"))?;
    let is_in_the_way = |job: &ListingJob| job.is_open() && job.mode != JobMode::CatchUp;
    if of_webhook(txn, webhook.id)?.iter().any(is_in_the_way) || txn.has(Tree::Jobs, new.id.as_bytes())? {
        return Err(StoreError::Exists("open listing job"));
    }
    (new.feed_id, new.shard) = (webhook.feed_id, webhook.shard);
    let mut delivery = delivery_row::delivery(txn, webhook.id)?.ok_or(StoreError::Missing("webhook"))?;
    match new.mode {
        JobMode::Initial => delivery.state.listing = Some(new.id),
        JobMode::Backfill => delivery.state.beside = Some(Beside { job: new.id, held_from: None }),
        JobMode::CatchUp => return Err(StoreError::Conflict(WHAT)),
    }
    delivery_row::keep(txn, webhook.id, delivery.due(), &delivery);
    add(txn, &new)
}

/// Adds a job's row, and forgets the oldest one that is over where there are too many.
pub(super) fn add(txn: &mut Txn<'_>, new: &ListingJob) -> Result<(), StoreError> {
    let jobs = of_webhook(txn, new.webhook_id)?;
    if let Some(oldest) = jobs.iter().rfind(|job| !job.is_open()).filter(|_| jobs.len() >= JOBS_MAX) {
        remove(txn, oldest)?;
    }
    txn.put(Tree::Index, Index::JobOfWebhook.key(&[new.webhook_id.as_bytes(), new.id.as_bytes()]), &[]);
    keep(txn, new)
}

/// A back-fill's turn.
fn claim_turn(txn: &mut Txn<'_>, fence: Fence, id: JobId) -> Result<bool, StoreError> {
    leases::check(txn, fence)?;
    let job = job(txn, id)?.ok_or(StoreError::Missing(WHAT))?;
    let mut delivery = delivery_row::delivery(txn, job.webhook_id)?.ok_or(StoreError::Missing("webhook"))?;
    let state = &mut delivery.state;
    let Some(beside) = state.beside.as_mut().filter(|beside| beside.job == id && job.state == JobState::Running) else {
        return Err(StoreError::Conflict(WHAT));
    };
    if job.spooled() > 0 || state.listing.is_some() {
        return Ok(false);
    }
    if let Some(from) = beside.held_from {
        return Ok(state.position.sequence >= from);
    }
    let end = head::head(txn, job.feed_id)?.ok_or(StoreError::Missing("feed"))?.log.end;
    beside.held_from = Some(end);
    let is_its_turn = state.position.sequence >= end;
    delivery_row::keep(txn, job.webhook_id, delivery.due(), &delivery);
    Ok(is_its_turn)
}

fn remove(txn: &mut Txn<'_>, job: &ListingJob) -> Result<(), StoreError> {
    txn.remove(Tree::Jobs, job.id.as_bytes());
    txn.remove(Tree::Index, Index::JobOfWebhook.key(&[job.webhook_id.as_bytes(), job.id.as_bytes()]));
    txn.remove(Tree::Index, Index::OpenJobOfShard.key(&[&keys::shard(job.shard), job.id.as_bytes()]));
    bury_spool(txn, job);
    Ok(())
}

/// Removes all jobs of a webhook.
pub(super) fn remove_all(txn: &mut Txn<'_>, webhook: WebhookId) -> Result<(), StoreError> {
    of_webhook(txn, webhook)?.iter().try_for_each(|job| remove(txn, job))
}

fn bury_spool(txn: &mut Txn<'_>, job: &ListingJob) {
    if job.spooled() > 0 {
        txn.put(Tree::Graves, Grave::Spool.key(job.id.as_bytes()), &[]);
    }
}

fn commit(txn: &mut Txn<'_>, commit: ListingCommit) -> Result<ListingJob, StoreError> {
    txn.expect(&|| vec![leases::place(commit.fence), (Tree::Jobs, commit.job.as_bytes().to_vec())])?;
    leases::check(txn, commit.fence)?;
    let mut job = job(txn, commit.job)?.ok_or(StoreError::Missing(WHAT))?;
    if job.state != JobState::Running {
        return Err(StoreError::Conflict(WHAT));
    }
    for page in &commit.pages {
        pages::put(txn, Tree::Spool, job.id.as_bytes(), job.spool_end, &page.bytes)?;
        job.spool_end += 1;
        job.pages += 1;
        job.records += u64::from(page.records);
    }
    job.parent = commit.parent;
    job.checkpoint = commit.checkpoint;
    job.state = commit.state;
    job.total = commit.total.or(job.total);
    job.failures = commit.failures;
    job.updated_at = commit.at;
    job.tally = commit.tally;
    if !job.is_open() {
        job.finished_at = Some(commit.at);
        bury_spool(txn, &job);
        deliveries::leave_listing(txn, job.webhook_id, job.id)?;
    } else if job.spooled() == 0 {
        deliveries::let_log_go(txn, job.webhook_id, job.id)?;
    }
    keep(txn, &job)?;
    if commit.requests > 0
        && let Some(webhook) = webhooks::webhook(txn, job.webhook_id)?
    {
        insights::count_requests(txn, &webhook, commit.requests, commit.at)?;
    }
    if let JobState::Failed { .. } = job.state {
        endings::tell_job(txn, &job)?;
    }
    Ok(job)
}

/// What of a job's pages was delivered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    pub(super) position: Position,
    pub(super) is_last: bool,
    pub(super) records: u64,
    pub(super) at: DateTime<Utc>,
}

/// Moves a webhook on in a job's pages, and forgets those it is past. Of a job that is over, nothing is kept: an attempt
/// may end after its job was cancelled. Answers whether it moved, and the job as it is then.
pub(super) fn pass(
    txn: &mut Txn<'_>,
    webhook: WebhookId,
    id: JobId,
    passed: Passed,
) -> Result<Option<(bool, ListingJob)>, StoreError> {
    let Passed { position, is_last, records, at } = passed;
    let Some(mut job) = job(txn, id)?.filter(|job| job.is_open() && job.webhook_id == webhook) else {
        return Ok(None);
    };
    let has_moved = position > job.position;
    if has_moved {
        for sequence in job.position.sequence..position.sequence.min(job.spool_end) {
            pages::remove(txn, Tree::Spool, job.id.as_bytes(), sequence)?;
        }
        job.position = position;
        job.delivered += records;
    }
    job.updated_at = at;
    if is_last || (job.state == JobState::Listed && job.spooled() == 0) {
        bury_spool(txn, &job);
        job.state = JobState::Done;
        job.finished_at = Some(at);
        endings::tell_job(txn, &job)?;
    }
    keep(txn, &job)?;
    Ok(Some((has_moved, job)))
}

/// A page that waits for delivery. Those of a job that is over wait for nothing but the cleaning.
fn spool_page(read: &dyn Read, id: JobId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
    match job(read, id)? {
        Some(job) if job.is_open() && sequence < job.spool_end => {
            pages::get(read, Tree::Spool, id.as_bytes(), sequence)
        }
        _ => Ok(None),
    }
}

/// Ends a job that is open, or that cannot go on.
fn cancel(txn: &mut Txn<'_>, id: JobId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut job = job(txn, id)?.ok_or(StoreError::Missing(WHAT))?;
    if matches!(job.state, JobState::Done | JobState::Cancelled) {
        return Ok(());
    }
    job.state = JobState::Cancelled;
    job.updated_at = now;
    job.finished_at = Some(now);
    bury_spool(txn, &job);
    deliveries::leave_listing(txn, job.webhook_id, id)?;
    keep(txn, &job)
}

#[async_trait]
impl<U: Units> Listings for U {
    async fn insert_job(&self, job: ListingJob) -> Result<(), StoreError> {
        self.write(Domain::Webhook(job.webhook_id), Pace::Now, move |txn| insert(txn, job.clone())).await
    }

    async fn job(&self, id: JobId) -> Result<Option<ListingJob>, StoreError> {
        self.read(|read| job(read, id)).await
    }

    async fn jobs_of_webhook(&self, webhook: WebhookId, limit: usize) -> Result<Vec<ListingJob>, StoreError> {
        let mut jobs = self.read(|read| of_webhook(read, webhook)).await?;
        jobs.truncate(limit);
        Ok(jobs)
    }

    async fn open_jobs(
        &self,
        shard: ShardId,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<ListingJob>, StoreError> {
        self.read(|read| {
            let prefix = Index::OpenJobOfShard.key(&[&keys::shard(shard)]);
            let ids = lists::ids(read, &prefix, after.as_ref().map(|id| &id.as_bytes()[..]), limit)?;
            ids.into_iter().filter_map(|id| job(read, id).transpose()).collect()
        })
        .await
    }

    async fn begin_catch_up(&self, catch_up: CatchUp) -> Result<(), StoreError> {
        self.write(Domain::Shard(catch_up.fence.shard), Pace::Now, move |txn| behind::begin(txn, catch_up.clone()))
            .await
    }

    async fn claim_turn(&self, fence: Fence, id: JobId) -> Result<bool, StoreError> {
        self.write(Domain::Shard(fence.shard), Pace::Page, move |txn| claim_turn(txn, fence, id)).await
    }

    async fn commit_listing(&self, listing: ListingCommit) -> Result<ListingJob, StoreError> {
        self.write(Domain::Shard(listing.fence.shard), Pace::Page, move |txn| commit(txn, listing.clone())).await
    }

    async fn spool_page(&self, job: JobId, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|read| spool_page(read, job, sequence)).await
    }

    async fn cancel_job(&self, id: JobId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write(Domain::Job(id), Pace::Now, move |txn| cancel(txn, id, now)).await
    }
}
