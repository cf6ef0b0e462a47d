//! One step of a listing job: a page of history into the job's spool, with where the walk stands.
//!
//! The ledger is not asked and not written: history is told whole, and only the live line writes versions.

use super::budget::Caller;
use super::catching_up::{self, DELETIONS};
use super::cycle::object_spec;
use super::error::PollError;
use super::job_tally as tally;
use super::sift::{PageForm, Pages};
use super::transport::{CallCost, Vendors};
use crate::log::{EncodedPage, Found, PageMeta};
use crate::store::{Connection, Feed, Fence, JobState, ListingCommit, ListingJob};
use anyhook_connectors::contract::{
    Account, Change, Connector, ListingKind, ObjectSpec, Page, PageJob, Parent, Verdict,
};
use anyhook_connectors::walk::{Checkpoint, Step, Walk};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// A job's walk, kept between its steps so that it notices circles and overlaps.
pub struct JobWalk {
    walk: Walk,
    parent: String,
}

/// What stays the same during a job's steps.
pub struct Listing<'a> {
    pub(super) vendors: &'a Vendors,
    connector: &'static dyn Connector,
    pub(super) spec: &'static ObjectSpec,
    connection: &'a Connection,
    pub(super) feed: &'a Feed,
    fence: Fence,
    /// What the webhook wants, where it catches up; none where history is listed.
    pub(super) event: Option<Change>,
}

impl<'a> Listing<'a> {
    /// Of this feed.
    pub fn new(
        vendors: &'a Vendors,
        connection: &'a Connection,
        feed: &'a Feed,
        fence: Fence,
    ) -> Result<Self, PollError> {
        let connector = vendors.connector(connection)?;
        Ok(Listing { vendors, connector, spec: object_spec(connector, feed)?, connection, feed, fence, event: None })
    }

    /// The same for a webhook that catches up with what it missed of these changes.
    #[must_use]
    pub fn catching_up(self, event: Change) -> Self {
        Listing { event: Some(event), ..self }
    }

    /// Which of the vendor's listings is walked.
    fn kind(&self) -> ListingKind {
        self.event.map_or(ListingKind::History, |_| catching_up::kind(self.spec))
    }

    /// The feed's parents, or the parts of its listing; none where it has none.
    pub async fn parents(&self, job: &ListingJob, cost: &mut CallCost) -> Result<Option<Arc<Vec<Parent>>>, PollError> {
        let caller = Caller::job(job.id);
        self.vendors.parents(caller, self.connector, self.spec, self.connection, self.feed, cost).await
    }

    /// Lists the job's next page and keeps it, with what was asked for it and since the page before. Answers the job as
    /// it stands then.
    pub async fn step(
        &self,
        job: &ListingJob,
        parents: Option<&Arc<Vec<Parent>>>,
        kept: &mut Option<JobWalk>,
        cost: &mut CallCost,
    ) -> Result<ListingJob, PollError> {
        if self.is_at_deletions(job) {
            return self.tell_deletions(job, cost).await;
        }
        let parent = match parents {
            None => None,
            Some(parents) => match parents.iter().find(|parent| parent.id >= job.parent) {
                Some(parent) => Some(parent.clone()),
                // No parents, or none left: the history ends here.
                None if self.event == Some(Change::Deleted) => return self.tell_deletions(job, cost).await,
                None => {
                    let pages = self.new_pages(job).finish(true).map_err(unwritable)?;
                    return self.keep(job, Kept { state: JobState::Listed, pages, ..Kept::default() }, cost).await;
                }
            },
        };
        let key = parent.as_ref().map_or("", |parent| parent.id.as_str());
        let resumes = job.checkpoint.clone().filter(|_| key == job.parent);
        let mut walk =
            match kept.take().filter(|kept| kept.parent == key && Some(kept.walk.checkpoint()) == resumes.as_ref()) {
                Some(kept) => kept.walk,
                None => Walk::new(self.spec, self.kind(), job.updated_gte, self.spec.page_size, resumes).remembering(),
            };
        let Listed { pages, step, total, fresh } = self.page(job, parent.as_ref(), &mut walk, cost).await?;
        if let Step::Wait(wait_ms) = step {
            let longest = self.vendors.context.limits.poll.retry_wait_max_ms;
            self.vendors.context.clock.sleep(Duration::from_millis(wait_ms.min(longest))).await;
        }
        let (next_parent, checkpoint) = self.next_place(parents, key, &walk, step);
        // Deletions come at the end.
        let next_parent = match self.event {
            Some(Change::Deleted) => next_parent.or_else(|| Some(DELETIONS.to_owned())),
            _ => next_parent,
        };
        let is_last = next_parent.is_none();
        let state = if is_last { JobState::Listed } else { JobState::Running };
        let pages = pages.finish(is_last).map_err(unwritable)?;
        let moves_on = next_parent.as_ref().is_some_and(|next| next != key);
        let parent = next_parent.unwrap_or_default();
        // Each parent has a total of its own, which tells nothing of the whole.
        let total = job.total.or(total).filter(|_| parents.is_none());
        let stored = self.keep(job, Kept { parent, checkpoint, state, pages, total, fresh, moves_on }, cost).await?;
        *kept = Some(JobWalk { walk, parent: key.to_owned() });
        Ok(stored)
    }

