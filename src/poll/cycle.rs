//! One poll of one feed, from its due time to its next: what is read, what it came to, and when to come again.

use super::budget::Caller;
use super::error::PollError;
use super::reading::Run;
use super::settle::{Ended, millis};
use super::sweep;
use super::tally::Tally;
use super::transport::Vendors;
use super::window;
use crate::store::{ApiCall, CallKind, Connection, Depth, Feed, FeedState, Fence, LogHead, PollStart, RunFinish};
use anyhook_connectors::contract::{Connector, ObjectSpec};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How often a feed that only the vendor's own webhooks tell of comes up, where there is nothing to ask.
const PUSHED_LOOKED_AT_EVERY: TimeDelta = TimeDelta::days(1);

/// What a poll came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// It ended, well or not, and its end is kept.
    Done,
    /// The feed began with this poll: jobs that waited for it may start.
    Started,
    /// The feed is gone or another node's: nothing was kept.
    Gone,
}

/// Polls a feed once.
pub async fn poll(vendors: &Vendors, start: PollStart, fence: Fence) -> Result<Polled, PollError> {
    let context = &vendors.context;
    let store = &context.store;
    let began_at = context.clock.now();
    let PollStart { feed, connection, mut state, pings, log } = start;
    let feed = &feed;
    if connection.is_paused || feed.settings.interval_ms.is_none() {
        store.finish_run(RunFinish { fence, feed: feed.id, state, due_at: None, call: None, contact: None }).await?;
        return Ok(Polled::Done);
    }
    let is_asked = pings > state.pings_done;
    state.pings_done = pings;
    if vendors
        .connector(&connection)
        .and_then(|connector| object_spec(connector, feed))
        .is_ok_and(ObjectSpec::is_only_pushed)
    {
        state.started_at.get_or_insert(began_at);
        // Not due at once again, as a healthy feed without a time would be.
        let due_at = Some(began_at + PUSHED_LOOKED_AT_EVERY);
        store.finish_run(RunFinish { fence, feed: feed.id, state, due_at, call: None, contact: None }).await?;
        return Ok(Polled::Done);
    }
    let was_started = state.started_at.is_some();
    let mut tally = Tally::default();
    let result = read(vendors, feed, &connection, log, &mut state, fence, &mut tally).await;
    match result {
        Err(PollError::Gone) => return Ok(Polled::Gone),
        // The feed stays as due as it was, and none of its failures counts this one.
        Err(error @ PollError::Store(_)) => return Err(error),
        _ => {}
    }
    let ended_at = context.clock.now();
    let last_at = state.checked_at.replace(ended_at);
    let (connection, result, tally) = (&connection, &result, &tally);
    let ended = Ended { vendors, feed, connection, result, tally, last_at, began_at, ended_at, is_asked };
    let next = ended.settle(&mut state).await;
    report(feed, result, tally);
    let call = ApiCall { next: next.map(|(_, next)| next), ..call(feed, connection, result, tally, began_at) };
    let has_started = !was_started && state.started_at.is_some();
    let due_at = next.map(|(due_at, _)| due_at);
    let contact = ended.contact();
    store.finish_run(RunFinish { fence, feed: feed.id, state, due_at, call: Some(call), contact }).await?;
    Ok(if has_started { Polled::Started } else { Polled::Done })
}

