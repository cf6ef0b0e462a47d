//! Replays every integration's recorded exchanges, `<integration>/fixtures/*.json`, and holds every manifest to what
//! the engine builds on.
//!
//! A fixture is one JSON object. All kinds of fixture have:
//! - `source`: URL of the vendor's page that the exchange follows.
//! - `object_type`: such as `kms_page`. Not needed by `event`.
//! - `meta`, `filters`: settings of the connection and filters of the webhook, by name. `named_parents`: the ids that
//!   the connector must find in the filters. `parent`: id of the parent, for types that live under one, or of the part,
//!   for types that have some; `parts`: the ids of all parts.
//! - `exchanges`: `[{"request": {"method", "target", "headers", "body"}, "response": {"status", "headers", "body"}}]`.
//!   Requests are compared exactly, headers by lower-case name; credentials and the manifest's own headers are not
//!   theirs. A `body` is JSON, or a string for a body that is none. `status` is 200 if left out. All are used, in order.
//! - `expect`: what comes of it. `error` in it is a part of the error's text, or a verdict such as `RateLimited`; with
//!   it nothing else need be expected.
//!
//! A listing is walked by [`crate::walk::Walk`] as the engine does it. It may have `kind` (`live`, or `history`),
//! `updated_gte` (the bound that the walk starts from, not yet stepped back), `cursor`, `limit` (the spec's page size if
//! left out) and `resume` (a checkpoint). Expected are:
//! - `records`: all of them in order, repeats included:
//!   `{"id", "updated_at", "created_at", "deleted", "revision", "object"}`. What is left out must be absent (`deleted`:
//!   false); `object` is the whole unified object. `bad`: `[{"id", "error"}]`, the error a part of the text.
//! - `checkpoint`, `cursor`, `total`, `parents` (what [`crate::contract::Connector::parent_of`] makes of the records) and
//!   `waits` (in milliseconds): compared if given. `end` is true if left out.
//!
//! One more key makes it something else:
//! - `get`: `{"id"}` fetches one record. Expected is `found`, a record as above, or `"gone": true`.
//! - `event`: `{"headers", "query", "body"}` is a native webhook. Expected are `arrivals`: `"ignore"`, `{"poll_now":
//!   "<object type>"}`, or a record as above with `object_type`, `change` `matches` (names to values, or to lists of them) and
//!   `parent` beside it.
//! - `register`: `{"ingress_url", "secret"}` registers a native webhook. Expected is `registration`, `{"id", "secret"}`.
//! - `remove`: `{"ingress_url", "secret", "registration"}` removes it again.
//!
//! Every integration has at least `empty.json` (a listing without records), `two_pages.json` (a listing of more than one
//! page) and `bad_record.json` (a listing with a record that cannot be read beside one that can), and lists each of its
//! object types in some fixture.

mod compare;
mod format;
mod listing;
mod native;
mod promises;
mod replay;

use crate::contract::Connector;
use format::Fixture;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder(integration: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(integration).join("fixtures")
}

/// The integration's fixtures by file name, sorted; those that cannot be read go to `failures`.
fn load(integration: &str, failures: &mut Vec<String>) -> Vec<(String, Fixture)> {
    let Ok(entries) = fs::read_dir(folder(integration)) else {
        failures.push(format!("{integration}: there is no folder connectors/{integration}/fixtures"));
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut fixtures = Vec::new();
    for file in files {
        let name = format!("{integration}/fixtures/{}", file.file_name().unwrap().to_string_lossy());
        match serde_json::from_str(&fs::read_to_string(&file).unwrap()) {
            Ok(fixture) => fixtures.push((name, fixture)),
            Err(error) => failures.push(format!("{name}: no fixture: {error}")),
        }
    }
    fixtures
}

/// What is wrong with an integration: nothing, one hopes.
fn failures_of(connector: &dyn Connector) -> Vec<String> {
    let mut failures = promises::of_manifest(connector.manifest());
    let fixtures = load(connector.manifest().integration, &mut failures);
    failures.extend(promises::of_coverage(connector.manifest(), &fixtures));
    for (file, fixture) in &fixtures {
        failures.extend(replay::replay(connector, fixture).into_iter().map(|failure| format!("{file}: {failure}")));
    }
    failures
}

#[test]
fn every_integration_answers_as_its_fixtures_say() {
    let failures: Vec<String> = crate::all().iter().flat_map(|connector| failures_of(*connector)).collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

#[test]
fn every_folder_with_fixtures_is_a_registered_integration() {
    let registered: BTreeSet<String> = crate::all().iter().map(|c| c.manifest().integration.to_owned()).collect();
    let folders: BTreeSet<String> = fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("fixtures").is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, registered, "left: folders with fixtures; right: integrations in lib.rs");
}

#[test]
fn the_registry_is_sorted_and_finds_each_integration() {
    let names: Vec<&str> = crate::all().iter().map(|connector| connector.manifest().integration).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "the registry in lib.rs is not sorted, or names one twice: {names:?}");
    for name in names {
        assert_eq!(crate::find(name).unwrap().manifest().integration, name);
    }
    assert!(crate::find("no such integration").is_none());
}