    /// Where the job goes on: none at its end.
    fn next_place(
        &self,
        parents: Option<&Arc<Vec<Parent>>>,
        key: &str,
        walk: &Walk,
        step: Step,
    ) -> (Option<String>, Option<Checkpoint>) {
        if step != Step::End {
            return (Some(key.to_owned()), Some(walk.checkpoint().clone()));
        }
        let next = parents.and_then(|parents| parents.iter().find(|parent| parent.id.as_str() > key));
        (next.map(|parent| parent.id.clone()), None)
    }

    async fn page(
        &self,
        job: &ListingJob,
        parent: Option<&Parent>,
        walk: &mut Walk,
        cost: &mut CallCost,
    ) -> Result<Listed, PollError> {
        let page_job = PageJob {
            spec: self.spec,
            kind: self.kind(),
            account: Account { meta: &self.connection.profile.meta },
            filters: &self.feed.filters,
            parent,
            updated_gte: walk.updated_gte(),
            cursor: None,
            place: walk.place(),
            limit: walk.limit(),
        };
        let request = self.connector.page_request(&page_job)?;
        let answer = self.vendors.call_costed(Caller::job(job.id), self.connection, &request, cost).await?;
        match answer.verdict {
            Verdict::CursorExpired => return Err(PollError::CursorExpired),
            Verdict::NotFound => {
                let message = format!("{} does not know {}", self.connector.manifest().name, self.spec.raw_object);
                return Err(PollError::permanent("not_found", message));
            }
            _ => {}
        }
        let page = self.connector.read_page(&page_job, &answer.response())?;
        if page.records.is_empty() && !page.bad.is_empty() {
            let named: Vec<_> = page.bad.iter().take(5).map(|bad| bad.error.to_string()).collect();
            return Err(PollError::permanent(
                "unreadable_records",
                format!("no record of a page could be read ({})", named.join("; ")),
            ));
        }
        let pages = self.pages(job, &page, walk);
        let fresh = page.listed() - page.records.iter().filter(|record| walk.is_told(record)).count();
        let step = walk.step(&page)?;
        // In the order of `updated_at` nothing of the range comes behind its end.
        let step = if walk.ascends() && is_past(&page, job.updated_lt) { Step::End } else { step };
        Ok(Listed { pages, step, total: page.total, fresh: fresh as u64 })
    }

    /// The page's records within the job's range, less those that pages before have told.
    fn pages(&self, job: &ListingJob, page: &Page<'_>, walk: &Walk) -> Pages {
        let mut pages = self.new_pages(job);
        for record in page.records.iter().filter(|record| !walk.is_told(record)) {
            let is_before = record.updated_at.zip(job.updated_gte).is_some_and(|(at, from)| at < from);
            let is_after = record.updated_at.zip(job.updated_lt).is_some_and(|(at, until)| at >= until);
            if is_before || is_after {
                continue;
            }
            // History tells every record that is there; one that the vendor calls deleted is for those who ask for that.
            let change = match self.event {
                Some(_) => catching_up::change(record, self.spec, job.updated_gte),
                None if record.deleted => Change::Deleted,
                None => Change::Created,
            };
            if let Err(error) = pages.push(change, record) {
                tracing::warn!(job = %job.id, record = %record.id, %error, "a record of the history could not be kept");
            }
        }
        pages
    }

    pub(super) fn new_pages(&self, job: &ListingJob) -> Pages {
        Pages::new(PageForm {
            meta: PageMeta {
                found: if self.event.is_some() { Found::Virtual } else { Found::Listed },
                made_at: self.vendors.context.clock.now(),
                from: job.updated_gte,
                token: None,
                is_last: false,
            },
            keeps_raw: self.feed.settings.keeps_raw,
            bytes_max: self.vendors.context.limits.poll.log_page_bytes_max,
        })
    }

    pub(super) async fn keep(
        &self,
        job: &ListingJob,
        kept: Kept,
        cost: &mut CallCost,
    ) -> Result<ListingJob, PollError> {
        let context = &self.vendors.context;
        let now = context.clock.now();
        let commit = ListingCommit {
            tally: tally::after_page(job, kept.fresh, kept.moves_on, now),
            parent: kept.parent,
            checkpoint: kept.checkpoint,
            state: kept.state,
            pages: kept.pages,
            total: kept.total,
            failures: 0,
            requests: cost.requests,
            ..ListingCommit::of(job, self.fence, now)
        };
        let stored = context.store.commit_listing(commit).await?;
        *cost = CallCost::default();
        Ok(stored)
    }
}

/// What came of asking for a page.
struct Listed {
    pages: Pages,
    step: Step,
    total: Option<u64>,
    /// Records that no page before had listed.
    fresh: u64,
}

/// What is to be kept of a page.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) parent: String,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) state: JobState,
    pub(super) pages: Vec<EncodedPage>,
    pub(super) total: Option<u64>,
    pub(super) fresh: u64,
    /// The next page is another parent's.
    pub(super) moves_on: bool,
}

fn is_past(page: &Page<'_>, end: Option<DateTime<Utc>>) -> bool {
    end.is_some_and(|end| page.records.iter().any(|record| record.updated_at.is_some_and(|at| at >= end)))
}

pub(super) fn unwritable(error: serde_json::Error) -> PollError {
    PollError::permanent("page", format!("a page could not be written: {error}"))
}
