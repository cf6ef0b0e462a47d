//! A ledger that grows: whether a change costs more the more records are remembered, and what each takes.

use crate::common::client::Client;
use crate::common::peers::Peer;
use crate::costs::{BUSY_COUNTS_AFTER, Before, Costs, per};
use crate::database::Database;
use crate::node::Node;
use crate::{receiver, vendor};
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::ops::Range;
use std::time::Duration;

/// Records that a connection's ledger comes to hold, about.
const RECORDS_EACH: u64 = 10_000;
/// Records that one round gives each connection: a page of the vendor's.
const ROUND: u64 = 500;
/// Requests at the same time.
const MAKERS: usize = 16;
/// Rows that growing is shown in.
const PARTS: u64 = 10;
/// Connections whose changed pages are compared.
const COMPARED: usize = 64;
/// Records that change in each of them.
const CHANGED: u64 = 1_000;
/// How long a part may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(3_600);

struct World {
    database: Database,
    nodes: Vec<Node>,
    vendor: Peer,
    receiver: Peer,
    taken: u64,
}

/// A connection, and the webhook that has its feed polled.
struct Made {
    connection: String,
    webhook: String,
}

/// The collections of connections that were made so.
fn accounts(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// Measures while the ledger grows to as many records.
pub(crate) async fn run(records: u64) {
    let connections = (records / RECORDS_EACH).max(64);
    let (vendor, receiver) = (vendor::start(), receiver::start());
    let database = Database::new("ledger").await;
    let nodes = vec![Node::start(&database)];
    let mut world = World { database, nodes, vendor, receiver, taken: 0 };
    let made = world.connect("c", connections).await;
    println!("a ledger of {records} records of {connections} connections, {ROUND} a page");
    println!(
        "{:<30}{:>11}{:>9}{:>11}{:>16}{:>14}{:>8}{:>10}{:>10}{:>13}{:>9}{:>9}",
        "records in the ledger",
        "changes",
        "wall s",
        "changes/s",
        "node CPU ms/1k",
        "db CPU ms/1k",
        "WAL B",
        "ledger B",
        "log B",
        "database MiB",
        "RSS MiB",
        "peak MiB"
    );
    let rounds = records.div_ceil(connections * ROUND);
    let mut published = 0;
    for part in 0..PARTS {
        let until = (part + 1) * rounds / PARTS;
        if until > published {
            world.grow(&made, published..until).await;
            published = until;
        }
    }
    world.compare(&made, published * ROUND).await;
    let World { nodes, database, .. } = world;
    drop(nodes);
    database.drop().await;
}

impl World {
    fn client(&self) -> &Client {
        &self.nodes[0].client
    }

    /// Makes connections to collections that begin so.
    async fn connect(&self, prefix: &str, connections: u64) -> Vec<Made> {
        let made =
            stream::iter(0..connections).map(|number| self.subscribe(format!("{prefix}-{number}"))).buffered(MAKERS);
        let made: Vec<Made> = made.collect().await;
        for made in &made {
            self.client().wait_polled(&made.webhook).await;
        }
        made
    }

    /// A connection to a collection, with a webhook of new records. Kinto does not say when a record was created, so that
    /// whoever asks for that makes the feed remember all.
    async fn subscribe(&self, account: String) -> Made {
        let meta = json!({"bucket": "b", "collection": account});
        let auth = json!({"api_url": self.vendor.url, "user_id": account, "token": account, "meta": meta});
        let connection = self.client().import("kinto", &auth).await;
        let webhook = self.webhook(&connection, "created").await;
        Made { connection, webhook }
    }

    async fn webhook(&self, connection: &str, event: &str) -> String {
        let body = json!({
            "connection_id": connection, "object_type": "crm_contact", "event": event, "webhook_type": "virtual",
            "hook_url": format!("{}/hook/{connection}", self.receiver.url), "interval": 1_440, "page_max_limit": 100,
        });
        self.client().make("/unified/webhook", &body).await
    }

    async fn publish(&self, accounts: &[String], count: u64, first_number: u64, step: u64) {
        let body = json!({"accounts": accounts, "count": count, "first_number": first_number, "step": step});
        self.client().post(&format!("{}/publish", self.vendor.url), &body).await;
    }

    /// Has feeds polled, and waits until so many more records are delivered.
    async fn poll(&mut self, made: &[Made], records: u64) {
        let client = self.client();
        stream::iter(made).for_each_concurrent(MAKERS, async |made| client.trigger(&made.webhook).await).await;
        let taken = self.taken + records;
        client.wait_taken_for(&self.receiver.url, taken, PATIENCE).await;
        self.taken = taken;
    }

    /// Publishes rounds of new records.
    async fn grow(&mut self, made: &[Made], rounds: Range<u64>) {
        let accounts = accounts("c", made.len());
        let before = Before::now(&self.nodes, &self.database).await;
        self.database.forget_statements().await;
        let each = made.len() as u64 * ROUND;
        let (in_ledger, changes) = (rounds.end * each, (rounds.end - rounds.start) * each);
        for round in rounds {
            // The times of a round are a millisecond apart, and later than those before.
            tokio::time::sleep(Duration::from_millis(ROUND)).await;
            self.publish(&accounts, ROUND, 1 + round * ROUND, 1).await;
            self.poll(made, each).await;
        }
        self.show(&in_ledger.to_string(), in_ledger, changes, &before).await;
    }

    /// What records that change all over a ledger cost, and what as many do that are all there is.
    async fn compare(&mut self, made: &[Made], each: u64) {
        let compared = &made[..COMPARED.min(made.len())];
        let total = compared.len() as u64 * CHANGED;
        for made in compared {
            self.webhook(&made.connection, "updated").await;
        }
        let in_ledger = made.len() as u64 * each;
        let before = self.published("c", compared, (each / CHANGED).max(1)).await;
        self.poll(compared, total).await;
        self.show(&format!("changed all over {each} a feed"), in_ledger, total, &before).await;

        let fresh = self.connect("e", COMPARED as u64).await;
        self.published("e", &fresh, 1).await;
        self.poll(&fresh, total).await;
        for made in &fresh {
            self.webhook(&made.connection, "updated").await;
        }
        let before = self.published("e", &fresh, 1).await;
        self.poll(&fresh, total).await;
        self.show(&format!("changed, {CHANGED} a feed"), in_ledger, total, &before).await;
    }

    /// Publishes records of these collections, and begins to measure.
    async fn published(&self, prefix: &str, made: &[Made], step: u64) -> Before {
        tokio::time::sleep(Duration::from_millis(CHANGED + 1_000)).await;
        self.publish(&accounts(prefix, made.len()), CHANGED, 1, step).await;
        self.database.forget_statements().await;
        Before::now(&self.nodes, &self.database).await
    }

    async fn show(&self, name: &str, in_ledger: u64, changes: u64, before: &Before) {
        let Costs { wall, nodes_cpu, database } = before.costs(&self.database, BUSY_COUNTS_AFTER).await;
        let (ledger, log) = (self.database.table_bytes("ledger").await, self.database.table_bytes("log_pages").await);
        println!(
            "{name:<30}{changes:>11}{:>9.1}{:>11.0}{:>16.1}{:>14.1}{:>8.0}{:>10.1}{:>10.1}{:>13}{:>9}{:>9}",
            wall.as_secs_f64(),
            per(changes) / wall.as_secs_f64(),
            nodes_cpu * 1_000_000.0 / per(changes),
            database.cpu * 1_000_000.0 / per(changes),
            per(u64::try_from(database.wal_bytes).unwrap_or(0)) / per(changes),
            per(ledger) / per(in_ledger),
            per(log) / per(in_ledger),
            self.database.bytes().await >> 20,
            self.nodes[0].resident_mib(),
            self.nodes[0].peak_mib(),
        );
        self.database.print_statements().await;
    }
}
