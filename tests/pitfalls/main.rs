//! The ways in which polling by a cursor loses, repeats or makes up records, each withstood: docs/polling-pitfalls.md has
//! them in a table. A test is named after its pitfall's number there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers stand outside of #[test]

#[path = "../support/mod.rs"]
mod support;

mod budgets;
mod cost;
mod credentials;
mod cursors;
mod histories;
mod late;
mod paging;
mod runs;
mod versions;
mod zones;

use anyhook::simulator::{Fault, FaultRule};
use anyhook::store::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::{Setup, Subscription, World};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A world whose one webhook, `a`, has begun to listen to contacts.
async fn listening_to(setup: Setup, vendor: &str) -> (World, Connection, Webhook) {
    listening_under(setup, vendor, Vec::new()).await
}

/// The same, while something goes wrong.
async fn listening_under(setup: Setup, vendor: &str, faults: Vec<FaultRule>) -> (World, Connection, Webhook) {
    let world = World::new(setup).await;
    world.faults(faults);
    let connection = world.connect_to(vendor, "sandbox").await;
    let webhook = world.subscribe(&connection, Subscription::new("a")).await;
    world.run_for(10 * SECOND).await;
    (world, connection, webhook)
}

/// What goes wrong when contacts are asked for, so many times.
fn contacts(fault: Fault, times: u32) -> FaultRule {
    FaultRule { path: "/v1/contacts".to_owned(), ..FaultRule::next(fault, times) }
}

/// Polls now, not at the end of the interval.
async fn poll_now(world: &World, webhook: &Webhook) {
    world.disk.store.ping_feed(webhook.feed_id, world.clock.now()).await.unwrap();
}

fn set(ids: &[String]) -> BTreeSet<&str> {
    ids.iter().map(String::as_str).collect()
}

/// Fails unless exactly these records were told to `a` as changes, each once.
fn assert_told_once(world: &World, ids: &[String], what: &str) {
    let told = world.ids("a", "VIRTUAL");
    let (is, should) = (set(&told), set(ids));
    let missing: Vec<_> = should.difference(&is).take(5).collect();
    let made_up: Vec<_> = is.difference(&should).take(5).collect();
    assert!(missing.is_empty() && made_up.is_empty(), "{what}: missing {missing:?}, made up {made_up:?}");
    assert_eq!(told.len(), ids.len(), "{what}: each once");
}

/// What a receiver holds that keeps the last of everything it was told: id to title.
fn held_by(world: &World, to: &str) -> BTreeMap<String, String> {
    let objects = world.got(to).into_iter().filter(|payload| payload.is_accepted).flat_map(|payload| payload.data);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    objects.map(|object| (text(&object["id"]), text(&object["title"]))).collect()
}

/// What the vendor holds: id to title.
fn at_vendor(world: &World) -> BTreeMap<String, String> {
    let title = |record: &serde_json::Map<String, serde_json::Value>| record["title"].as_str().unwrap().to_owned();
    world.contacts().iter().map(|(id, record)| (id.clone(), title(record))).collect()
}
