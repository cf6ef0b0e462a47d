//! A page of a sweep: what it lists is remembered, and what of it no run can find any more is told.

use super::seen::hashes;
use super::{CONFLICTS_MAX, Sweeping};
use crate::log::{Found, PageMeta};
use crate::poll::budget::Caller;
use crate::poll::error::PollError;
use crate::poll::sift::{self, PageForm, Sifted};
use crate::poll::tally::Tally;
use crate::poll::window;
use crate::store::{Depth, LedgerEntry, Sweep, SweepCommit, SweepPhase};
use anyhook_connectors::contract::{Account, ListingKind, Page, PageJob, Parent, Verdict};
use anyhook_connectors::walk::{Step, Walk};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::time::Duration;

impl Sweeping<'_> {
    /// Lists the next page, and keeps what it comes to.
    pub(super) async fn list(&mut self, tally: &mut Tally) -> Result<(), PollError> {
        let run = self.run;
        let parents = run
            .vendors
            .parents(Caller::sweep(run.feed.id), run.connector, run.spec, run.connection, run.feed, &mut tally.cost)
            .await?;
        let parents = parents.as_deref().map(Vec::as_slice);
        let parent = match parents {
            None => None,
            Some(parents) => match parents.iter().find(|parent| parent.id >= self.sweep.parent) {
                Some(parent) => Some(parent),
                None => return self.end_listing().await,
            },
        };
        let key = parent.map_or("", |parent| parent.id.as_str());
        let mut walk = self.walk_of(key);
        let job = PageJob {
            spec: run.spec,
            kind: ListingKind::History,
            account: Account { meta: &run.connection.profile.meta },
            filters: &run.feed.filters,
            parent,
            updated_gte: walk.updated_gte(),
            cursor: None,
            place: walk.place(),
            limit: walk.limit(),
        };
        let before = tally.cost.requests;
        let answer = run
            .vendors
            .call_costed(
                Caller::sweep(run.feed.id),
                run.connection,
                &run.connector.page_request(&job)?,
                &mut tally.cost,
            )
            .await?;
        match answer.verdict {
            Verdict::CursorExpired => return Err(PollError::CursorExpired),
            Verdict::NotFound => return Err(not_found(run.connector.manifest().name, run.spec.raw_object, key)),
            _ => {}
        }
        let page = run.connector.read_page(&job, &answer.response())?;
        tally.note_bad(&page.bad);
        let Some(seen) = hashes(&page) else {
            let message = "a record without an id cannot be read, and may be any of those that are missing";
            return Err(PollError::permanent("unreadable_records", message));
        };
        let step = walk.step(&page)?;
        let next = self.after(parents, key, &walk, step, tally.cost.requests - before, answer.server_time);
        self.keep_page(page, key, answer.server_time, seen, next, tally).await?;
        self.walk = Some((key.to_owned(), walk));
        if let Step::Wait(wait_ms) = step {
            let wait_ms = wait_ms.min(run.vendors.context.limits.poll.retry_wait_max_ms);
            run.vendors.context.clock.sleep(Duration::from_millis(wait_ms)).await;
        }
        Ok(())
    }

    /// The walk over this parent's listing, from where it stands.
    fn walk_of(&mut self, key: &str) -> Walk {
        let resumes = self.sweep.checkpoint.clone().filter(|_| key == self.sweep.parent);
        let kept =
            self.walk.take().filter(|(parent, walk)| parent == key && Some(walk.checkpoint()) == resumes.as_ref());
        match kept {
            Some((_, walk)) => walk,
            None => Walk::new(self.run.spec, ListingKind::History, None, self.run.spec.page_size, resumes),
        }
    }

    async fn end_listing(&mut self) -> Result<(), PollError> {
        self.sweep.phase = SweepPhase::Comparing;
        (self.sweep.parent, self.sweep.checkpoint) = (String::new(), None);
        self.keep(super::Findings::default()).await
    }

    /// How the sweep stands behind a page.
    fn after(
        &self,
        parents: Option<&[Parent]>,
        key: &str,
        walk: &Walk,
        step: Step,
        requests: u64,
        server_time: DateTime<Utc>,
    ) -> Sweep {
        let mut next = Sweep {
            began_at: self.sweep.began_at.or(Some(server_time)),
            requests: self.sweep.requests + requests,
            failures: 0,
            ..self.sweep.clone()
        };
        (next.parent, next.checkpoint) = (key.to_owned(), Some(walk.checkpoint().clone()));
        if step == Step::End {
            let following = parents.and_then(|parents| parents.iter().find(|parent| parent.id.as_str() > key));
            next.phase = if following.is_some() { SweepPhase::Listing } else { SweepPhase::Comparing };
            (next.parent, next.checkpoint) = (following.map(|parent| parent.id.clone()).unwrap_or_default(), None);
        }
        next
    }

    async fn keep_page(
        &mut self,
        mut page: Page<'_>,
        key: &str,
        server_time: DateTime<Utc>,
        seen: Vec<u64>,
        next: Sweep,
        tally: &mut Tally,
    ) -> Result<(), PollError> {
        let store = &self.run.vendors.context.store;
        let progress = store.progress(self.run.feed.id, key).await?;
        let started_at = self.state.started_at.unwrap_or(server_time);
        let window = window::plan(self.run.spec, self.state, &progress, Depth::Full, started_at);
        // What the next run lists it tells itself; and of a parent that no run has read yet, nothing is news.
        let is_live = |at: DateTime<Utc>| window.from.is_some_and(|from| at >= from);
        page.records.retain(|record| !window.is_baseline && !record.updated_at.is_some_and(is_live));
        for _ in 0..CONFLICTS_MAX {
            let end = store.log_head(self.run.feed.id).await?.end;
            let sifted = self.sift(&page, server_time).await?;
            let changes = sifted.changes;
            let commit = SweepCommit {
                seen: seen.clone(),
                ledger: sifted.ledger,
                pages: sifted.pages,
                ..self.run.sweep_commit(next.clone(), end)
            };
            if self.commit(commit).await? {
                tally.changes += changes;
                return Ok(());
            }
        }
        Err(PollError::Conflict)
    }

    /// Judges records of a sweep.
    pub(super) async fn sift(&self, page: &Page<'_>, server_time: DateTime<Utc>) -> Result<Sifted, PollError> {
        let context = &self.run.vendors.context;
        let ids: Vec<&str> = page.records.iter().map(|record| record.id.as_ref()).collect();
        let rows = context.store.ledger(self.run.feed.id, &ids).await?;
        let held: HashMap<&str, LedgerEntry> =
            ids.into_iter().zip(rows).filter_map(|(id, row)| Some((id, row?))).collect();
        let started_at = self.state.started_at.unwrap_or(server_time);
        let rules = window::rules_of_sweep(self.run.spec, started_at, server_time);
        // From here a webhook that fell behind would have to list to find them.
        let from = page.records.iter().map(|record| record.updated_at).min().flatten();
        sift::sift(page, held, self.run.spec, &rules, None, self.form(from))
            .map_err(|error| PollError::permanent("page", format!("a page could not be written: {error}")))
    }

    /// How pages for the log are made.
    pub(super) fn form(&self, from: Option<DateTime<Utc>>) -> PageForm {
        let context = &self.run.vendors.context;
        let meta = PageMeta { found: Found::Virtual, made_at: context.clock.now(), from, token: None, is_last: false };
        PageForm {
            meta,
            keeps_raw: self.run.feed.settings.keeps_raw,
            bytes_max: context.limits.poll.log_page_bytes_max,
        }
    }
}

fn not_found(vendor: &str, what: &str, parent: &str) -> PollError {
    let of = if parent.is_empty() { String::new() } else { format!(" of {parent}") };
    PollError::permanent("not_found", format!("{vendor} does not know {what}{of}"))
}
