//! How a listing job goes: counted page by page, and what a token that has ended means for it. Pure.

use crate::store::{ListingJob, ListingTally, PaceMark};
use anyhook_connectors::walk::Checkpoint;
use chrono::{DateTime, TimeDelta, Utc};

/// How often a job's pace is marked: it is told from the last one to two of these.
const MARK_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The tally once a page with this many records not listed before is kept. `moves_on` says that the next page is another
/// parent's.
pub fn after_page(job: &ListingJob, fresh: u64, moves_on: bool, now: DateTime<Utc>) -> ListingTally {
    let mut tally = job.tally.clone();
    let last = tally.pace.last().map(|mark| mark.at);
    // A mark of the future was made by a clock that was wrong.
    if last.is_none_or(|at| now - at >= MARK_EVERY || at > now) {
        let since = if last.is_some() { now } else { job.created_at.max(now - MARK_EVERY) };
        tally.pace.push(PaceMark { at: since, seen: tally.seen });
        let surplus = tally.pace.len().saturating_sub(2);
        tally.pace.drain(..surplus);
    }
    tally.seen += fresh;
    tally.listed += fresh;
    if tally.listed > tally.furthest {
        (tally.furthest, tally.restarts) = (tally.listed, 0);
    }
    if moves_on {
        (tally.listed, tally.furthest, tally.restarts) = (0, 0, 0);
    }
    tally
}

/// Where a job goes on after the vendor has refused the token of its next page: by the time of what was listed last,
/// where the listing is in that order; else from its beginning, and what was told is told again then.
pub fn after_expiry(job: &ListingJob) -> (Option<Checkpoint>, ListingTally) {
    let mut tally = job.tally.clone();
    tally.restarts = tally.restarts.saturating_add(1);
    let renewed = job.checkpoint.as_ref().and_then(Checkpoint::without_token);
    if renewed.is_none() {
        tally.listed = 0;
    }
    (renewed, tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{FeedId, JobId, WebhookId};
    use crate::store::{JobMode, JobState, Position, ShardId};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + seconds, 0).unwrap()
    }

    fn job() -> ListingJob {
        ListingJob {
            id: JobId::from_bytes([1; 12]),
            webhook_id: WebhookId::from_bytes([2; 12]),
            feed_id: FeedId::from_bytes([3; 12]),
            shard: ShardId(0),
            mode: JobMode::Backfill,
            state: JobState::Running,
            updated_gte: None,
            updated_lt: None,
            parent: String::new(),
            checkpoint: None,
            pages: 0,
            records: 0,
            total: None,
            spool_end: 0,
            position: Position::default(),
            failures: 0,
            created_at: at(0),
            updated_at: at(0),
            tally: ListingTally::default(),
            delivered: 0,
            finished_at: None,
            missed: None,
        }
    }

    #[test]
    fn the_pace_is_told_from_the_last_one_to_two_minutes() {
        let mut job = job();
        for minute in 0..10 {
            for second in [10, 40] {
                job.tally = after_page(&job, 100, false, at(minute * 60 + second));
            }
        }
        let pace: Vec<_> = job.tally.pace.iter().map(|mark| (mark.at, mark.seen)).collect();
        assert_eq!(pace.len(), 2);
        assert!(pace[0].0 >= at(8 * 60) && pace[1].0 > pace[0].0, "{pace:?}");
        assert_eq!(job.tally.seen, 2_000);
    }

    #[test]
    fn only_coming_further_forgets_restarts() {
        let mut job = job();
        let page = |job: &ListingJob| after_page(job, 100, false, at(1));
        job.tally = page(&job);
        job.tally = page(&job);
        for restarts in 1..=3 {
            job.tally = after_expiry(&job).1;
            assert_eq!((job.tally.restarts, job.tally.listed), (restarts, 0));
            job.tally = page(&job);
            job.tally = page(&job);
            assert_eq!(job.tally.restarts, restarts, "as far as before is no further");
        }
        job.tally = page(&job);
        assert_eq!((job.tally.restarts, job.tally.furthest), (0, 300));
    }

    #[test]
    fn a_listing_by_time_is_taken_up_where_it_was() {
        let mut job = job();
        job.tally = after_page(&job, 100, false, at(1));
        let reached =
            Checkpoint { token: Some("t".into()), reached: Some(at(7)), told: vec![5], ..Checkpoint::default() };
        job.checkpoint = Some(reached);
        let (checkpoint, tally) = after_expiry(&job);
        assert_eq!(checkpoint, Some(Checkpoint { from: Some(at(7)), told: vec![5], ..Checkpoint::default() }));
        assert_eq!((tally.listed, tally.restarts), (100, 1));
    }
}
