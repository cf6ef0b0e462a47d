//! The vendor is asked for each suspect: only what it says is gone is told as deleted.

use super::compare::too_many;
use super::seen::hash;
use super::{CONFLICTS_MAX, Findings, Sweeping, plan};
use crate::poll::budget::Caller;
use crate::poll::error::PollError;
use crate::poll::sift::{self, PageForm, Pages};
use crate::poll::tally::Tally;
use crate::poll::transport::VendorAnswer;
use crate::store::{ChangeCounts, LedgerEntry, Sweep, SweepCommit};
use anyhook_connectors::contract::{
    Account, ApiRequest, Change, ConnectorError, Found, GetJob, Next, Page, Parent, Record, Verdict,
};
use chrono::{DateTime, Utc};

/// Suspects asked for in one step.
const GETS_PER_STEP: usize = 16;
/// Parents, or parts of a listing, that are asked for one suspect.
const PARENTS_ASKED_MAX: usize = 16;

/// What the vendor said of a suspect.
enum Answer {
    /// It is gone, at this time of the vendor's clock.
    Gone(DateTime<Utc>),
    /// It is there, or it is not known.
    Kept,
}

/// A record that is gone, and what the ledger held of it when it was asked for.
struct Gone {
    id: String,
    held: LedgerEntry,
    at: DateTime<Utc>,
}

