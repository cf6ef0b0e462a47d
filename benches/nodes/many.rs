//! Many webhooks that share connections and feeds: what it takes to make them, to poll them while nothing changes, to
//! start nodes on them, and what a few that change add to that.

use crate::common::client::{Client, get_text};
use crate::common::peers::Peer;
use crate::costs::{BUSY_COUNTS_AFTER, Before, Costs, per};
use crate::database::Database;
use crate::node::Node;
use crate::stored::Stored;
use crate::{receiver, vendor};
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A connection's webhooks: an object type each, and what of it is told. Those of one type share a feed.
const SUBSCRIPTIONS: [(&str, &str); 10] = [
    ("crm_contact", "created"),
    ("crm_contact", "updated"),
    ("crm_contact", "updated"),
    ("crm_contact", "updated"),
    ("crm_company", "created"),
    ("crm_company", "updated"),
    ("crm_deal", "created"),
    ("crm_deal", "updated"),
    ("ticketing_ticket", "created"),
    ("ticketing_ticket", "updated"),
];
/// Feeds that they make.
const FEEDS: u64 = 4;
/// Which of them is triggered.
const TRIGGERED: usize = 0;
/// Polls a second that intervals are chosen for.
const POLLS_PER_SECOND: u64 = 100;
/// Requests at the same time that make connections with their webhooks.
const MAKERS: usize = 8;
/// The same, straight in the store.
const STORERS: usize = 64;
/// Parts of making them that are shown.
const PARTS: u64 = 10;
/// How long each load is watched.
const WATCHED: Duration = Duration::from_secs(60);
/// How often each active connection changes.
const CHANGES_EVERY_S: u64 = 10;
const SHARDS: u64 = 64;

struct World {
    database: Database,
    nodes: Vec<Node>,
    vendor: Peer,
    receiver: Peer,
    interval_ms: u64,
    /// Makes the webhooks, where that is not to be measured.
    stored: Option<Arc<Stored>>,
    /// Of each connection the webhook that is triggered.
    triggers: Vec<String>,
}

/// Measures with as many webhooks, made through the API or straight in the store.
pub(crate) async fn run(webhooks: u64, are_stored: bool) {
    let connections = (webhooks / SUBSCRIPTIONS.len() as u64).max(PARTS);
    let feeds = connections * FEEDS;
    let (vendor, receiver) = (vendor::start(), receiver::start());
    let interval_ms = (feeds * 1_000 / POLLS_PER_SECOND).max(10_000);
    let database = Database::new("many").await;
    let nodes = vec![Node::with(&database, &[])];
    let mut world = World { database, nodes, vendor, receiver, interval_ms, stored: None, triggers: Vec::new() };
    let webhooks = connections * SUBSCRIPTIONS.len() as u64;
    println!("{webhooks} webhooks of {connections} connections, {feeds} feeds polled every {} s", interval_ms / 1_000);
    if are_stored {
        let made = world.connect(connections).await;
        world.stored = Some(Stored::copies_of(&made, &world.database).await);
    }
    world.make(connections).await;
    world.stored = None;
    head();
    world.watch("idle", 0).await;
    world.watch("1 % of connections change", (connections / 100).max(1)).await;

    world.nodes.push(Node::with(&world.database, &[]));
    world.started("a second node joins", SHARDS / 2).await;
    world.watch("idle", 0).await;
    world.watch("1 % of connections change", (connections / 100).max(1)).await;
    // The last node takes nothing with it.
    world.nodes.drain(..).for_each(Node::stop);
    world.nodes.push(Node::with(&world.database, &[]));
    world.started("one node starts on all of it", SHARDS).await;
    world.watch("idle", 0).await;
    let World { nodes, database, .. } = world;
    drop(nodes);
    database.drop().await;
}

/// CPU is in seconds a second, of all nodes or all of the database; memory is the largest node's.
fn head() {
    println!(
        "load                           nodes  wall s  polls/s payload/s node CPU/s node ms/poll   db CPU/s   \
         db ms/poll commits/s WAL KiB/s  RSS MiB  p50 ms  p99 ms database MiB"
    );
}

impl World {
    fn client(&self) -> &Client {
        &self.nodes[0].client
    }

    /// Makes connections with their webhooks, and shows whether the last cost more than the first.
    async fn make(&mut self, connections: u64) {
        println!(
            "{:<14}{:>9}{:>12}{:>21}{:>20}{:>9}{:>13}",
            "webhooks made",
            "wall s",
            "webhooks/s",
            "node CPU ms/webhook",
            "db CPU ms/webhook",
            "RSS MiB",
            "commits each"
        );
        for part in 0..PARTS {
            let numbers = part * connections / PARTS..(part + 1) * connections / PARTS;
            let made = (numbers.end - numbers.start) * SUBSCRIPTIONS.len() as u64;
            let before = Before::now(&self.nodes, &self.database).await;
            self.database.forget_statements().await;
            let few = stream::iter(numbers.clone()).map(|number| self.connect(number));
            let few = few.buffered(if self.stored.is_some() { STORERS } else { MAKERS });
            let triggers: Vec<String> = few.filter_map(async |few| few.into_iter().nth(TRIGGERED)).collect().await;
            self.triggers.extend(triggers);
            let wall = before.elapsed();
            let Costs { nodes_cpu, database, .. } = before.costs(&self.database, BUSY_COUNTS_AFTER).await;
            let count = per(made);
            println!(
                "{:<14}{:>9.1}{:>12.1}{:>21.3}{:>20.3}{:>9}{:>13.2}",
                numbers.end * SUBSCRIPTIONS.len() as u64,
                wall.as_secs_f64(),
                count / wall.as_secs_f64(),
                nodes_cpu * 1_000.0 / count,
                database.cpu * 1_000.0 / count,
                self.nodes[0].resident_mib(),
                per(u64::try_from(database.commits).unwrap_or(0)) / count,
            );
            if part == 0 || part + 1 == PARTS {
                self.database.print_statements().await;
            }
        }
    }

