//! A writer: one thread with one connection that runs units of work in transactions of their own.
//!
//! gather -> lock what the units work on, read what they expect -> run them -> write all rows, tell other nodes, commit
//! -> answer
//!
//! Units of one shard go to one writer, so that they keep their order. A transaction that fails in passing is run again,
//! with a new connection where that broke; whether one whose commit was not answered took place, the database is asked.

use super::Database;
use super::failure::{Failure, told};
use super::reading::Reading;
use super::running::{Ran, Running};
use super::transaction::{begin, end};
use crate::limits::StoreLimits;
use crate::store::Wake;
use crate::store::kv::Domain;
use crate::store::kv::engine::Place;
use crate::store::kv::inbox::Inbox;
use crate::store::kv::queue::Unit;
use deadpool_postgres::Client;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};

/// The longest wait between tries.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What became of a transaction.
enum Ended {
    /// This many units are durable.
    Kept { units: usize, wakes: Vec<Wake> },
    /// The first unit lacks these domains, and has read these rows before it found out.
    Lacks { domains: Vec<Domain>, places: Vec<Place> },
    /// Whether this many units took place nobody can tell.
    Unknown { units: usize, failure: Failure },
}

/// Owns a connection, and the writes of some shards.
pub(super) struct Writer {
    database: Database,
    inbox: Arc<Inbox<Unit>>,
    wakes: broadcast::Sender<Wake>,
    limits: StoreLimits,
    handle: Handle,
    client: Option<Client>,
}

impl Writer {
    pub(super) fn new(
        database: Database,
        inbox: Arc<Inbox<Unit>>,
        wakes: broadcast::Sender<Wake>,
        limits: StoreLimits,
        handle: Handle,
    ) -> Self {
        Writer { database, inbox, wakes, limits, handle, client: None }
    }

    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self) {
        let alarm = Alarm(self.database.failure.clone());
        while let Some(group) = self.inbox.take() {
            let mut group = VecDeque::from(group);
            while !group.is_empty() {
                self.commit(&mut group);
            }
        }
        drop(alarm);
    }

    /// Commits the first units of a group, or gives all of it up once it has been tried for long enough.
    #[allow(clippy::disallowed_methods)] // the thread is the writer's own, and what it waits for keeps no simulated time
    fn commit(&mut self, group: &mut VecDeque<Unit>) {
        let give_up = Instant::now() + Duration::from_millis(self.limits.write_deadline_ms);
        let mut wait = Duration::from_millis(5);
        let (mut also, mut expected) = (Vec::new(), Vec::new());
        let mut units_max = usize::MAX;
        loop {
            match self.transact(group, &also, std::mem::take(&mut expected), units_max) {
                Ok(Ended::Kept { units, wakes }) => {
                    // Nobody listens: nobody waits.
                    wakes.into_iter().for_each(|wake| drop(self.wakes.send(wake)));
                    group.drain(..units).for_each(|unit| unit.answer(Ok(())));
                    return;
                }
                // It most likely reads the same again, and then keeps others out for as long as it takes.
                Ok(Ended::Lacks { domains, places }) => {
                    also.extend(domains);
                    expected = places;
                }
                // Running them again might do twice what they ask for: whoever asked looks for himself.
                Ok(Ended::Unknown { units, failure }) => {
                    self.forget_client();
                    return give_up_on(group, units, failure);
                }
                // One of them asks for what the database refuses: that one alone is answered so.
                Err(failure) if !failure.is_passing && units_max > 1 => {
                    self.forget_client();
                    also.clear();
                    units_max = 1;
                }
                Err(failure) if !failure.is_passing => {
                    self.forget_client();
                    return give_up_on(group, 1, failure);
                }
                Err(failure) => {
                    self.forget_client();
                    if Instant::now() + wait >= give_up {
                        return give_up_on(group, usize::MAX, failure);
                    }
                    tracing::warn!(error = %failure.message, "a transaction failed; it is tried again");
                    // What takes too long together, or waits for too many, comes through in parts.
                    units_max = units_max.min(group.len()).div_ceil(2);
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
        }
    }

    /// Makes one transaction of the first units of a group, which has some domains beside the units' own, and first of all
    /// reads what is expected to be read.
    fn transact(
        &mut self,
        group: &mut VecDeque<Unit>,
        also: &[Domain],
        mut expected: Vec<Place>,
        units_max: usize,
    ) -> Result<Ended, Failure> {
        let client = match self.client.take() {
            Some(client) if self.database.is_current(&client) => client,
            _ => self.handle.block_on(self.database.client())?,
        };
        let client = self.client.insert(client);
        let held: Vec<Domain> =
            group.iter().take(units_max).map(|unit| unit.domain).chain(also.iter().copied()).collect();
        let entered = self.handle.enter();
        let reading = Reading::new(client, &self.database).steady();
        let mut run = Running::new(&reading, &self.limits, &held, units_max.min(group.len()));
        expected.extend(run.survey(group));
        let (number, rows) = self.handle.block_on(begin(client, &self.database, &held, &expected))?;
        reading.learn(expected, rows);
        let Ran { units, lacked, batch, wakes } = run.finish(group);
        if let Some(failure) = reading.failure() {
            return Err(failure);
        }
        let places = if lacked.is_empty() { Vec::new() } else { reading.places() };
        drop(reading);
        drop(entered);
        if batch.len == 0 && wakes.is_empty() {
            let end = client.batch_execute("ROLLBACK");
            self.handle.block_on(self.database.answered(end))?;
        } else if let Err(failure) = self.handle.block_on(end(client, &self.database, batch, &wakes)) {
            let has_committed = match failure.is_passing {
                true => self.handle.block_on(self.database.has_committed(&number)),
                false => Some(false),
            };
            match has_committed {
                Some(true) => tracing::info!(xid = number.xid, "a commit that was not answered had taken place"),
                Some(false) => return Err(failure),
                None => return Ok(Ended::Unknown { units, failure }),
            }
            self.forget_client();
        }
        if units == 0 && !lacked.is_empty() {
            return Ok(Ended::Lacks { domains: lacked, places });
        }
        Ok(Ended::Kept { units, wakes })
    }

    /// Whatever state a connection is in, the next one begins anew, and may reach another server.
    fn forget_client(&mut self) {
        if let Some(client) = self.client.take() {
            drop(deadpool_postgres::Object::take(client));
        }
    }
}

/// Says so if a writer panics: its shards' units would wait for ever.
struct Alarm(watch::Sender<Option<String>>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_replace(Some("a writer of the store has panicked; start again".to_owned()));
        }
    }
}

/// Answers the first units of a group that they could not be done.
fn give_up_on(group: &mut VecDeque<Unit>, units: usize, failure: Failure) {
    let units = units.min(group.len());
    tracing::error!(error = %failure.message, units, "units of work were given up");
    let error = told(failure);
    group.drain(..units).for_each(|unit| unit.answer(Err(error.clone())));
}
