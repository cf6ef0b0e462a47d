//! A writer: one thread with one connection that runs units of work in transactions of their own.
//!
//! gather -> lock what the units work on -> run them -> write all rows, tell other nodes, commit -> answer
//!
//! Units of one shard go to one writer, so that they keep their order. A transaction that fails in passing is run again,
//! with a new connection where that broke; whether one whose commit was not answered took place, the database is asked.

use super::database::Number;
use super::failure::{Failure, told};
use super::layout::{day, home};
use super::reading::Reading;
use super::{Database, locks, wakes};
use crate::limits::StoreLimits;
use crate::store::Wake;
use crate::store::kv::Domain;
use crate::store::kv::engine::{Batch, Tree, Value};
use crate::store::kv::inbox::Inbox;
use crate::store::kv::queue::Unit;
use crate::store::kv::txn::Txn;
use deadpool_postgres::Client;
use futures_util::future::try_join_all;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio_postgres::types::ToSql;

/// Rows of one transaction, beyond which no further unit joins it.
const ROWS_MAX: usize = 3_000;
/// Bytes of one transaction, beyond which no further unit joins it.
const BYTES_MAX: usize = 16 << 20;
/// The longest wait between tries.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What became of a transaction.
enum Ended {
    /// This many units are durable.
    Kept { units: usize, wakes: Vec<Wake> },
    /// The unit behind them lacks these domains.
    Lacks(Vec<Domain>),
    /// Whether this many units took place nobody can tell.
    Unknown { units: usize, failure: Failure },
}

/// What of a group goes into one transaction.
struct Ran {
    units: usize,
    lacked: Vec<Domain>,
    batch: Batch,
    wakes: Vec<Wake>,
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
        let mut also: Vec<Domain> = Vec::new();
        let mut units_max = usize::MAX;
        loop {
            match self.transact(group, &also, units_max) {
                Ok(Ended::Kept { units, wakes }) => {
                    // Nobody listens: nobody waits.
                    wakes.into_iter().for_each(|wake| drop(self.wakes.send(wake)));
                    group.drain(..units).for_each(|unit| unit.answer(Ok(())));
                    return;
                }
                Ok(Ended::Lacks(domains)) => also.extend(domains),
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
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
        }
    }

    fn transact(&mut self, group: &mut VecDeque<Unit>, also: &[Domain], units_max: usize) -> Result<Ended, Failure> {
        let client = match self.client.take() {
            Some(client) if self.database.is_current(&client) => client,
            _ => self.handle.block_on(self.database.client())?,
        };
        let client = self.client.insert(client);
        let held: Vec<Domain> = group.iter().map(|unit| unit.domain).chain(also.iter().copied()).collect();
        let number = self.handle.block_on(begin(client, &self.database, &held))?;
        let entered = self.handle.enter();
        let reading = Reading::new(client, &self.database).remembering();
        let Ran { units, lacked, batch, wakes } = run(group, units_max, &reading, &self.limits, &held);
        if let Some(failure) = reading.failure() {
            return Err(failure);
        }
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
            return Ok(Ended::Lacks(lacked));
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

/// Begins a transaction, locks what its units work on, and answers the transaction's number.
async fn begin(client: &Client, database: &Database, held: &[Domain]) -> Result<Number, Failure> {
    let locks = locks::all(held);
    let lock = &database.lock;
    let begun = async {
        let lock = client.prepare_cached(lock).await?;
        // Sent together: they are one round trip.
        let asked: [&(dyn ToSql + Sync); 1] = [&locks];
        let begin = client.batch_execute("BEGIN");
        let (_, rows, (number, usable_from)) =
            tokio::try_join!(begin, client.query(&lock, &asked), database.number(client))?;
        Ok::<_, tokio_postgres::Error>((rows.len(), number, usable_from))
    };
    let (count, number, usable_from) = database.answered(begun).await?;
    database.check_usable(usable_from)?;
    if count == locks.len() {
        return Ok(number);
    }
    Err(Failure::lasting("the database's table of locks is not as it was made"))
}

/// Runs `units_max` units of a group at most, until there is enough for one transaction, or one lacks a domain.
fn run(
    group: &mut VecDeque<Unit>,
    units_max: usize,
    reading: &Reading<'_>,
    limits: &StoreLimits,
    held: &[Domain],
) -> Ran {
    let mut txn = Txn::holding(reading, limits, held);
    let (mut units, mut lacked) = (0, Vec::new());
    for unit in group.iter_mut() {
        if units == units_max || txn.len() >= ROWS_MAX || txn.bytes() >= BYTES_MAX {
            break;
        }
        txn.set_waited(unit.waited());
        unit.run(&mut txn);
        lacked = txn.wanted();
        if !lacked.is_empty() || reading.failure().is_some() {
            break;
        }
        units += 1;
    }
    let (batch, wakes) = txn.finish();
    Ran { units, lacked, batch, wakes }
}

/// Writes all rows, tells other nodes and commits. All of it is sent at once.
pub(super) async fn end(client: &Client, database: &Database, batch: Batch, wakes: &[Wake]) -> Result<(), Failure> {
    let mut writes = Vec::new();
    for (tree, rows) in Tree::ALL.iter().zip(batch.trees) {
        let (mut put, mut gone) = (Rows::default(), Rows::default());
        for (key, value) in rows {
            if let Some(value) = value { put.add(*tree, key, Some(value)) } else { gone.add(*tree, key, None) }
        }
        let statements = &database.statements[tree.index()];
        writes.extend((!gone.keys.is_empty()).then_some((&statements.remove, gone)));
        writes.extend((!put.keys.is_empty()).then_some((&statements.put, put)));
    }
    let notes = wakes::encode(&database.endpoint.node, wakes);
    let ended = async {
        let notify = async {
            let statement = client.prepare_cached("SELECT pg_notify($1, text) FROM unnest($2::text[]) AS text").await?;
            client.query(&statement, &[&database.endpoint.channel, &notes]).await
        };
        let notify = async { if notes.is_empty() { Ok(Vec::new()) } else { notify.await } };
        let writes = try_join_all(writes.iter().map(|(sql, rows)| rows.write(client, sql)));
        tokio::try_join!(writes, notify)?;
        client.batch_execute("COMMIT").await
    };
    database.answered(ended).await
}

/// Rows of one table, as the arrays that a statement takes.
#[derive(Default)]
struct Rows {
    homes: Vec<i16>,
    keys: Vec<Vec<u8>>,
    values: Vec<Value>,
    days: Vec<i32>,
}

impl Rows {
    fn add(&mut self, tree: Tree, key: Vec<u8>, value: Option<Value>) {
        self.homes.push(home(tree, &key).unwrap_or_default());
        self.days.extend(day(tree, &key));
        self.keys.push(key);
        self.values.extend(value);
    }

    async fn write(&self, client: &Client, sql: &str) -> Result<u64, tokio_postgres::Error> {
        let statement = client.prepare_cached(sql).await?;
        let values: Vec<&[u8]> = self.values.iter().map(|value| &**value).collect();
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.homes, &self.keys];
        if !values.is_empty() {
            parameters.push(&values);
        }
        if !self.days.is_empty() {
            parameters.push(&self.days);
        }
        client.execute(&statement, &parameters).await
    }
}
