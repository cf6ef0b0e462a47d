//! Rows of several tables, asked for at once.

use super::layout::{day, home};
use super::pipeline::{self, Request};
use super::sql::Statements;
use crate::store::kv::engine::{Place, Tree, Value};
use deadpool_postgres::Client;
use std::collections::BTreeMap;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

/// What is asked of one table.
pub(super) struct Asked {
    tree: Tree,
    statement: Statement,
    homes: Vec<i16>,
    keys: Vec<Vec<u8>>,
    days: Vec<i32>,
}

/// Rows of a table.
pub(super) type Found = Vec<(Place, Value)>;

/// What to ask for these places, its statements prepared.
pub(super) async fn prepare(
    client: &Client,
    statements: &[Statements],
    places: &[Place],
) -> Result<Vec<Asked>, tokio_postgres::Error> {
    let mut trees: BTreeMap<Tree, Vec<&[u8]>> = BTreeMap::new();
    places.iter().for_each(|(tree, key)| trees.entry(*tree).or_default().push(key));
    let mut asked = Vec::new();
    for (tree, keys) in trees {
        let Statements { get, many, .. } = &statements[tree.index()];
        let statement = client.prepare_cached(if keys.len() == 1 { get } else { many }).await?;
        let homes = keys.iter().map(|key| home(tree, key).unwrap_or_default()).collect();
        let days = keys.iter().filter_map(|key| day(tree, key)).collect();
        asked.push(Asked { tree, statement, homes, keys: keys.into_iter().map(<[u8]>::to_vec).collect(), days });
    }
    Ok(asked)
}

impl Asked {
    /// Asks.
    pub(super) fn request<'a>(&'a self, client: &'a Client) -> Request<'a, Found> {
        match (self.keys.as_slice(), self.days.as_slice()) {
            ([key], days) => Box::pin(self.one(client, key, days.first())),
            _ => Box::pin(self.many(client)),
        }
    }

    async fn one(&self, client: &Client, key: &[u8], day: Option<&i32>) -> Result<Found, tokio_postgres::Error> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.homes[0], &key];
        parameters.extend(day.map(|day| day as &(dyn ToSql + Sync)));
        let row = client.query_opt(&self.statement, &parameters).await?;
        let row = row.map(|row| ((self.tree, key.to_vec()), Value::from(row.get::<_, &[u8]>(0))));
        Ok(row.into_iter().collect())
    }

    async fn many(&self, client: &Client) -> Result<Found, tokio_postgres::Error> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.homes, &self.keys];
        if !self.days.is_empty() {
            parameters.push(&self.days);
        }
        let rows = client.query(&self.statement, &parameters).await?;
        Ok(rows.iter().map(|row| ((self.tree, row.get(0)), Value::from(row.get::<_, &[u8]>(1)))).collect())
    }
}

/// Asks for the rows at these places, and waits for them.
pub(super) async fn fetch(
    client: &Client,
    statements: &[Statements],
    places: &[Place],
) -> Result<Found, tokio_postgres::Error> {
    let asked = prepare(client, statements, places).await?;
    let found = pipeline::send(asked.iter().map(|asked| asked.request(client)).collect()).await?;
    Ok(found.into_iter().flatten().collect())
}
