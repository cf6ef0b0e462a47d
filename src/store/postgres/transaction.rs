//! How a transaction begins and ends: each is one way to the database and back.

use super::database::{Database, Number};
use super::failure::Failure;
use super::fetching::{self, Found};
use super::layout::{day, home};
use super::pipeline::{self, Request};
use super::{locks, wakes};
use crate::store::Wake;
use crate::store::kv::Domain;
use crate::store::kv::engine::{Batch, Place, Tree, Value};
use deadpool_postgres::Client;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

/// Tells the other nodes: the channel, and what.
const NOTIFY: &str = "SELECT pg_notify($1, text) FROM unnest($2::text[]) AS text";

/// What a part of a beginning is answered.
enum Begun {
    Transaction,
    Locks(usize),
    Number(Number, i32),
    Rows(Found),
}

/// Begins a transaction, locks what its units work on, and then reads the rows at some places. Answers the transaction's
/// number, and the rows.
pub(super) async fn begin(
    client: &Client,
    database: &Database,
    held: &[Domain],
    expected: &[Place],
) -> Result<(Number, Found), Failure> {
    let locks = locks::all(held);
    let begun = async {
        let lock = client.prepare_cached(&database.lock).await?;
        let number = database.prepare_number(client).await?;
        let asked = fetching::prepare(client, &database.statements, expected).await?;
        let locked: [&(dyn ToSql + Sync); 1] = [&locks];
        let mut requests: Vec<Request<'_, Begun>> = vec![
            Box::pin(async { client.batch_execute("BEGIN").await.map(|()| Begun::Transaction) }),
            Box::pin(async { client.query(&lock, &locked).await.map(|rows| Begun::Locks(rows.len())) }),
            Box::pin(async {
                database.number(client, &number).await.map(|(number, from)| Begun::Number(number, from))
            }),
        ];
        for asked in &asked {
            requests.push(Box::pin(async { asked.request(client).await.map(Begun::Rows) }));
        }
        pipeline::send(requests).await
    };
    let (mut count, mut own, mut found) = (0, None, Found::new());
    for part in database.answered(begun).await? {
        match part {
            Begun::Transaction => {}
            Begun::Locks(locked) => count = locked,
            Begun::Number(number, usable_from) => {
                database.check_usable(usable_from)?;
                own = Some(number);
            }
            Begun::Rows(rows) => found.extend(rows),
        }
    }
    match own {
        Some(number) if count == locks.len() => Ok((number, found)),
        _ => Err(Failure::lasting("the database's table of locks is not as it was made")),
    }
}

/// Writes all rows, tells other nodes and commits. All of it is sent at once: where one fails, the commit does nothing.
pub(super) async fn end(client: &Client, database: &Database, batch: Batch, wakes: &[Wake]) -> Result<(), Failure> {
    let ended = async {
        let writes = Box::pin(prepare(client, database, batch)).await?;
        let notes = wakes::encode(&database.endpoint.node, wakes);
        let notify = if notes.is_empty() { None } else { Some(client.prepare_cached(NOTIFY).await?) };
        let told: [&(dyn ToSql + Sync); 2] = [&database.endpoint.channel, &notes];
        let mut requests: Vec<Request<'_, ()>> = Vec::new();
        for (statement, rows) in &writes {
            requests.push(Box::pin(rows.write(client, statement)));
        }
        if let Some(notify) = &notify {
            requests.push(Box::pin(async { client.query(notify, &told).await.map(|_| ()) }));
        }
        requests.push(Box::pin(client.batch_execute("COMMIT")));
        pipeline::send(requests).await
    };
    database.answered(ended).await.map(|_| ())
}

/// The statements that write a batch, prepared, with the rows of each.
async fn prepare(client: &Client, database: &Database, batch: Batch) -> Result<Vec<(Statement, Rows)>, Error> {
    let mut writes = Vec::new();
    for (tree, rows) in Tree::ALL.iter().zip(batch.trees) {
        let (mut put, mut gone) = (Rows::default(), Rows::default());
        for (key, value) in rows {
            if let Some(value) = value { put.add(*tree, key, Some(value)) } else { gone.add(*tree, key, None) }
        }
        let statements = &database.statements[tree.index()];
        for (sql, rows) in [(&statements.remove, gone), (&statements.put, put)] {
            if !rows.keys.is_empty() {
                writes.push((client.prepare_cached(sql).await?, rows));
            }
        }
    }
    Ok(writes)
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

    async fn write(&self, client: &Client, statement: &Statement) -> Result<(), tokio_postgres::Error> {
        let values: Vec<&[u8]> = self.values.iter().map(|value| &**value).collect();
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.homes, &self.keys];
        if !values.is_empty() {
            parameters.push(&values);
        }
        if !self.days.is_empty() {
            parameters.push(&self.days);
        }
        client.execute(statement, &parameters).await.map(|_| ())
    }
}
