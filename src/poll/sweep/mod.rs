//! Sweeps: deletions that the vendor tells nobody.
//!
//! Between polls everything is listed once more, a page at a time ([`listing`]); what the ledger holds and no page
//! listed is suspect ([`compare`]); a suspect is told as deleted only where the vendor says that it is gone ([`asking`]).
//! A feed that is listed whole at each run needs no listing of its own: the run's is looked through ([`Look`]).
//!
//! A sweep tells nothing unless each page of it was read. It takes its turns behind the live run, in the same cycle, so
//! that live goes first and a feed has one run at a time.

mod asking;
mod compare;
mod listing;
mod look;
mod plan;
mod seen;

pub use look::Look;

use super::error::PollError;
use super::reading::Run;
use super::tally::Tally;
use crate::store::{Depth, FeedState, StoreError, Sweep, SweepCommit, SweepHealth, SweepPhase};
use anyhook_connectors::walk::Walk;
use chrono::{DateTime, Utc};
use seen::Seen;

/// How often a sweep begins anew because the vendor no longer accepts the token of its next page.
const RESTARTS_MAX: u32 = 3;
/// Failures in a row after which they are told of.
const FAILURES_TOLD: u32 = 5;
/// How often a step is made anew after another part wrote to the feed's log first.
const CONFLICTS_MAX: u32 = 8;

/// A sweep during one cycle of its feed.
struct Sweeping<'a> {
    run: &'a Run<'a>,
    state: &'a FeedState,
    sweep: Sweep,
    /// The walk over a parent, kept between pages so that it notices circles.
    walk: Option<(String, Walk)>,
    /// What was listed, while it is compared.
    seen: Option<Seen>,
    /// True where what was listed is a run's, of which nothing is kept.
    is_look: bool,
    /// How the sweep has ended, once it has.
    health: Option<SweepHealth>,
}

/// What a step adds beside how the sweep stands.
#[derive(Default)]
struct Findings {
    seen: Vec<u64>,
    suspects: Vec<String>,
    forget: Vec<String>,
}

/// Sweeps behind a run that ended well, until the feed's next poll is due. `was_full` says that the ledger held every
/// record before the run.
pub(super) async fn go_on(
    run: &Run<'_>,
    state: &mut FeedState,
    was_full: bool,
    until: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), PollError> {
    let look = tally.look.take();
    let sweep = run.vendors.context.store.sweep(run.feed.id).await?;
    let mut sweeping = Sweeping { run, state, sweep, walk: None, seen: None, is_look: false, health: None };
    if !plan::is_needed(run.spec, &run.feed.settings, &sweeping.sweep) {
        sweeping.abandon().await?;
        state.sweep = SweepHealth::Healthy;
        return Ok(());
    }
    if tally.is_unfinished || !was_full || state.depth < Depth::Full || !sweeping.begin(look) {
        return Ok(());
    }
    let Ok(_slot) = run.vendors.sweeps.try_acquire() else { return Ok(()) };
    let result = sweeping.work(until, tally).await;
    if let Some(health) = sweeping.health {
        state.sweep = since(health, &state.sweep);
    }
    result
}

/// A failure has lasted since the first one in a row.
fn since(health: SweepHealth, before: &SweepHealth) -> SweepHealth {
    match (health, before) {
        (SweepHealth::Failed { code, message, .. }, SweepHealth::Failed { since, .. }) => {
            SweepHealth::Failed { since: *since, code, message }
        }
        (health, _) => health,
    }
}

