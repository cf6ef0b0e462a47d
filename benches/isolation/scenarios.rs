//! What is measured.

use crate::common::cost::Meter;
use crate::endpoints::{Endpoints, Manner};
use crate::world::{Feed, World};
use anyhook::clock::Clock;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const WEBHOOKS: usize = 2_000;
/// Changes a second over all webhooks, and for how long.
const PER_SECOND: u32 = 200;
const SECONDS: u32 = 20;
/// Changes a second where nothing hangs, over one webhook or some.
const PACED_PER_SECOND: u32 = 100;
/// Batches that wait for an endpoint that hangs.
const BEHIND: usize = 650;
/// Changes for the healthy endpoint behind them.
const AFTER: usize = 200;
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the scenarios whose names were given, or all.
pub(crate) fn run(named: &[String]) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let wanted = |name: &str| named.is_empty() || named.iter().any(|given| given == name);
    println!("from the commit of a change to its arrival at a healthy endpoint, in ms");
    println!("{:<44}{:>9}{:>9}{:>9}{:>9}{:>9}", "scenario", "changes", "p50", "p99", "max", "CPU s");
    if wanted("hanging") {
        for percent in [0, 10, 50] {
            runtime.block_on(share(percent, Manner::Hangs));
        }
    }
    if wanted("refusing") {
        runtime.block_on(share(50, Manner::Refuses));
    }
    if wanted("paced") {
        for webhooks in [1, 100] {
            runtime.block_on(paced(webhooks));
        }
    }
    if wanted("behind") {
        runtime.block_on(behind(1, BEHIND));
        runtime.block_on(behind(BEHIND, 1));
    }
    ExitCode::SUCCESS
}

/// Changes as they were committed: at which time, in microseconds, by their number.
#[derive(Default)]
struct Committed(HashMap<u64, i64>);

