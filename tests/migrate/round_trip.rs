//! There and back again.

use crate::program::{Place, done, migrate, refused};
use crate::rows::{all_rows, fill, in_database, opened, rows};

/// Rows that are moved in tests, unless MIGRATE_ROWS says more.
fn count() -> usize {
    std::env::var("MIGRATE_ROWS").map_or(4_000, |rows| rows.parse().unwrap())
}

/// The epoch of each lease: eight bytes behind the format.
fn epochs(place: &Place) -> Vec<(Vec<u8>, u64)> {
    let leases = all_rows(place).remove("leases").unwrap();
    leases.into_iter().map(|(key, row)| (key, u64::from_be_bytes(row[1..9].try_into().unwrap()))).collect()
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn what_goes_to_postgres_and_back_is_as_it_was() {
    let (first, database, last) = (Place::sled(), Place::postgres(), Place::sled());
    first.start_once();
    fill(&first, count());
    let (before, epochs_before) = (rows(&first), epochs(&first));
    let key = first.master_key();

    let told = done(&mut migrate(&first, &database, &[], None));
    eprintln!("{told}");
    assert!(told.contains("verified: both hold the same") && told.contains("master.key"), "{told}");
    assert!(rows(&database) == before, "each row is there, and no other");
    let told = done(&mut migrate(&database, &last, &["--set", "store.move_bytes_max=300000"], Some(&key)));
    eprintln!("{told}");
    assert!(rows(&last) == before, "and back again");

    let epochs_after = epochs(&last);
    assert_eq!(epochs_after.len(), epochs_before.len());
    for ((shard, epoch), (_, before)) in epochs_after.iter().zip(&epochs_before) {
        assert!(epoch > before, "an epoch of the first store would be good again: {shard:?}");
    }
}

#[test]
fn from_one_directory_to_another() {
    let (from, to) = (Place::sled(), Place::sled());
    from.start_once();
    fill(&from, 1_000);
    let before = rows(&from);
    done(&mut migrate(&from, &to, &["--set", "store.move_rows_max=7"], None));
    assert!(rows(&to) == before);
    done(&mut migrate(&from, &to, &["--verify-only"], None));
}

#[test]
fn a_row_that_differs_is_found_in_a_directory() {
    let (from, to) = (Place::sled(), Place::sled());
    from.start_once();
    fill(&from, 1_000);
    done(&mut migrate(&from, &to, &[], None));
    let database = opened(&to);
    let tree = database.open_tree("ledger").unwrap();
    let (key, value) = tree.first().unwrap().unwrap();
    let mut other = value.to_vec();
    other.push(0);
    tree.insert(key, other).unwrap();
    drop((tree, database));
    let told = refused(&mut migrate(&from, &to, &["--verify-only"], None));
    assert!(told.contains("NOT the same: ledger\n"), "{told}");
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn a_row_that_differs_is_found_in_postgres() {
    let (from, to) = (Place::sled(), Place::postgres());
    from.start_once();
    fill(&from, 1_000);
    done(&mut migrate(&from, &to, &[], None));
    done(&mut migrate(&from, &to, &["--verify-only"], None));
    let schema = &to.schema.as_ref().unwrap().0;
    let change = |sql: String| {
        in_database(|client: tokio_postgres::Client| async move { client.execute(&sql, &[]).await.unwrap() })
    };
    // Two bytes change places: the same number of rows and bytes.
    let swap = format!(
        "UPDATE {schema}.spool SET v = set_byte(set_byte(v, 0, get_byte(v, 1)), 1, get_byte(v, 0)) WHERE k = \
         (SELECT k FROM {schema}.spool WHERE length(v) > 1 AND get_byte(v, 0) <> get_byte(v, 1) ORDER BY k LIMIT 1)"
    );
    assert_eq!(change(swap.clone()), 1);
    let told = refused(&mut migrate(&from, &to, &["--verify-only"], None));
    assert!(told.contains("NOT the same: spool\n"), "{told}");
    assert_eq!(change(swap), 1, "and changed back");
    done(&mut migrate(&from, &to, &["--verify-only"], None));
    assert_eq!(
        change(format!("DELETE FROM {schema}.jobs WHERE k = (SELECT k FROM {schema}.jobs ORDER BY k LIMIT 1)")),
        1
    );
    let told = refused(&mut migrate(&from, &to, &["--verify-only"], None));
    assert!(told.contains("NOT the same: jobs\n"), "{told}");
}
