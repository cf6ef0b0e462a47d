//! The left half: polls vendors, finds what changed, writes it to the log.
//!
//! [`scheduler`] starts a [`cycle`] when a feed is due; a cycle does one [`reading`] for the feed or for each of its
//! parents; a reading asks through [`transport`], judges by [`diff`] and commits. Behind it a [`sweep`] goes on, where
//! deletions are to be told that the vendor tells nobody. [`jobs`] lists histories beside that.
//! [`window`], [`diff`] and [`sift`] are pure: they hold the rules.

pub mod budget;
mod catching_up;
pub mod commits;
pub mod cycle;
pub mod diff;
pub mod error;
pub mod job_tally;
pub mod jobs;
pub mod listing;
pub mod load;
mod mishaps;
pub mod oauth;
pub mod pace;
mod page;
pub mod parents;
pub mod rate_headers;
pub mod reading;
mod refresh;
pub mod scheduler;
mod settle;
pub mod sift;
pub mod sign_in;
mod spending;
pub mod sweep;
pub mod tally;
pub mod transport;
pub mod window;

use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use transport::Vendors;

/// Feeds that began and whose jobs were not told yet.
const STARTED_QUEUE_MAX: usize = 1_024;

/// Polls and lists until told to stop.
pub async fn run(vendors: Arc<Vendors>, stop: CancellationToken) {
    let (started, begun) = tokio::sync::mpsc::channel(STARTED_QUEUE_MAX);
    let scheduler = scheduler::Scheduler::new(vendors.clone(), started);
    let jobs = jobs::Jobs::new(vendors, stop.clone());
    tokio::join!(scheduler.run(stop), jobs.run(begun));
}