impl Committed {
    /// Waits until all have arrived, and answers how long each took, in milliseconds in their order.
    async fn arrive(self, healthy: &Endpoints) -> Vec<f64> {
        let (mut took, began) = (HashMap::new(), Instant::now());
        while took.len() < self.0.len() {
            assert!(began.elapsed() < PATIENCE, "{} of {} changes arrived", took.len(), self.0.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
            for (number, at) in healthy.arrived().await {
                if let Some(committed) = self.0.get(&number) {
                    #[allow(clippy::cast_precision_loss)] // minutes at most
                    took.entry(number).or_insert((at - committed) as f64 / 1000.0);
                }
            }
        }
        let mut took: Vec<f64> = took.into_values().collect();
        took.sort_by(f64::total_cmp);
        took
    }
}

/// A change that is being committed. It counts from the call on: its own commit is a part of what it takes.
fn commit(commits: &mut JoinSet<()>, committed: &mut Committed, feed: &Feed, page: u64, number: u64, counts: bool) {
    let feed = feed.clone();
    if counts {
        committed.0.insert(number, Clock::system().now().timestamp_micros());
    }
    commits.spawn(async move { feed.commit(page, number).await });
}

/// Webhooks of which some hang or refuse, each on a host of its own. First all get a change at once, while nothing is
/// known of any host, then they get some at a steady pace.
async fn share(percent: usize, manner: Manner) {
    let (healthy, ill, world) = (Endpoints::start(Manner::Healthy), Endpoints::start(manner), World::start().await);
    let is_ill = |index: usize| index % 10 < percent / 10;
    let hook = |index: usize| if is_ill(index) { ill.hook(index) } else { healthy.hook(index) };
    let feeds = join_all((0..WEBHOOKS).map(|index| world.subscribe(hook(index)))).await;
    let name = format!("{WEBHOOKS} webhooks, {percent} % {}", if manner == Manner::Hangs { "hang" } else { "refuse" });

    let (meter, mut commits, mut committed) = (Meter::start(), JoinSet::new(), Committed::default());
    for (index, feed) in feeds.iter().enumerate() {
        commit(&mut commits, &mut committed, feed, 0, index as u64, !is_ill(index));
    }
    print(&format!("{name}: all at once"), &committed.arrive(&healthy).await, &meter);

    let (meter, mut committed, mut pages) = (Meter::start(), Committed::default(), vec![1; WEBHOOKS]);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    for number in 0..(PER_SECOND * SECONDS) as usize {
        ticks.tick().await;
        let index = number * 769 % WEBHOOKS;
        let place = (pages[index], (WEBHOOKS + number) as u64);
        commit(&mut commits, &mut committed, &feeds[index], place.0, place.1, !is_ill(index));
        pages[index] += 1;
    }
    print(&format!("{name}: {PER_SECOND}/s"), &committed.arrive(&healthy).await, &meter);
    drop(commits.join_all().await);
    world.end().await;
}

/// Healthy webhooks that get changes at a steady pace, in turns.
async fn paced(webhooks: usize) {
    let (healthy, world) = (Endpoints::start(Manner::Healthy), World::start().await);
    let feeds = join_all((0..webhooks).map(|index| world.subscribe(healthy.hook(index)))).await;
    let (mut commits, mut first) = (JoinSet::new(), Committed::default());
    for (index, feed) in feeds.iter().enumerate() {
        commit(&mut commits, &mut first, feed, 0, index as u64, true);
    }
    first.arrive(&healthy).await;
    while commits.join_next().await.is_some() {}

    let (meter, mut committed) = (Meter::start(), Committed::default());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PACED_PER_SECOND);
    for number in webhooks..webhooks + (PACED_PER_SECOND * SECONDS) as usize {
        ticks.tick().await;
        let (index, page) = (number % webhooks, (number / webhooks) as u64);
        commit(&mut commits, &mut committed, &feeds[index], page, number as u64, true);
        // One after the other, as a feed's pages are.
        drop(commits.join_next().await);
    }
    let (name, changes) = (counted(webhooks, "healthy webhook", "healthy webhooks"), committed.0.len() as u64);
    print(&format!("{name}: {PACED_PER_SECOND}/s"), &committed.arrive(&healthy).await, &meter);
    println!("{:<44}{:>9} bytes written for each", "", meter.written() / changes);
    world.end().await;
}

/// Batches to webhooks that hang, and then some to a healthy one that was served before.
async fn behind(hanging: usize, batches: usize) {
    let (healthy, ill) = (Endpoints::start(Manner::Healthy), Endpoints::start(Manner::Hangs));
    let world = World::start().await;
    let feeds = join_all((0..hanging).map(|index| world.subscribe(ill.hook(index)))).await;
    let quick = world.subscribe(healthy.hook(0)).await;
    let (mut commits, mut first) = (JoinSet::new(), Committed::default());
    commit(&mut commits, &mut first, &quick, 0, 0, true);
    first.arrive(&healthy).await;
    drop(commits.join_next().await);
    let (meter, mut committed) = (Meter::start(), Committed::default());
    for feed in &feeds {
        for page in 0..batches as u64 {
            // One after the other, as a feed's pages are.
            feed.commit(page, 0).await;
        }
    }
    for number in 1..=AFTER as u64 {
        commit(&mut commits, &mut committed, &quick, number, number, true);
        drop(commits.join_next().await);
    }
    let name = format!(
        "behind {} to {}",
        counted(batches, "batch", "batches"),
        counted(hanging, "hanging host", "hanging hosts")
    );
    print(&name, &committed.arrive(&healthy).await, &meter);
    world.end().await;
}

fn counted(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("one {one}") } else { format!("{count} {more}") }
}

fn print(name: &str, took: &[f64], meter: &Meter) {
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    let (p50, p99, max, cpu) = (at(50), at(99), at(100), meter.cpu_seconds());
    println!("{name:<44}{:>9}{p50:>9.1}{p99:>9.1}{max:>9.1}{cpu:>9.2}", took.len());
}
