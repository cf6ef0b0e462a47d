//! Rows as the engines have them, by no code of the program's.

use crate::program::Place;
use std::collections::BTreeMap;
use std::future::Future;

/// Rows of each tree.
pub(crate) type Rows = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

/// Does something in the database that tests share.
pub(crate) fn in_database<T: Send>(work: impl AsyncOnce<T>) -> T {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a database for tests");
    // Whoever drops a place may be within a runtime.
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                work.run(client).await
            })
        });
        running.join().unwrap()
    })
}

/// Work with a connection.
pub(crate) trait AsyncOnce<T>: Send {
    fn run(self, client: tokio_postgres::Client) -> impl Future<Output = T>;
}

impl<T, F: Future<Output = T>, W: FnOnce(tokio_postgres::Client) -> F + Send> AsyncOnce<T> for W {
    fn run(self, client: tokio_postgres::Client) -> impl Future<Output = T> {
        self(client)
    }
}

/// What is to be equal on both sides: all but who works where, and the row of the move itself.
pub(crate) fn rows(place: &Place) -> Rows {
    let mut rows = all_rows(place);
    rows.remove("leases");
    rows.remove("nodes");
    rows.get_mut("meta").unwrap().remove(&b"move"[..]);
    rows.retain(|_, rows| !rows.is_empty());
    rows
}

pub(crate) fn all_rows(place: &Place) -> Rows {
    match &place.schema {
        Some(schema) => in_postgres(schema.0.clone()),
        None => in_sled(place),
    }
}

fn in_sled(place: &Place) -> Rows {
    let database = opened(place);
    let names = database.tree_names().into_iter().map(|name| String::from_utf8(name.to_vec()).unwrap());
    let rows_of = |name: &String| {
        let rows = database.open_tree(name).unwrap().iter().map(Result::unwrap);
        rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    };
    names.map(|name| (name.clone(), rows_of(&name))).collect()
}

/// sled's own view; its lock may outlast a process that was killed for a moment.
pub(crate) fn opened(place: &Place) -> sled::Db {
    let began = std::time::Instant::now();
    loop {
        match sled::Config::new().path(place.sled_path()).open() {
            Ok(database) => return database,
            Err(error) => assert!(began.elapsed() < crate::program::PATIENCE, "{error}"),
        }
        std::thread::yield_now();
    }
}

fn in_postgres(schema: String) -> Rows {
    in_database(|client: tokio_postgres::Client| async move {
        let tables = "SELECT c.table_name::text FROM information_schema.columns c JOIN pg_class p ON p.relname = c.table_name \
                      JOIN pg_namespace n ON n.oid = p.relnamespace AND n.nspname = c.table_schema \
                      WHERE c.table_schema = $1 AND c.column_name = 'k' AND NOT p.relispartition";
        let mut rows = Rows::new();
        for table in client.query(tables, &[&schema]).await.unwrap() {
            let name: String = table.get(0);
            let found = client.query(&format!("SELECT k, v FROM {schema}.{name}"), &[]).await.unwrap();
            let found = found.iter().map(|row| (row.get(0), row.get(1)));
            rows.insert(name, found.collect());
        }
        rows
    })
}

/// Puts rows of every tree into a store that has been started once: keys of the shapes that the trees have, by ids of
/// many homes, and values of sizes from none to a whole page.
pub(crate) fn fill(place: &Place, count: usize) {
    let database = opened(place);
    let mut random = fastrand::Rng::with_seed(7);
    let names = database.tree_names().into_iter().map(|name| String::from_utf8(name.to_vec()).unwrap());
    let kept_apart = ["__sled__default", "meta", "workspaces", "leases", "nodes"];
    let trees: Vec<String> = names.filter(|name| !kept_apart.contains(&&**name)).collect();
    for (number, name) in trees.iter().cycle().take(count).enumerate() {
        let tree = database.open_tree(name).unwrap();
        let mut id = [0; 12];
        random.fill(&mut id);
        let mut time = (1_790_000_000_u64 | 1 << 63).to_be_bytes().to_vec();
        time.extend_from_slice(&[0; 4]);
        let sequence = (number as u64).to_be_bytes();
        let key = match &**name {
            "calls" => [&id[..], &time, &sequence].concat(),
            "index" => [&[2 + (number % 3) as u8][..], &id, &sequence].concat(),
            "call_rings" | "call_counters" | "due" => [&[1][..], &id, &sequence].concat(),
            "log_pages" | "spool" => [&id[..], &sequence, &[0, 0]].concat(),
            _ => [&id[..], &sequence].concat(),
        };
        let mut value = vec![0; if number % 97 == 0 { 60_000 } else { random.usize(..600) }];
        random.fill(&mut value);
        tree.insert(key, value).unwrap();
    }
    database.flush().unwrap();
}