impl Run<'_> {
    /// What a run over a feed that is listed whole is to be looked through for; none where no sweep is due.
    pub(super) async fn look(&self, state: &FeedState) -> Result<Option<Look>, PollError> {
        if !plan::is_listed_whole(self.spec) || state.depth < Depth::Full {
            return Ok(None);
        }
        let context = &self.vendors.context;
        let sweep = context.store.sweep(self.feed.id).await?;
        let is_needed = plan::is_needed(self.spec, &self.feed.settings, &sweep);
        if !is_needed || sweep.phase == SweepPhase::Asking || !self.is_sweep_due(&sweep) {
            return Ok(None);
        }
        let seen = Seen::new(sweep.compared, context.limits.poll.sweep_seen_max);
        // Some were missing and are not known to be gone, or only a part was compared.
        let must_list = sweep.missing > sweep.gone || sweep.compared > 0;
        Ok(Some(Look::new(seen, must_list)))
    }

    /// Asks for a sweep at once: deletions since the last poll were told by a token that is no longer known.
    pub(super) async fn want_sweep(&self) -> Result<(), PollError> {
        let context = &self.vendors.context;
        let known = context.store.sweep(self.feed.id).await?;
        let sweep = Sweep { generation: known.generation + 1, is_wanted: true, turn: known.turn, ..Sweep::default() };
        let expected_end = context.store.log_head(self.feed.id).await?.end;
        context.store.commit_sweep(self.sweep_commit(sweep, expected_end)).await?;
        Ok(())
    }

    fn is_sweep_due(&self, sweep: &Sweep) -> bool {
        let context = &self.vendors.context;
        let interval_ms = self.feed.settings.interval_ms.unwrap_or_default();
        plan::is_due(sweep, interval_ms, &context.limits.poll, context.clock.now())
    }

    /// A step that changes nothing but how the sweep stands.
    fn sweep_commit(&self, sweep: Sweep, expected_end: u64) -> SweepCommit {
        SweepCommit {
            fence: self.fence,
            feed: self.feed.id,
            feed_revision: self.feed.revision,
            expected_end,
            sweep,
            seen: Vec::new(),
            suspects: Vec::new(),
            ledger: Vec::new(),
            forget: Vec::new(),
            pages: Vec::new(),
        }
    }
}

