//! The ledger against what was listed: what it holds and no page had is suspect.

use super::seen::{Seen, hash};
use super::{Findings, Sweeping, plan};
use crate::poll::error::PollError;
use crate::store::{LedgerEntry, Sweep, SweepPhase};
use chrono::{DateTime, Utc};

/// Records of the ledger that are looked at in one go; their suspects make one row.
const PIECE: usize = 500;
/// Pieces between two looks at the clock.
const PIECES_PER_STEP: usize = 200;
/// Rows of what was seen that are read in one go.
const ROWS_PER_READ: usize = 1_000;

impl Sweeping<'_> {
    /// Compares on, as far as memory has room in one pass and time allows.
    pub(super) async fn compare(&mut self, until: DateTime<Utc>) -> Result<(), PollError> {
        let seen = match self.seen.take() {
            Some(seen) => seen,
            None => self.load().await?,
        };
        loop {
            for _ in 0..PIECES_PER_STEP {
                if self.compare_piece(&seen).await? {
                    continue;
                }
                return self.end_pass(&seen).await;
            }
            // What a run has listed is not kept: it is compared to the end.
            if !self.is_look && self.run.vendors.context.clock.now() >= until {
                self.seen = Some(seen);
                return Ok(());
            }
        }
    }

    /// What the pages listed, from where it is compared so far.
    async fn load(&self) -> Result<Seen, PollError> {
        let context = &self.run.vendors.context;
        let mut seen = Seen::new(self.sweep.compared, context.limits.poll.sweep_seen_max);
        let mut first = 0;
        loop {
            let rows = context.store.seen_rows(self.run.feed.id, first, ROWS_PER_READ).await?;
            if rows.is_empty() {
                seen.sort();
                return Ok(seen);
            }
            first += rows.len() as u64;
            rows.iter().for_each(|row| seen.add(row));
            tokio::task::yield_now().await;
        }
    }

    /// Compares a piece of the ledger; false at its end.
    async fn compare_piece(&mut self, seen: &Seen) -> Result<bool, PollError> {
        let context = &self.run.vendors.context;
        let piece = context.store.ledger_after(self.run.feed.id, self.sweep.scanned.as_deref(), PIECE).await?;
        let Some((last, _)) = piece.last() else { return Ok(false) };
        self.sweep.scanned = Some(last.clone());
        let mut findings = Findings::default();
        let now = context.clock.now();
        for (id, entry) in piece {
            let hash = hash(&id);
            if seen.covers(hash) {
                self.judge(id, &entry, seen.holds(hash), now, &mut findings);
            }
        }
        if findings.suspects.is_empty() && findings.forget.is_empty() {
            // The memory's reads never wait, and others want their turn.
            tokio::task::yield_now().await;
        } else {
            self.keep(findings).await?;
        }
        Ok(true)
    }

    fn judge(&mut self, id: String, entry: &LedgerEntry, is_seen: bool, now: DateTime<Utc>, findings: &mut Findings) {
        let began_at = self.sweep.began_at.unwrap_or(now);
        if entry.is_deleted {
            findings.forget.extend((!is_seen && plan::is_forgotten(entry, began_at)).then_some(id));
            return;
        }
        self.sweep.live += 1;
        if !is_seen && !plan::is_touched(entry, self.run.spec, began_at, now) {
            self.sweep.missing += 1;
            findings.suspects.push(id);
        }
    }

    /// The ledger was looked through for one range of hashes.
    async fn end_pass(&mut self, seen: &Seen) -> Result<(), PollError> {
        self.sweep.scanned = None;
        self.sweep.compared = seen.next().unwrap_or(0);
        if !self.is_look && self.sweep.compared > 0 {
            return self.keep(Findings::default()).await;
        }
        let limits = &self.run.vendors.context.limits.poll;
        let Sweep { live, missing, .. } = self.sweep;
        if missing == 0 {
            return self.finish().await;
        }
        if plan::is_too_many(missing, live, limits) {
            if self.run.feed.filters.is_empty() {
                return Err(too_many(missing, live, "are missing from"));
            }
            // They may have left the filter, which only asking tells.
            self.sweep.trial_rows = self.sweep.suspect_rows;
        }
        self.sweep.phase = SweepPhase::Asking;
        self.keep(Findings::default()).await
    }
}

/// A fault of the vendor, or of what the account may see, is likelier than so many deletions.
pub(super) fn too_many(count: u64, live: u64, what: &str) -> PollError {
    PollError::permanent(
        "too_many_missing",
        format!(
            "{count} of {live} known records {what} the vendor's listing, which is more than \
             poll.sweep_missing_percent_max: no more are told as deleted; check what the connection's account may see, \
             or raise the limit if they were deleted"
        ),
    )
}
