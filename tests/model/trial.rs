//! Trying lives: many at once; one that fails is made as small as it can be and told.

use crate::chance;
use crate::life::{Failure, Life};
use crate::plan::Plan;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

/// How long a life takes at most.
const LIFE_MAX: Duration = Duration::from_secs(300);

thread_local! {
    /// Panics of this thread, in an engine's tasks or in ours.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps panics for the life they happen in, instead of printing them.
fn hear_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name().is_some_and(|name| name == "life") {
                PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            } else {
                print(panic);
            }
        }));
    });
}

/// Lives a plan in a world of its own.
pub fn live(plan: &Plan) -> Result<(), Failure> {
    PANICS.take();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let lived = catch_unwind(AssertUnwindSafe(|| runtime.block_on(Life::live(plan))));
    drop(runtime);
    match (lived, PANICS.take().first()) {
        (_, Some(panic)) => Err(Failure { promise: "nothing panics".to_owned(), story: panic.clone() }),
        (Ok(lived), None) => lived,
        (Err(_), None) => Err(Failure { promise: "nothing panics".to_owned(), story: String::new() }),
    }
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// The life of a seed.
pub fn plan(seed: u64) -> Plan {
    chance::plans(seed).new_tree(&mut runner(seed)).unwrap().current()
}

/// Seeds whose lives fail, each with why, on as many threads as there are processors.
pub fn failures(seeds: Range<u64>) -> Vec<(u64, Failure)> {
    hear_panics();
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let living: Mutex<BTreeMap<u64, Instant>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            living.lock().unwrap().insert(seed, Instant::now());
            if let Err(failure) = live(&plan(seed)) {
                eprintln!(
                    "seed {seed} fails: {}: {:.900}",
                    failure.promise,
                    failure.story.lines().next().unwrap_or_default()
                );
                failed.lock().unwrap().push((seed, failure));
            }
            living.lock().unwrap().remove(&seed);
        }
    };
    std::thread::scope(|scope| {
        let spawn = |_| std::thread::Builder::new().name("life".to_owned()).spawn_scoped(scope, work).unwrap();
        let workers: Vec<_> = (0..threads).map(spawn).collect();
        while !workers.iter().all(ScopedJoinHandle::is_finished) {
            std::thread::park_timeout(Duration::from_millis(100));
            end_the_endless(&living);
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(seed, _)| *seed);
    failed
}

/// A life that goes on for ever cannot be ended alone.
fn end_the_endless(living: &Mutex<BTreeMap<u64, Instant>>) {
    let endless = living.lock().unwrap().iter().find(|(_, since)| since.elapsed() > LIFE_MAX).map(|(seed, _)| *seed);
    if let Some(seed) = endless {
        eprintln!("seed {seed} fails: it has not ended within {LIFE_MAX:?}");
        std::process::exit(1);
    }
}

/// The smallest plan found within the time that breaks the same promise as this seed's.
pub fn shrink(seed: u64, promise: &str, longest: Duration) -> (Plan, Option<Failure>) {
    let until = Instant::now() + longest;
    let breaks = |plan: &Plan| live(plan).err().filter(|failure| failure.promise == promise);
    let mut tree = chance::plans(seed).new_tree(&mut runner(seed)).unwrap();
    let (mut smallest, mut why) = (tree.current(), None);
    let mut can_go_on = tree.simplify();
    while can_go_on && Instant::now() < until {
        let plan = tree.current();
        can_go_on = match breaks(&plan) {
            Some(failure) => {
                (smallest, why) = (plan, Some(failure));
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    // Steps that were needed only by what has gone since.
    let mut index = smallest.steps.len();
    while index > 0 && Instant::now() < until {
        index -= 1;
        let mut plan = smallest.clone();
        plan.steps.remove(index);
        if let Some(failure) = breaks(&plan) {
            (smallest, why) = (plan, Some(failure));
            index = smallest.steps.len();
        }
    }
    (smallest, why)
}

/// The same on a thread of its own, whose panics are kept.
pub fn shrink_aside(seed: u64, promise: &str, longest: Duration) -> (Plan, Option<Failure>) {
    std::thread::scope(|scope| {
        let work = || shrink(seed, promise, longest);
        std::thread::Builder::new().name("life".to_owned()).spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

/// Fails where a life takes another course when it is lived again.
pub fn same(seeds: Range<u64>) {
    let course = |seed: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(Life::course(&plan(seed)))
    };
    for seed in seeds {
        let (first, second) = (course(seed), course(seed));
        let parting = first.iter().zip(&second).position(|(one, other)| one != other);
        let parting = parting.map(|index| (&first[index], &second[index]));
        assert!(parting.is_none() && first.len() == second.len(), "seed {seed} parts at {parting:?}");
    }
}
