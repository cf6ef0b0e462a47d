//! What would lose or repeat something is refused, by name and with what to do.

use crate::killed::break_off;
use crate::program::{Place, Running, done, migrate, refused};
use crate::rows::{fill, in_database, rows};

fn has(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
}

#[test]
fn a_directory_in_use_is_not_moved() {
    let (from, to) = (Place::sled(), Place::sled());
    let server = Running::start(&mut from.serve(None));
    has(&refused(&mut migrate(&from, &to, &[], None)), &["cannot be opened", "no other process"]);
    server.terminate();
    done(&mut migrate(&from, &to, &[], None));
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn a_database_in_use_is_not_moved() {
    let (database, to) = (Place::postgres(), Place::sled());
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let server = Running::start(&mut database.serve(Some(key)));
    has(&refused(&mut migrate(&database, &to, &[], Some(key))), &["is in use by node", "stop all nodes"]);
    server.terminate();
    done(&mut migrate(&database, &to, &[], Some(key)));
    has(&refused(&mut database.serve(Some(key))), &["was moved to sled:", "store.reopen_moved"]);
}

/// A source that was moved away is started by nobody by accident, and moved nowhere else.
fn moved_is_left(from: &Place, to: &Place) {
    from.start_once();
    let key = from.master_key();
    done(&mut migrate(from, to, &[], None));
    has(&refused(&mut from.serve(None)), &["was moved to", "store.reopen_moved=true"]);
    has(&refused(&mut migrate(from, &Place::sled(), &[], None)), &["cannot be used", "was moved to"]);
    has(&refused(&mut migrate(from, to, &[], None)), &["was moved to"]);
    Running::start(&mut to.serve(Some(&key))).terminate();
    Running::start(from.serve(None).args(["--set", "store.reopen_moved=true"])).terminate();
    from.start_once();
}

#[test]
fn a_directory_that_was_moved_is_left() {
    moved_is_left(&Place::sled(), &Place::sled());
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn a_directory_that_was_moved_to_postgres_is_left() {
    moved_is_left(&Place::sled(), &Place::postgres());
}

/// While a move has not ended nobody works on its target; its source is as good as before, but once someone has worked
/// there what was copied is worth nothing.
fn unended_keeps_servers_away(from: &Place, to: &Place, give_up: &str) {
    from.start_once();
    fill(from, 3_000);
    let before = rows(from);
    break_off(from, to, None);
    assert!(rows(from) == before, "the source is not written");
    let key = from.master_key();
    has(&refused(&mut to.serve(Some(&key))), &["has not ended", "finish it", give_up]);
    has(&refused(to.serve(Some(&key)).args(["--set", "store.reopen_moved=true"])), &["has not ended"]);
    let other = Place::sled();
    other.start_once();
    has(&refused(&mut migrate(&other, to, &[], None)), &["cannot be used", "has not ended"]);
    from.start_once();
    has(&refused(&mut migrate(from, to, &[], None)), &["has been worked on since", give_up]);
}

#[test]
fn an_unended_move_keeps_servers_from_its_directory() {
    unended_keeps_servers_away(&Place::sled(), &Place::sled(), "removing ");
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn an_unended_move_keeps_servers_from_its_schema() {
    unended_keeps_servers_away(&Place::sled(), &Place::postgres(), "DROP SCHEMA migrate_");
}

#[test]
fn a_target_that_holds_something_is_left_alone() {
    let (from, to) = (Place::sled(), Place::sled());
    from.start_once();
    to.start_once();
    let before = rows(&to);
    let told = refused(&mut migrate(&from, &to, &[], None));
    has(&told, &["is not empty, but holds "]);
    assert!(rows(&to) == before);
    from.start_once();
}

#[test]
fn another_master_key_is_found_out_before_anything_is_written() {
    let (from, to) = (Place::sled(), Place::sled());
    from.start_once();
    let other = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    has(&refused(&mut migrate(&from, &to, &[], Some(other))), &["ANYHOOK_MASTER_KEY is not the key"]);
    assert!(!to.sled_path().exists());
    std::fs::remove_file(from.data().join("master.key")).unwrap();
    has(&refused(&mut migrate(&from, &to, &[], None)), &["set ANYHOOK_MASTER_KEY"]);
}

#[test]
fn what_is_no_store_is_refused_by_name() {
    let (nothing, to) = (Place::sled(), Place::sled());
    has(&refused(&mut migrate(&nothing, &to, &[], None)), &["there is no store in sled:"]);
    let mistyped = Place { name: "postgress://u:hunter2@h/d".to_owned(), ..Place::sled() };
    let told = refused(&mut migrate(&nothing, &mistyped, &[], None));
    has(&told, &["--from and --to take sled"]);
    assert!(!told.contains("hunter2"), "{told}");
    let unset = Place { name: "postgres".to_owned(), ..Place::sled() };
    has(&refused(&mut migrate(&nothing, &unset, &[], None)), &["ANYHOOK_STORE"]);
}

/// A node that had been stopped, and is woken while its store is moved, writes nothing there.
#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn writers_are_kept_from_a_database_while_it_is_moved() {
    let (first, database, to) = (Place::sled(), Place::postgres(), Place::sled());
    first.start_once();
    fill(&first, 3_000);
    let key = first.master_key();
    done(&mut migrate(&first, &database, &[], None));
    // What every unit of a node's work begins with.
    let begins = || {
        let begin = format!(
            "SET lock_timeout = 100; SELECT 1 FROM {}.locks WHERE id = 1 FOR UPDATE",
            database.schema.as_ref().unwrap().0
        );
        in_database(|client: tokio_postgres::Client| async move { client.batch_execute(&begin).await.is_ok() })
    };
    assert!(begins());
    let mut child = migrate(&database, &to, &["--set", "store.move_rows_max=1"], Some(&key)).spawn().unwrap();
    while begins() {
        assert!(child.try_wait().unwrap().is_none(), "it ended, and nobody was kept away");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
