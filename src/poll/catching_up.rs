//! What a webhook missed while its log was trimmed: listed from its mark on and told as changes, then the deletions that
//! were kept for it.

use super::error::PollError;
use super::listing::{Kept, Listing, unwritable};
use super::sift;
use super::transport::CallCost;
use crate::store::{JobState, ListingJob};
use anyhook_connectors::contract::{Change, CreatedAt, CursorKind, FilterBound, ListingKind, ObjectSpec, Record};
use anyhook_connectors::walk::Checkpoint;
use chrono::{DateTime, Utc};

/// Stands for the parent while deletions are told. No vendor's id begins so.
pub(super) const DELETIONS: &str = "\u{0}deletions";
/// Deletions told in one step.
const DELETIONS_PER_STEP: usize = 200;

/// The listing to catch up by: the history's, in the most stable order there is, where it takes a lower bound; else that
/// of changes, if that does.
pub(super) fn kind(spec: &ObjectSpec) -> ListingKind {
    let history_filters =
        matches!(spec.history.cursor, CursorKind::Updated(FilterBound::Inclusive | FilterBound::Exclusive));
    match spec.live.cursor {
        CursorKind::Updated(_) if !history_filters => ListingKind::Live,
        _ => ListingKind::History,
    }
}

/// What a record that is listed has become since `since`. Where that cannot be known of creations, it may be one.
pub(super) fn change(record: &Record<'_>, spec: &ObjectSpec, since: Option<DateTime<Utc>>) -> Change {
    if record.deleted {
        return Change::Deleted;
    }
    match (spec.created_at, record.created_at, since) {
        (CreatedAt::True, Some(created), Some(since)) if created < since => Change::Updated,
        _ => Change::Created,
    }
}

impl Listing<'_> {
    /// True if only deletions are left to be told.
    pub(super) fn is_at_deletions(&self, job: &ListingJob) -> bool {
        let Some((event, missed)) = self.event.zip(job.missed) else { return false };
        job.parent == DELETIONS || !missed.has_to_be_listed(event, self.spec)
    }

    /// Tells some of the deletions that were kept, less those whose records came back.
    pub(super) async fn tell_deletions(&self, job: &ListingJob, cost: &mut CallCost) -> Result<ListingJob, PollError> {
        let store = &self.vendors.context.store;
        let after = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.token.as_deref());
        let kept = store.kept_deletions(self.feed.id, after, DELETIONS_PER_STEP).await?;
        let ids: Vec<&str> = kept.iter().map(|deletion| deletion.id.as_str()).collect();
        let held = store.ledger(self.feed.id, &ids).await?;
        let first = job.missed.map_or(0, |missed| missed.sequence);
        let mut pages = self.new_pages(job);
        let mut told = 0;
        for (deletion, held) in kept.iter().zip(held) {
            let is_back = held.is_some_and(|entry| !entry.is_deleted);
            if is_back || deletion.sequence < first {
                continue;
            }
            told += 1;
            let object = deletion.object.clone().into_bytes();
            let gone = sift::gone(&deletion.id, object, deletion.raw.as_deref().unwrap_or_default());
            if let Err(error) = pages.push(Change::Deleted, &gone) {
                tracing::warn!(job = %job.id, record = deletion.id, %error, "a deletion could not be kept");
            }
        }
        let is_last = kept.len() < DELETIONS_PER_STEP;
        let token = kept.last().map(|last| last.id.clone());
        let checkpoint = (!is_last).then(|| Checkpoint { token, ..Checkpoint::default() });
        let kept = Kept {
            parent: DELETIONS.to_owned(),
            checkpoint,
            state: if is_last { JobState::Listed } else { JobState::Running },
            pages: pages.finish(is_last).map_err(unwritable)?,
            fresh: told,
            ..Kept::default()
        };
        self.keep(job, kept, cost).await
    }
}