impl Sweeping<'_> {
    /// Asks for some suspects, and tells of those that are gone.
    pub(super) async fn ask_some(&mut self, tally: &mut Tally) -> Result<(), PollError> {
        let context = &self.run.vendors.context;
        let row = context.store.suspect_row(self.run.feed.id, self.sweep.asking_row).await?;
        if row.is_empty() {
            let share = plan::share(self.sweep.missing, context.limits.poll.sweep_gets_max);
            self.sweep.turn = self.sweep.turn.wrapping_add(share).wrapping_add(1);
            return self.finish().await;
        }
        let before = tally.cost.requests;
        let (mut gone, mut next) = (Vec::new(), self.sweep.clone());
        let mut result = Ok(());
        let mut gets = 0;
        for id in row.iter().skip(usize::try_from(next.asked).unwrap_or(usize::MAX)) {
            if gets >= GETS_PER_STEP {
                break;
            }
            if let Some(held) = self.is_asked_for(id).await? {
                gets += 1;
                match self.ask(id, tally).await {
                    Ok(Answer::Gone(at)) => gone.push(Gone { id: id.clone(), held, at }),
                    Ok(Answer::Kept) => {}
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                }
            }
            next.asked += 1;
        }
        if next.asked >= row.len() as u64 {
            (next.asking_row, next.asked) = (next.asking_row + 1, 0);
        }
        next.requests += tally.cost.requests - before;
        next.failures = if gets > 0 && result.is_ok() { 0 } else { next.failures };
        if self.sweep.asking_row < self.sweep.trial_rows {
            self.keep_tried(&gone, next).await?;
        } else {
            self.tell_gone(&gone, next, tally).await?;
        }
        result
    }

    /// Keeps which of those that were asked for on trial are gone: they are asked for again once all have been, unless
    /// they are too many.
    async fn keep_tried(&mut self, gone: &[Gone], next: Sweep) -> Result<(), PollError> {
        self.sweep = Sweep { tried: next.tried + gone.len() as u64, ..next };
        let Sweep { tried, live, .. } = self.sweep;
        if plan::is_too_many(tried, live, &self.run.vendors.context.limits.poll) {
            return Err(too_many(tried, live, "are gone and missing from"));
        }
        let suspects = gone.iter().map(|gone| gone.id.clone()).collect();
        self.keep(Findings { suspects, ..Findings::default() }).await
    }

    /// What the ledger holds of a suspect; none where it is no longer one, or not this sweep's to ask for.
    async fn is_asked_for(&self, id: &str) -> Result<Option<LedgerEntry>, PollError> {
        let context = &self.run.vendors.context;
        let share = plan::share(self.sweep.missing, context.limits.poll.sweep_gets_max);
        if hash(id).wrapping_sub(self.sweep.turn) > share {
            return Ok(None);
        }
        let held = context.store.ledger(self.run.feed.id, &[id]).await?.into_iter().next().flatten();
        let now = context.clock.now();
        let began_at = self.sweep.began_at.unwrap_or(now);
        Ok(held.filter(|held| !held.is_deleted && !plan::is_touched(held, self.run.spec, began_at, now)))
    }

    async fn ask(&mut self, id: &str, tally: &mut Tally) -> Result<Answer, PollError> {
        let run = self.run;
        let parents = run
            .vendors
            .parents(Caller::sweep(run.feed.id), run.connector, run.spec, run.connection, run.feed, &mut tally.cost)
            .await?;
        let asked = self.requests(id, parents.as_deref().map(Vec::as_slice))?;
        let mut gone = None;
        for (parent, request) in asked {
            let answer = match run
                .vendors
                .call_costed(Caller::sweep(run.feed.id), run.connection, &request, &mut tally.cost)
                .await
            {
                Ok(answer) if answer.verdict != Verdict::CursorExpired => answer,
                // A refusal says nothing of the record.
                Ok(_) | Err(PollError::Permanent { .. }) => return Ok(Answer::Kept),
                Err(error) => return Err(error),
            };
            match run.connector.read_record(&self.job(id, parent), &answer.response()) {
                Ok(Found::Gone) => gone = Some(answer.server_time),
                Ok(Found::Record(record)) => {
                    self.tell_found(*record, &answer, tally).await?;
                    return Ok(Answer::Kept);
                }
                Err(ConnectorError::Malformed { .. }) => return Ok(Answer::Kept),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(gone.map_or(Answer::Kept, Answer::Gone))
    }

    fn job<'j>(&'j self, id: &'j str, parent: Option<&'j Parent>) -> GetJob<'j> {
        GetJob {
            spec: self.run.spec,
            account: Account { meta: &self.run.connection.profile.meta },
            filters: &self.run.feed.filters,
            parent,
            id,
        }
    }

    /// The requests that ask for a record: one for each parent, unless they are all the same.
    fn requests<'p>(
        &self,
        id: &str,
        parents: Option<&'p [Parent]>,
    ) -> Result<Vec<(Option<&'p Parent>, ApiRequest)>, PollError> {
        let request = |parent| match self.run.connector.get_request(&self.job(id, parent)) {
            // It is not such an id: nothing can be said of it.
            Err(ConnectorError::Malformed { .. }) => Ok(None),
            other => other.map(Some).map_err(PollError::from),
        };
        let Some(parents) = parents else { return Ok(request(None)?.map(|asked| (None, asked)).into_iter().collect()) };
        let mut asked: Vec<(Option<&'p Parent>, ApiRequest)> = Vec::new();
        for parent in parents.iter().take(PARENTS_ASKED_MAX + 1) {
            let Some(request) = request(Some(parent))? else { return Ok(Vec::new()) };
            if asked.iter().all(|(_, known)| *known != request) {
                asked.push((Some(parent), request));
            }
        }
        if asked.len() > 1 && parents.len() > PARENTS_ASKED_MAX {
            let message = format!(
                "there are {} {}, too many to ask each of them for a record that is missing; name some by a filter",
                parents.len(),
                self.run.spec.parent.map_or("parts", |parent| parent.as_str())
            );
            return Err(PollError::permanent("too_many_parents", message));
        }
        Ok(asked)
    }

    /// A suspect that is there after all: what of it is news is told, unless it may have left the feed's filters.
    async fn tell_found(
        &mut self,
        record: Record<'_>,
        answer: &VendorAnswer,
        tally: &mut Tally,
    ) -> Result<(), PollError> {
        if !self.run.feed.filters.is_empty() && !record.deleted {
            return Ok(());
        }
        let page = Page { records: vec![record], bad: Vec::new(), next: Next::End, cursor: None, total: None };
        for _ in 0..CONFLICTS_MAX {
            let end = self.run.vendors.context.store.log_head(self.run.feed.id).await?.end;
            let sifted = self.sift(&page, answer.server_time).await?;
            if sifted.ledger.is_empty() && sifted.pages.is_empty() {
                return Ok(());
            }
            let changes = sifted.changes;
            let commit = SweepCommit {
                ledger: sifted.ledger,
                pages: sifted.pages,
                ..self.run.sweep_commit(self.sweep.clone(), end)
            };
            if self.commit(commit).await? {
                tally.changes += changes;
                return Ok(());
            }
        }
        Err(PollError::Conflict)
    }

    /// Tells of records that are gone, and keeps how far the asking has come. One that was touched since it was asked for
    /// is told by whoever touched it.
    async fn tell_gone(&mut self, gone: &[Gone], next: Sweep, tally: &mut Tally) -> Result<(), PollError> {
        let store = &self.run.vendors.context.store;
        let ids: Vec<&str> = gone.iter().map(|gone| gone.id.as_str()).collect();
        for _ in 0..CONFLICTS_MAX {
            let end = store.log_head(self.run.feed.id).await?.end;
            let rows = if ids.is_empty() { Vec::new() } else { store.ledger(self.run.feed.id, &ids).await? };
            let told: Vec<&Gone> =
                gone.iter().zip(rows).filter(|(gone, row)| *row == Some(gone.held)).map(|(gone, _)| gone).collect();
            let commit = SweepCommit {
                ledger: told.iter().map(|gone| (gone.id.clone(), tombstone(gone))).collect(),
                pages: deletions(&told, self.form(None))?,
                ..self.run.sweep_commit(Sweep { gone: next.gone + told.len() as u64, ..next.clone() }, end)
            };
            if self.commit(commit).await? {
                tally.changes += ChangeCounts::of(Change::Deleted, told.len() as u64);
                return Ok(());
            }
        }
        Err(PollError::Conflict)
    }
}

/// What the ledger is to hold of a record that is gone: the time of that, so that a replica that lags is older.
fn tombstone(gone: &Gone) -> LedgerEntry {
    LedgerEntry { updated_at_ms: gone.at.timestamp_millis(), is_deleted: true, ..gone.held }
}

/// Of a record that is gone only its id is known.
fn deletions(gone: &[&Gone], form: PageForm) -> Result<Vec<crate::log::EncodedPage>, PollError> {
    let unwritable = |error: String| PollError::permanent("page", format!("a page could not be written: {error}"));
    let mut pages = Pages::new(form);
    for Gone { id, .. } in gone {
        let quoted = serde_json::to_string(id).map_err(|error| unwritable(error.to_string()))?;
        let record = sift::gone(id, format!("{{\"id\":{quoted}}}").into_bytes(), "");
        pages.push(Change::Deleted, &record).map_err(|error| unwritable(error.to_string()))?;
    }
    pages.finish(false).map_err(|error| unwritable(error.to_string()))
}
