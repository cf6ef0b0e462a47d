//! One page of a run: asked for, read, judged and handed to the store.

use super::budget::Caller;
use super::commits::Commits;
use super::diff::DiffRules;
use super::error::PollError;
use super::rate_headers;
use super::reading::{Pass, Run};
use super::sift::{self, PageForm, Sifted};
use super::sweep::Look;
use super::tally::Tally;
use super::transport::VendorAnswer;
use super::window;
use crate::log::{Found, PageMeta};
use crate::store::{LedgerEntry, PageCommit, Progress};
use anyhook_connectors::contract::{Conditional, CursorKind, Next, Page, PageJob, Parent, Place, Verdict};
use anyhook_connectors::walk::{Step, Walk};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;

/// How long a `Last-Modified` must be past before it tells one answer from the next.
const LAST_MODIFIED_GRANULE: TimeDelta = TimeDelta::seconds(2);

impl Run<'_> {
    /// Asks for one page.
    pub(super) async fn ask(
        &self,
        job: &PageJob<'_>,
        pass: &Pass,
        tally: &mut Tally,
    ) -> Result<VendorAnswer, PollError> {
        let mut request = self.connector.page_request(job)?;
        if let Some((_, condition)) = self.spec.conditional.headers()
            && job.place == Place::Start
            && !pass.window.is_baseline
            && !tally.look.as_ref().is_some_and(Look::must_list)
            && let Some(etag) = &pass.progress.etag
        {
            request = request.header(condition, etag.clone());
        }
        let caller = if pass.window.is_baseline { Caller::baseline(self.feed.id) } else { Caller::poll(self.feed.id) };
        let answer = self.vendors.call_costed(caller, self.connection, &request, &mut tally.cost).await?;
        match answer.verdict {
            Verdict::CursorExpired => Err(PollError::CursorExpired),
            Verdict::NotFound => Err(PollError::permanent(
                "not_found",
                format!(
                    "{} does not know {}{}; check the connection's address, its permissions and the webhook's filters",
                    self.connector.manifest().name,
                    self.spec.raw_object,
                    job.parent.map(|parent| format!(" of {}", parent.id)).unwrap_or_default()
                ),
            )),
            _ => Ok(answer),
        }
    }

    /// Reads it; too many records that cannot be read end the run.
    pub(super) fn read_page<'a>(
        &self,
        job: &PageJob<'_>,
        answer: &'a VendorAnswer,
        tally: &mut Tally,
    ) -> Result<Page<'a>, PollError> {
        if answer.is_unchanged() {
            return Ok(Page { records: Vec::new(), bad: Vec::new(), next: Next::End, cursor: None, total: None });
        }
        let page = self.connector.read_page(job, &answer.response())?;
        tally.listed += page.listed() as u64;
        tally.note_bad(&page.bad);
        let percent = u64::from(self.vendors.context.limits.poll.bad_records_percent_max);
        let is_all_bad = page.records.is_empty() && !page.bad.is_empty();
        if is_all_bad || (tally.listed >= 100 && tally.bad * 100 > tally.listed * percent) {
            return Err(PollError::permanent(
                "unreadable_records",
                format!("{} of {} records could not be read ({})", tally.bad, tally.listed, tally.bad_named.join("; ")),
            ));
        }
        Ok(page)
    }

    /// How far the listing has been read once this page is kept.
    pub(super) fn progress_after(
        &self,
        walk: &Walk,
        page: &Page<'_>,
        answer: &VendorAnswer,
        pass: &Pass,
        server_time: DateTime<Utc>,
        step: Step,
    ) -> Progress {
        let is_end = step == Step::End;
        let moves_by_page = walk.ascends() && pass.window.moves_by_page(self.spec);
        if !is_end && !moves_by_page {
            return pass.progress.clone();
        }
        let mut progress = window::advance(&pass.progress, pass.reached, server_time, &pass.window);
        progress = if is_end && !pass.is_cut_short(walk) {
            Progress { created_from: None, ..progress }
        } else {
            window::broken_off(self.spec, &pass.progress, progress, &pass.window)
        };
        if is_end {
            progress.cursor = page.cursor.clone().or(progress.cursor);
            if !answer.is_unchanged() {
                progress.etag = validator(self.spec.conditional, answer).filter(|_| pass.pages == 1);
            }
        }
        progress
    }

    /// Judges it and starts its commit; one that changes nothing is not kept.
    pub(super) async fn commit(
        &self,
        page: &Page<'_>,
        parent: Option<&Parent>,
        pass: &mut Pass,
        progress: Progress,
        commits: &mut Commits,
        tally: &mut Tally,
    ) -> Result<(), PollError> {
        let forget_before = window::forget_before(self.spec, &progress, self.depth);
        let sifted = self.sift(page, pass, forget_before, commits).await?;
        tally.note_bad(&sifted.bad);
        tally.changes += sifted.changes;
        pass.changes += sifted.changes.total();
        let is_idle = sifted.pages.is_empty() && sifted.ledger.is_empty();
        let is_same = window::is_same(self.spec, &pass.progress, &progress);
        pass.has_moved |= window::is_further(self.spec, &pass.progress, &progress);
        pass.progress = progress;
        if is_idle && is_same {
            return Ok(());
        }
        let commit = PageCommit {
            fence: self.fence,
            feed: self.feed.id,
            feed_revision: self.feed.revision,
            expected_end: commits.end(),
            parent: parent.map(|parent| parent.id.clone()).unwrap_or_default(),
            progress: pass.progress.clone(),
            ledger: sifted.ledger,
            forget_before_ms: forget_before.map(|at| at.timestamp_millis()),
            pages: sifted.pages,
        };
        commits.start(commit).await
    }

    async fn sift(
        &self,
        page: &Page<'_>,
        pass: &Pass,
        forget_before: Option<DateTime<Utc>>,
        commits: &mut Commits,
    ) -> Result<Sifted, PollError> {
        let context = &self.vendors.context;
        let ids: Vec<&str> = page.records.iter().map(|record| record.id.as_ref()).collect();
        let rows = if ids.is_empty() { Vec::new() } else { context.store.ledger(self.feed.id, &ids).await? };
        let held: HashMap<&str, LedgerEntry> =
            ids.into_iter().zip(rows).filter_map(|(id, row)| Some((id, commits.pending(id).or(row)?))).collect();
        // Only a whole listing shows what is back though nothing of it changed.
        let lists_all = self.spec.live.cursor == CursorKind::Nothing;
        let rules = DiffRules {
            server_time: pass.server_time,
            back_after: pass.server_time.filter(|_| lists_all).map(|at| window::back_after(self.spec, at)),
            ..pass.window.rules_after(self.spec, self.depth, &pass.progress)
        };
        let meta = PageMeta {
            found: Found::Virtual,
            made_at: context.clock.now(),
            from: pass.window.from,
            token: pass.progress.cursor.clone(),
            is_last: false,
        };
        let form = PageForm {
            meta,
            keeps_raw: self.feed.settings.keeps_raw,
            bytes_max: context.limits.poll.log_page_bytes_max,
        };
        sift::sift(page, held, self.spec, &rules, forget_before, form)
            .map_err(|error| PollError::permanent("page", format!("a page could not be written: {error}")))
    }
}

/// What tells the vendor which answer is known. A `Last-Modified` has whole seconds: it stands for an answer only once
/// nothing more can change within the one it shows (RFC 9110, section 8.8.2.2), which needs the vendor's own `Date`.
fn validator(conditional: Conditional, answer: &VendorAnswer) -> Option<String> {
    let (name, _) = conditional.headers()?;
    let value = answer.headers.get(name)?;
    if conditional == Conditional::LastModified {
        let modified_at = DateTime::parse_from_rfc2822(value).ok()?;
        let shown_at = rate_headers::date(&answer.headers)?;
        if shown_at.signed_duration_since(modified_at) < LAST_MODIFIED_GRANULE {
            return None;
        }
    }
    Some(value.to_owned())
}
