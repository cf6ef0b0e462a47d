//! A move that is killed goes on when it is begun again.

use crate::program::{Place, migrate, text};
use crate::rows::{all_rows, fill, rows};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// Kills in a row, before a move is let go to its end.
const KILLS: usize = 5;

/// Lets a process live for a while; true if it ended by itself.
fn lives_until(child: &mut Child, length: Duration) -> bool {
    let end = Instant::now() + length;
    while Instant::now() < end && child.try_wait().unwrap().is_none() {
        thread::park_timeout(Duration::from_millis(5));
    }
    child.try_wait().unwrap().is_some()
}

/// Kills moves after random times, and answers what the last one, which was not killed, said.
fn killed_and_ended(mut command: impl FnMut() -> Command) -> String {
    let mut random = fastrand::Rng::new();
    for _ in 0..KILLS {
        let mut child = command().spawn().unwrap();
        let is_over = lives_until(&mut child, Duration::from_millis(random.u64(30..500)));
        assert!(!is_over, "it ended before it was killed: {:?}", child.wait_with_output());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // A row a transaction was slow on purpose.
    let output = command().args(["--set", "store.move_rows_max=500"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

fn goes_on(from: &Place, to: &Place) {
    from.start_once();
    fill(from, 6_000);
    let before = rows(from);
    break_off(from, to, None);
    let told = killed_and_ended(|| migrate(from, to, &["--set", "store.move_rows_max=1"], None));
    assert!(told.contains("resumed"), "{told}");
    assert!(rows(to) == before);
}

#[test]
fn to_a_directory() {
    goes_on(&Place::sled(), &Place::sled());
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn to_postgres() {
    goes_on(&Place::sled(), &Place::postgres());
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn from_postgres() {
    let (first, database, last) = (Place::sled(), Place::postgres(), Place::sled());
    first.start_once();
    fill(&first, 6_000);
    let (before, key) = (rows(&first), first.master_key());
    crate::program::done(&mut migrate(&first, &database, &[], None));
    break_off(&database, &last, Some(&key));
    let told = killed_and_ended(|| migrate(&database, &last, &["--set", "store.move_rows_max=1"], Some(&key)));
    assert!(told.contains("resumed"), "{told}");
    assert!(rows(&last) == before);
}

/// Begins a move and kills it in the middle.
pub(crate) fn break_off(from: &Place, to: &Place, master_key: Option<&str>) {
    for tries in 1..30 {
        let mut child = migrate(from, to, &["--set", "store.move_rows_max=1"], master_key).spawn().unwrap();
        let is_over = lives_until(&mut child, Duration::from_millis(100 * tries));
        assert!(!is_over, "it ended before it was killed: {:?}", child.wait_with_output());
        child.kill().unwrap();
        child.wait().unwrap();
        if all_rows(to).get("meta").is_some_and(|meta| meta.contains_key(&b"move"[..])) {
            return;
        }
    }
    panic!("it was never killed in the middle");
}
