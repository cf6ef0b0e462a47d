//! What a run's end means for its feed: its health, how far it counts as stuck, and when to come again.

use super::error::PollError;
use super::load::Wish;
use super::pace::{Bounds, Seen};
use super::tally::Tally;
use super::transport::Vendors;
use crate::store::{Connection, Contact, Feed, FeedHealth, FeedState, NextRun, NextWhy};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// The code of a feed that comes no further.
const STUCK: &str = "stuck";
/// How long a connection's last good contact may be old before it is written again: not at every poll.
const HEALTHY_NOTED_EVERY: TimeDelta = TimeDelta::hours(1);

/// A run that has ended.
pub(super) struct Ended<'a> {
    pub(super) vendors: &'a Vendors,
    pub(super) feed: &'a Feed,
    pub(super) connection: &'a Connection,
    pub(super) result: &'a Result<(), PollError>,
    pub(super) tally: &'a Tally,
    /// When the run before ended, if there was one.
    pub(super) last_at: Option<DateTime<Utc>>,
    pub(super) began_at: DateTime<Utc>,
    pub(super) ended_at: DateTime<Utc>,
    /// True if someone had asked for this run.
    pub(super) is_asked: bool,
}

impl Ended<'_> {
    /// Puts the result into the feed's state, and says when to poll next and why then; none while nothing is polled.
    pub(super) async fn settle(&self, state: &mut FeedState) -> Option<(DateTime<Utc>, NextRun)> {
        let bounds = Bounds::of(&self.feed.settings)?;
        let wait = millis(bounds.current(state.wait_ms));
        let failure_wait = millis(self.vendors.context.limits.poll.failure_wait_max_ms);
        let (due_at, why) = match self.result {
            Ok(()) if self.tally.is_unfinished && !self.tally.has_moved => {
                self.no_progress(state, "a run read as much as one may, and the next one would read the same");
                (self.later(state, wait), NextWhy::Failed)
            }
            Ok(()) => self.went_well(state, bounds).await,
            Err(PollError::Conflict | PollError::Gone | PollError::Store(_)) => (self.ended_at, NextWhy::Unfinished),
            Err(error @ PollError::Wait { wait: asked, .. }) => {
                if !self.tally.is_held {
                    self.no_progress(state, &error.to_string());
                }
                (self.after_pause(*asked), NextWhy::Paused)
            }
            // A vendor that refuses every cursor must not be asked without a pause.
            Err(error @ (PollError::Transient(_) | PollError::CursorExpired)) => {
                self.no_progress(state, &error.to_string());
                (self.later(state, wait), NextWhy::Failed)
            }
            Err(PollError::Permanent { code, message }) => {
                self.mark_unhealthy(state, code, message, false);
                (self.ended_at + wait.max(failure_wait), NextWhy::Failed)
            }
            Err(PollError::Credential { code, message }) => {
                self.mark_unhealthy(state, code, message, true);
                (self.ended_at + wait.max(failure_wait), NextWhy::Failed)
            }
        };
        let in_ms = u64::try_from((due_at - self.ended_at).num_milliseconds()).unwrap_or_default();
        Some((due_at, NextRun { in_ms, why }))
    }

    /// What the run says of the connection's credentials; none where nothing is to be noted.
    pub(super) fn contact(&self) -> Option<Contact> {
        let connection = self.connection;
        match self.result {
            Err(error @ PollError::Credential { code, .. }) => {
                Some(Contact::Refused { code: code.clone(), message: error.to_string() })
            }
            Ok(()) => {
                let is_new = connection.last_unhealthy_at.is_some()
                    || connection.last_healthy_at.is_none_or(|at| self.ended_at - at > HEALTHY_NOTED_EVERY);
                is_new.then_some(Contact::Accepted)
            }
            Err(_) => None,
        }
    }

    async fn went_well(&self, state: &mut FeedState, bounds: Bounds) -> (DateTime<Utc>, NextWhy) {
        state.failures = 0;
        state.health = FeedHealth::Healthy;
        self.progress(state);
        let since = self.last_at.map_or(0, |last_at| (self.began_at - last_at).num_milliseconds().max(0));
        let seen = Seen {
            changes: self.tally.changes.total(),
            since_ms: u64::try_from(since).unwrap_or_default(),
            is_asked: self.is_asked,
        };
        let (wanted, why) = bounds.next(state.pace_ms.or(state.wait_ms), seen);
        let wish = Wish { requests: self.tally.cost.requests.max(1), wait_ms: wanted, is_fixed: bounds.is_fixed() };
        let wait = bounds.slowed(wanted, self.vendors.demand(self.connection, self.feed.id, wish).await);
        state.wait_ms = Some(wait);
        state.pace_ms = Some(wanted).filter(|wanted| *wanted < wait);
        if self.tally.is_unfinished {
            return (self.ended_at, NextWhy::Unfinished);
        }
        let context = &self.vendors.context;
        let spread = wait * context.limits.poll.jitter_percent / 100;
        let next = self.began_at + millis(wait) - millis(spread / 2) + millis(context.random.up_to(spread));
        (next.max(self.ended_at), if wait > wanted { NextWhy::Budget } else { why })
    }

    fn progress(&self, state: &mut FeedState) {
        state.stuck_runs = 0;
        state.progress_at = Some(self.ended_at);
    }

    /// A run that did not read to the end. Where it came further than the one before, that is progress; else it is
    /// counted, and reported once there were too many for too long.
    fn no_progress(&self, state: &mut FeedState, message: &str) {
        let is_stuck = matches!(&state.health, FeedHealth::Unhealthy { code, .. } if code == STUCK);
        if self.tally.has_moved && !self.tally.has_failed_parent {
            self.progress(state);
            if is_stuck {
                state.health = FeedHealth::Healthy;
            }
            return;
        }
        let limits = &self.vendors.context.limits.poll;
        let since = *state.progress_at.get_or_insert(self.began_at);
        state.stuck_runs = state.stuck_runs.saturating_add(1);
        let is_long = self.ended_at - since >= millis(limits.stuck_after_ms);
        let is_reported = matches!(state.health, FeedHealth::Unhealthy { .. }) && !is_stuck;
        if state.stuck_runs >= limits.stuck_runs_max && is_long && !is_reported {
            let message = format!(
                "no progress in {} runs, since {}; it is tried again all the same. The last run: {message}",
                state.stuck_runs,
                since.format("%Y-%m-%d %H:%M UTC")
            );
            self.set_unhealthy(state, STUCK, &message, false);
        }
    }

    fn mark_unhealthy(&self, state: &mut FeedState, code: &str, message: &str, is_credential: bool) {
        state.failures = state.failures.saturating_add(1);
        self.set_unhealthy(state, code, message, is_credential);
    }

    fn set_unhealthy(&self, state: &mut FeedState, code: &str, message: &str, is_credential: bool) {
        let since = match &state.health {
            FeedHealth::Unhealthy { since, .. } => *since,
            FeedHealth::Healthy | FeedHealth::Retrying { .. } => self.ended_at,
        };
        state.health =
            FeedHealth::Unhealthy { since, code: code.to_owned(), message: message.to_owned(), is_credential };
    }

    /// After a pause that was asked for. Not an interval later: this poll is still owed.
    fn after_pause(&self, asked: Duration) -> DateTime<Utc> {
        let context = &self.vendors.context;
        let asked = TimeDelta::from_std(asked).unwrap_or(TimeDelta::days(1));
        let jitter = millis(context.random.up_to(context.limits.poll.retry_base_ms));
        self.ended_at + asked + jitter
    }

    /// After one more failure in a row: each doubles the wait, with full jitter.
    fn later(&self, state: &mut FeedState, wait: TimeDelta) -> DateTime<Utc> {
        let (limits, random) = (&self.vendors.context.limits.poll, &self.vendors.context.random);
        state.failures = state.failures.saturating_add(1);
        let doubled = limits.retry_base_ms.saturating_mul(2 << state.failures.min(20)).min(limits.failure_wait_max_ms);
        let backoff = millis(random.up_to(doubled)).max(millis(limits.retry_base_ms));
        (self.ended_at + backoff).max(self.began_at + wait)
    }
}

/// Milliseconds as a time that can be added.
pub(super) fn millis(ms: u64) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX / 1024))
}