    /// A connection of an account of its own with its webhooks, whose ids are answered.
    async fn connect(&self, number: u64) -> Vec<String> {
        if let Some(stored) = &self.stored {
            let hook = format!("{}/hook/{number}", self.receiver.url);
            return stored.copy(format!("t-{number}"), hook).await;
        }
        let auth = json!({"api_url": self.vendor.url, "token": format!("t-{number}")});
        let body = json!({"integration_type": "sandbox", "auth": auth});
        let connection = self.client().make("/unified/connection", &body).await;
        let mut made = Vec::new();
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        let interval = self.interval_ms as f64 / 60_000.0;
        for (index, (object_type, event)) in SUBSCRIPTIONS.into_iter().enumerate() {
            let body = json!({
                "connection_id": connection, "object_type": object_type, "event": event, "interval": interval,
                "hook_url": format!("{}/hook/{number}-{index}", self.receiver.url), "webhook_type": "virtual",
            });
            made.push(self.client().make("/unified/webhook", &body).await);
        }
        made
    }

    /// Watches for a while what goes on, with so many connections that change.
    async fn watch(&self, load: &str, active: u64) {
        get_text(&format!("{}/ages", self.receiver.url)).await;
        let before = Before::now(&self.nodes, &self.database).await;
        self.database.forget_statements().await;
        let polls = self.client().polls(&self.vendor.url).await;
        let (payloads, _) = self.client().taken(&self.receiver.url).await;
        let mut second = 0;
        while before.elapsed() < WATCHED {
            self.change(second, active).await;
            second += 1;
            tokio::time::sleep((Duration::from_secs(1) * second).saturating_sub(before.elapsed())).await;
        }
        self.show(load, &before, polls, payloads).await;
    }

    /// Changes a part of the connections that change, and has them polled.
    async fn change(&self, second: u32, active: u64) {
        let numbers = (0..active).filter(|number| number % CHANGES_EVERY_S == u64::from(second) % CHANGES_EVERY_S);
        // Spread over all there are.
        let spread = self.triggers.len() as u64 / active.max(1);
        stream::iter(numbers.map(|number| number * spread))
            .for_each_concurrent(MAKERS, async |number| {
                let account = [format!("t-{number}/contacts")];
                let body = json!({"accounts": account, "count": 1, "first_number": second});
                self.client().post(&format!("{}/publish", self.vendor.url), &body).await;
                let trigger = usize::try_from(number).ok().and_then(|number| self.triggers.get(number));
                self.client().trigger(trigger.expect("a webhook")).await;
            })
            .await;
    }

    async fn show(&self, load: &str, before: &Before, polls: u64, payloads: u64) {
        let polls = self.client().polls(&self.vendor.url).await - polls;
        let payloads = self.client().taken(&self.receiver.url).await.0 - payloads;
        let Costs { wall, nodes_cpu, database } = before.costs(&self.database, BUSY_COUNTS_AFTER).await;
        let ages = get_text(&format!("{}/ages", self.receiver.url)).await;
        let ages: Vec<&str> = ages.split(' ').collect();
        let (wall, resident) = (wall.as_secs_f64(), self.nodes.iter().map(Node::resident_mib).max());
        let a_second = |count: i64| per(u64::try_from(count).unwrap_or(0)) / wall;
        println!(
            "{load:<30}{:>6}{wall:>8.1}{:>9.1}{:>10.1}{:>11.3}{:>13.3}{:>11.3}{:>13.3}{:>10.1}{:>10.1}{:>9}{:>8}{:>8}{:>13}",
            self.nodes.len(),
            per(polls) / wall,
            if payloads == 0 { 0.0 } else { per(payloads) / wall },
            nodes_cpu / wall,
            nodes_cpu * 1_000.0 / per(polls),
            database.cpu / wall,
            database.cpu * 1_000.0 / per(polls),
            a_second(database.commits),
            a_second(database.wal_bytes) / 1024.0,
            resident.unwrap_or(0),
            ages.get(1).unwrap_or(&"-"),
            ages.get(2).unwrap_or(&"-"),
            self.database.bytes().await >> 20,
        );
        self.database.print_statements().await;
    }

    /// Waits until the last node has its share, and shows what that and the while after it took.
    async fn started(&self, load: &str, shards: u64) {
        let node = self.nodes.last().expect("a node");
        let serves = node.age();
        let has_shards = node.wait_shards(shards).await;
        println!(
            "{load}: serves after {:.2} s, has its shards after {:.2} s",
            serves.as_secs_f64(),
            has_shards.as_secs_f64()
        );
        self.watch("the minute after that", 0).await;
        println!("the peak of its memory is {} MiB", node.peak_mib());
    }
}