impl Sweeping<'_> {
    /// Begins a sweep where one is due. True if there is something to do.
    fn begin(&mut self, look: Option<Look>) -> bool {
        let is_whole = plan::is_listed_whole(self.run.spec);
        match (self.sweep.phase, is_whole) {
            (SweepPhase::Asking, _) | (SweepPhase::Listing | SweepPhase::Comparing, false) => true,
            (SweepPhase::Resting, false) => {
                let is_due = self.run.is_sweep_due(&self.sweep);
                if is_due {
                    self.sweep = self.anew(SweepPhase::Listing);
                }
                is_due
            }
            (_, true) => {
                let Some((seen, began_at)) = look.and_then(Look::finish) else { return false };
                let compared = self.sweep.compared;
                self.sweep = Sweep { began_at: Some(began_at), compared, ..self.anew(SweepPhase::Comparing) };
                (self.seen, self.is_look) = (Some(seen), true);
                true
            }
        }
    }

    /// A sweep from its beginning.
    fn anew(&self, phase: SweepPhase) -> Sweep {
        Sweep {
            generation: self.sweep.generation + 1,
            phase,
            is_wanted: self.sweep.is_wanted,
            turn: self.sweep.turn,
            ..Sweep::default()
        }
    }

    /// Steps until the sweep has ended, or something else is to be done first.
    async fn work(&mut self, until: DateTime<Utc>, tally: &mut Tally) -> Result<(), PollError> {
        loop {
            self.run.check_lease()?;
            let before = tally.cost.requests;
            let result = match self.sweep.phase {
                SweepPhase::Listing => self.list(tally).await,
                SweepPhase::Comparing => self.compare(until).await,
                SweepPhase::Asking => self.ask_some(tally).await,
                SweepPhase::Resting => return Ok(()),
            };
            match result {
                Ok(()) => {}
                Err(PollError::CursorExpired) if self.sweep.restarts < RESTARTS_MAX => {
                    let (restarts, requests) = (self.sweep.restarts + 1, self.sweep.requests);
                    let requests = requests + (tally.cost.requests - before);
                    self.sweep = Sweep { restarts, requests, ..self.anew(SweepPhase::Listing) };
                    self.walk = None;
                }
                Err(error) => return self.stop(error, tally).await,
            }
            if self.has_to_wait(until).await? {
                return self.keep_standing().await;
            }
        }
    }

    /// What ends the steps of this cycle; what a person has to know ends the sweep.
    async fn stop(&mut self, error: PollError, tally: &mut Tally) -> Result<(), PollError> {
        match error {
            error @ (PollError::Gone | PollError::Store(_)) => Err(error),
            // The feed has changed, or the budget is used up: it goes on with the next poll.
            PollError::Conflict | PollError::Wait { .. } => self.keep_standing().await,
            PollError::CursorExpired => {
                let message = "the vendor refuses the token of a next page again and again".to_owned();
                self.fail("cursor_expired", message, tally).await
            }
            PollError::Permanent { code, message } => self.fail(code, message, tally).await,
            error @ (PollError::Transient(_) | PollError::Credential { .. }) => {
                tracing::info!(feed = %self.run.feed.id, %error, "a sweep could not go on; it is tried again");
                self.sweep.failures = self.sweep.failures.saturating_add(1);
                if self.sweep.failures >= FAILURES_TOLD {
                    self.tell_failure("sweep_stuck", error.to_string(), tally);
                }
                self.keep_standing().await
            }
        }
    }

    /// True where the next poll is due, or was asked for, or what is found could not be kept.
    async fn has_to_wait(&self, until: DateTime<Utc>) -> Result<bool, PollError> {
        let context = &self.run.vendors.context;
        let is_due = context.clock.now() >= until
            || context.store.pings(self.run.feed.id).await? > self.state.pings_done
            || self.run.is_log_full().await?;
        let connection = context.store.connection(self.run.connection.id).await?;
        Ok(is_due || connection.is_none_or(|connection| connection.is_paused))
    }

    /// Nobody asks for deletions any more.
    async fn abandon(&mut self) -> Result<(), PollError> {
        if self.sweep.phase == SweepPhase::Resting {
            return Ok(());
        }
        self.sweep = Sweep { phase: SweepPhase::Resting, ..self.anew(SweepPhase::Resting) };
        self.keep(Findings::default()).await
    }

    /// The sweep has ended well.
    async fn finish(&mut self) -> Result<(), PollError> {
        let Sweep { live, missing, gone, requests, .. } = self.sweep;
        tracing::debug!(feed = %self.run.feed.id, live, missing, gone, requests, "swept");
        metrics::counter!("anyhook_sweeps_total", "outcome" => "ok").increment(1);
        self.sweep.is_wanted = false;
        self.rest().await?;
        self.health = Some(SweepHealth::Healthy);
        Ok(())
    }

    /// The sweep has ended, and tells nothing more.
    async fn fail(&mut self, code: &'static str, message: String, tally: &mut Tally) -> Result<(), PollError> {
        metrics::counter!("anyhook_sweeps_total", "outcome" => "error").increment(1);
        self.tell_failure(code, message, tally);
        self.rest().await
    }

    fn tell_failure(&mut self, code: &'static str, message: String, tally: &mut Tally) {
        let message = format!("the sweep for deletions failed: {message}");
        tracing::warn!(feed = %self.run.feed.id, connection = %self.run.feed.connection_id, code, "{message}");
        tally.sweep_error = Some(message.clone());
        let since = self.run.vendors.context.clock.now();
        self.health = Some(SweepHealth::Failed { since, code: code.to_owned(), message });
    }

    async fn rest(&mut self) -> Result<(), PollError> {
        self.sweep.phase = SweepPhase::Resting;
        self.sweep.ended_at = Some(self.run.vendors.context.clock.now());
        (self.sweep.checkpoint, self.sweep.scanned) = (None, None);
        self.keep(Findings::default()).await
    }

    /// Keeps how it stands, for the next cycle.
    async fn keep_standing(&mut self) -> Result<(), PollError> {
        let known = self.run.vendors.context.store.sweep(self.run.feed.id).await?;
        if known == self.sweep || self.is_look && self.sweep.phase == SweepPhase::Comparing {
            return Ok(());
        }
        match self.keep(Findings::default()).await {
            // It is made anew from what is kept.
            Err(PollError::Conflict) => Ok(()),
            other => other,
        }
    }

    /// Keeps how it stands with what was found.
    async fn keep(&mut self, findings: Findings) -> Result<(), PollError> {
        let store = &self.run.vendors.context.store;
        for _ in 0..CONFLICTS_MAX {
            let end = store.log_head(self.run.feed.id).await?.end;
            let commit = SweepCommit {
                seen: findings.seen.clone(),
                suspects: findings.suspects.clone(),
                forget: findings.forget.clone(),
                ..self.run.sweep_commit(self.sweep.clone(), end)
            };
            if self.commit(commit).await? {
                return Ok(());
            }
        }
        Err(PollError::Conflict)
    }

    /// Commits a step; false where the log has grown meanwhile.
    async fn commit(&mut self, commit: SweepCommit) -> Result<bool, PollError> {
        match self.run.vendors.context.store.commit_sweep(commit).await {
            Ok((sweep, _)) => {
                self.sweep = sweep;
                Ok(true)
            }
            Err(StoreError::Conflict("log")) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
