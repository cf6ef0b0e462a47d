//! What goes wrong with listing jobs: told where a person looks for it, and what becomes of the job.

use super::error::PollError;
use super::job_tally as tally;
use super::jobs::Jobs;
use super::transport::CallCost;
use crate::ids::JobId;
use crate::store::{ApiCall, CallKind, Connection, Duty, Feed, JobState, ListingCommit, ListingJob};
use chrono::{DateTime, Utc};

/// How often a listing begins anew because the vendor no longer accepts its token, without coming further than before,
/// until it is given up.
const RESTARTS_MAX: u32 = 10;

impl Jobs {
    /// Says what went wrong, once in a row of failures. A token that the vendor no longer accepts is dropped: the listing
    /// goes on without it, or is given up. Log pages that waited for the job's next page need not any more.
    pub(super) async fn note_failure(
        &self,
        id: JobId,
        error: &PollError,
        failures: u32,
        cost: &mut CallCost,
    ) -> Result<(), PollError> {
        let context = &self.vendors.context;
        let job = context.store.job(id).await?.ok_or(PollError::Gone)?;
        let lease = context.leases.lease(Duty::Poll, job.shard).ok_or(PollError::Gone)?;
        let mut commit = ListingCommit { failures, ..ListingCommit::of(&job, lease.fence, context.clock.now()) };
        commit.requests = cost.requests;
        if *error == PollError::CursorExpired {
            (commit.checkpoint, commit.tally) = tally::after_expiry(&job);
        }
        commit.tally.error = Some(error.to_string());
        if commit.tally.restarts > RESTARTS_MAX {
            let message = format!(
                "the vendor refused the token of a next page {RESTARTS_MAX} times at the same place; back-fill less at a time"
            );
            commit.tally.error = Some(message.clone());
            commit.state = JobState::Failed { code: "cursor_expired".to_owned(), message };
        }
        let is_given_up = commit.state != JobState::Running;
        if failures == 1 || is_given_up {
            let told = commit.tally.error.clone().unwrap_or_default();
            tracing::warn!(job = %id, webhook = %job.webhook_id, is_given_up, error = told, "history cannot be listed");
            self.record(&job, told).await?;
        }
        context.store.commit_listing(commit).await?;
        *cost = CallCost::default();
        Ok(())
    }

    /// Lets log pages go that wait for a job's next page, where that has to wait itself.
    pub(super) async fn let_log_go(&self, job: &ListingJob) -> Result<(), PollError> {
        let context = &self.vendors.context;
        let delivery = context.store.delivery(job.webhook_id).await?.ok_or(PollError::Gone)?;
        if delivery.beside.is_none_or(|beside| beside.job != job.id || beside.held_from.is_none()) {
            return Ok(());
        }
        let lease = context.leases.lease(Duty::Poll, job.shard).ok_or(PollError::Gone)?;
        context.store.commit_listing(ListingCommit::of(job, lease.fence, context.clock.now())).await?;
        Ok(())
    }

    async fn record(&self, job: &ListingJob, error: String) -> Result<(), PollError> {
        let context = &self.vendors.context;
        let feed = context.store.feed(job.feed_id).await?.ok_or(PollError::Gone)?;
        let connection = context.store.connection(feed.connection_id).await?.ok_or(PollError::Gone)?;
        context.store.record_call(failed_call(&feed, &connection, job, error, context.clock.now())).await?;
        Ok(())
    }
}

fn failed_call(feed: &Feed, connection: &Connection, job: &ListingJob, error: String, now: DateTime<Utc>) -> ApiCall {
    ApiCall {
        id: String::new(),
        workspace_id: feed.workspace_id,
        connection_id: feed.connection_id,
        feed_id: feed.id,
        webhook_id: Some(job.webhook_id),
        integration: feed.integration.clone(),
        environment: connection.environment.clone(),
        external_xref: connection.external_xref.clone(),
        kind: CallKind::Inbound,
        method: "GET".to_owned(),
        name: format!("{} history", feed.object_type),
        path: connection.profile.api_url.clone().unwrap_or_default(),
        status: 0,
        error: Some(error),
        at: now,
        duration_ms: 0,
        size_bytes: 0,
        records: 0,
        requests: 1,
        count: 1,
        delivery: None,
        next: None,
        attempt: None,
        destination_id: None,
        changes: None,
    }
}