async fn read(
    vendors: &Vendors,
    feed: &Feed,
    connection: &Connection,
    log: LogHead,
    state: &mut FeedState,
    fence: Fence,
    tally: &mut Tally,
) -> Result<(), PollError> {
    let connector = vendors.connector(connection)?;
    let spec = object_spec(connector, feed)?;
    let began_at = vendors.context.clock.now();
    let depth = window::depth_needed(spec, &feed.settings);
    let run = Run { vendors, connector, spec, connection, feed, depth, fence };
    // A ledger that is not kept whole from here on must be learned anew, also where this run fails.
    state.depth = state.depth.min(depth);
    let was_full = state.depth == Depth::Full;
    tally.look = run.look(state).await?;
    if run.is_full(log) {
        tally.is_held = true;
        return Err(PollError::Wait {
            wait: Duration::from_millis(vendors.context.limits.poll.retry_wait_max_ms),
            message: "the feed's log is full: its webhooks are not being delivered".to_owned(),
        });
    }
    match vendors.parents(Caller::poll(feed.id), connector, spec, connection, feed, &mut tally.cost).await? {
        None => state.started_at = Some(run.read(state, None, tally).await?),
        Some(parents) => {
            let mut failed = None;
            for parent in parents.iter() {
                match run.read(state, Some(parent), tally).await {
                    Ok(started_at) => state.started_at = Some(started_at),
                    // One that fails is set aside while the rest goes on; what concerns all of them ends the run.
                    Err(error @ (PollError::Permanent { .. } | PollError::Transient(_))) => {
                        tracing::warn!(feed = %feed.id, parent = %parent.id, %error, "one parent could not be read");
                        tally.has_failed_parent = true;
                        failed.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }
    if !tally.is_unfinished {
        state.depth = depth;
        // All there is was read, whatever becomes of the sweep.
        tally.has_moved = true;
    }
    let until = began_at + millis(feed.settings.interval_ms.unwrap_or_default());
    sweep::go_on(&run, state, was_full, until, tally).await
}

/// What of an object type the integration can list.
pub fn object_spec(connector: &dyn Connector, feed: &Feed) -> Result<&'static ObjectSpec, PollError> {
    let manifest = connector.manifest();
    manifest.object(feed.object_type).ok_or_else(|| {
        PollError::permanent("unsupported", format!("{} does not list {}", manifest.name, feed.object_type))
    })
}

fn report(feed: &Feed, result: &Result<(), PollError>, tally: &Tally) {
    let outcome = match result {
        Ok(()) => "ok",
        Err(PollError::Wait { .. }) => "wait",
        Err(_) => "error",
    };
    metrics::counter!("anyhook_polls_total", "outcome" => outcome).increment(1);
    metrics::counter!("anyhook_vendor_requests_total").increment(tally.cost.requests);
    metrics::counter!("anyhook_changes_total").increment(tally.changes.total());
    match result {
        Ok(()) if tally.bad > 0 => tracing::warn!(
            feed = %feed.id, connection = %feed.connection_id, bad = tally.bad, records = ?tally.bad_named,
            "some records could not be read"
        ),
        Ok(()) => tracing::debug!(
            feed = %feed.id, changes = tally.changes.total(), requests = tally.cost.requests,
            duration_ms = tally.cost.duration_ms, "polled"
        ),
        Err(PollError::Wait { wait, message }) => {
            tracing::info!(feed = %feed.id, connection = %feed.connection_id, wait_ms = wait.as_millis(), "{message}");
        }
        Err(PollError::Conflict | PollError::Gone) => {}
        Err(error) => tracing::warn!(
            feed = %feed.id, connection = %feed.connection_id, integration = %feed.integration,
            object_type = %feed.object_type, %error, "a poll failed"
        ),
    }
}

fn call(
    feed: &Feed,
    connection: &Connection,
    result: &Result<(), PollError>,
    tally: &Tally,
    began_at: DateTime<Utc>,
) -> ApiCall {
    let unreadable =
        (tally.bad > 0).then(|| format!("{} records could not be read: {}", tally.bad, tally.bad_named.join("; ")));
    ApiCall {
        id: String::new(),
        workspace_id: feed.workspace_id,
        connection_id: feed.connection_id,
        feed_id: feed.id,
        webhook_id: None,
        integration: feed.integration.clone(),
        environment: connection.environment.clone(),
        external_xref: connection.external_xref.clone(),
        kind: CallKind::Inbound,
        method: "GET".to_owned(),
        name: feed.object_type.as_str().to_owned(),
        path: connection.profile.api_url.clone().unwrap_or_default(),
        status: tally.cost.status,
        error: result.as_ref().err().map(ToString::to_string).or_else(|| tally.sweep_error.clone()).or(unreadable),
        at: began_at,
        duration_ms: tally.cost.duration_ms,
        size_bytes: tally.cost.bytes,
        records: tally.changes.total(),
        requests: tally.cost.requests,
        count: 1,
        delivery: None,
        next: None,
        attempt: None,
        destination_id: None,
        changes: Some(tally.changes),
    }
}
