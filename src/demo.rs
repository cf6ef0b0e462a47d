//! `anyhook demo`: the whole of Anyhook on one machine, to be seen in a quarter of a minute. A simulated vendor, a
//! receiver that verifies what it gets, and the server between them, spoken to over its HTTP API alone.

mod api;
mod compare;
mod receiver;
mod screen;
mod stage;
mod tally;

use crate::clock::Clock;
use crate::server::ServerError;
use compare::Difference;
use screen::Screen;
use stage::Stage;
use std::time::Duration;
use tally::{Hook, Kind};
use thiserror::Error;
use tokio::time::timeout;

/// How long the receiver may go without hearing anything while it still lacks something.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How often the receiver is compared with the vendor once the changes have ended.
const COMPARE_EVERY: Duration = Duration::from_millis(200);

/// What the demo is to show.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Records that the vendor has at first.
    pub records: u32,
    /// How long it goes on changing them, in seconds.
    pub seconds: u64,
    /// Changes a second.
    pub changes_per_second: u32,
    /// Leave everything running at the end.
    pub keep: bool,
}

/// Why the demo came to no end.
#[derive(Debug, Error)]
pub enum DemoError {
    /// Something could not be started.
    #[error("the demo could not start: {0}")]
    Start(#[from] std::io::Error),
    /// The server could not be started, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The API refused a request of the demo's.
    #[error("{method} {path} was answered {answer}")]
    Refused {
        /// The request's method.
        method: &'static str,
        /// Its path.
        path: String,
        /// The answer's status and body, or why there was none.
        answer: String,
    },
    /// Nothing came for too long.
    #[error("nothing arrived for {} s, and {missing} of {total} records are still missing", SILENCE_MAX.as_secs())]
    Silence {
        /// Records still to come.
        missing: usize,
        /// All of them.
        total: usize,
    },
    /// The output went away.
    #[error("the output cannot be written: {0}")]
    Output(std::io::Error),
}

/// Runs the demo; true if everything was verified and nothing was lost. Ends early when `stop` does, and with
/// [`Options::keep`] only then.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<bool, DemoError> {
    let mut stage = Stage::build(options, Clock::system()).await?;
    let result = tokio::select! {
        result = play(&mut stage, options) => result,
        () = stop => Ok(true),
    };
    let ended = stage.clear().await;
    let is_good = result?;
    ended?;
    Ok(is_good)
}

/// The demo from the first line to the last.
async fn play(stage: &mut Stage, options: Options) -> Result<bool, DemoError> {
    let mut screen = Screen::new();
    screen.opening(stage, options)?;
    let connection = stage.api.connect(&stage.vendor_url).await?;
    screen.step("connect", "POST /unified/connection", &format!("a sandbox account, {connection}"))?;
    let updated = stage.api.subscribe(&connection, "updated", &stage.hook_url(Hook::Updated), true).await?;
    screen.step("subscribe", "POST /unified/webhook", &format!("contacts updated, with their history, {updated}"))?;
    let deleted = stage.api.subscribe(&connection, "deleted", &stage.hook_url(Hook::Deleted), false).await?;
    screen.step("subscribe", "POST /unified/webhook", &format!("contacts deleted, {deleted}"))?;
    history(stage, &mut screen).await?;
    changes(stage, &mut screen, options).await?;
    let difference = settle(stage, &mut screen).await?;
    let calls = stage.vendor_calls();
    let is_good = screen.summary(&stage.receiver.tally(), &stage.changes(), calls, &difference)?;
    if options.keep {
        screen.how_to_try(stage, &connection, &updated)?;
        while let Some(arrival) = stage.receiver.next().await {
            screen.change(&arrival)?;
        }
    }
    screen.how_to_go_on()?;
    Ok(is_good)
}

/// Shows the history arriving, page by page, until the vendor's records are all there.
async fn history(stage: &mut Stage, screen: &mut Screen) -> Result<(), DemoError> {
    let total = stage.contacts();
    screen.history_begins(total)?;
    let mut count = 0;
    loop {
        let Ok(Some(arrival)) = timeout(SILENCE_MAX, stage.receiver.next()).await else {
            return Err(DemoError::Silence { missing: total.saturating_sub(count), total });
        };
        if !arrival.is_repeat {
            count += arrival.objects;
        }
        screen.history_page(&arrival, count, total)?;
        if arrival.kind == Kind::InitialComplete {
            return screen.history_ends(count, &stage.receiver.tally());
        }
    }
}

/// Lets the vendor change for a while, and shows what comes of it.
async fn changes(stage: &mut Stage, screen: &mut Screen, options: Options) -> Result<(), DemoError> {
    screen.changes_begin(options)?;
    stage.set_changes_per_second(f64::from(options.changes_per_second));
    let end = tokio::time::Instant::now() + Duration::from_secs(options.seconds);
    while let Ok(Some(arrival)) = tokio::time::timeout_at(end, stage.receiver.next()).await {
        screen.change(&arrival)?;
    }
    stage.set_changes_per_second(0.0);
    Ok(())
}

/// Waits until the receiver holds what the vendor holds, or until nothing more comes.
async fn settle(stage: &mut Stage, screen: &mut Screen) -> Result<Difference, DemoError> {
    let mut quiet = Duration::ZERO;
    loop {
        let vendor = stage.api.vendor_state(&stage.vendor_url).await?;
        let difference = compare::difference(&vendor, &stage.receiver.tally());
        if difference.is_none() || quiet >= SILENCE_MAX {
            return Ok(difference);
        }
        match timeout(COMPARE_EVERY, stage.receiver.next()).await {
            Ok(Some(arrival)) => {
                quiet = Duration::ZERO;
                screen.change(&arrival)?;
            }
            _ => quiet += COMPARE_EVERY,
        }
    }
}
