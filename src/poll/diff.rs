//! What of a page is news: each record against what the ledger holds of it. Pure.
//!
//! - Held, same version: dropped. Held, older than what is held: dropped (a lagging replica, a late event), unless that
//!   is of the future: a wrong time must not keep what is put right from being told.
//! - Not held and older than `quiet_before`: known to history, so it is remembered but not told.
//! - Not held else: created where `created_at` says so, else updated.

use crate::store::LedgerEntry;
use anyhook_connectors::contract::{Change, CreatedAt, ObjectSpec, Record};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// How far behind the times of its records a vendor's clock may be: a `Date` header has whole seconds.
const CLOCK_SLACK: TimeDelta = TimeDelta::seconds(60);

/// What decides whether a record is news.
#[derive(Debug, Clone, Copy)]
pub struct DiffRules {
    /// Records that are not held and were changed before this are not news; none where everything not held is.
    pub quiet_before: Option<DateTime<Utc>>,
    /// True while the feed learns what is there: records without `updated_at` are not news either.
    pub is_baseline: bool,
    /// Records not held and created before this were forgotten, not new.
    pub created_since: Option<DateTime<Utc>>,
    /// True where every record ever seen is held, so that one not held is new.
    pub is_full: bool,
    /// Whether the vendor's `created_at` tells the truth.
    pub created_at: CreatedAt,
    /// The vendor's clock; none where it is not known. What is held from after it makes nothing older.
    pub server_time: Option<DateTime<Utc>>,
    /// True for records of another listing than the ledger's: they may be written otherwise, so that only their times
    /// and the vendor's revisions tell versions apart.
    pub is_other_listing: bool,
    /// A record that was found to be gone before this is back where it is listed as it was then; none where it is a
    /// replica that lags, however long ago that was.
    pub back_after: Option<DateTime<Utc>>,
}

/// What a record comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not news, and nothing to remember.
    Known,
    /// Not news, but to be remembered.
    Quiet,
    /// News.
    Changed(Change),
}

/// What the ledger is to hold of a record.
pub fn entry(record: &Record<'_>, spec: &ObjectSpec) -> LedgerEntry {
    LedgerEntry {
        updated_at_ms: record.updated_at.map_or(i64::MIN, |at| at.timestamp_millis()),
        version: version(record, spec.volatile),
        is_deleted: record.deleted,
    }
}

/// The version of a record: the vendor's revision, else a hash of its raw object less the volatile fields. Never of our
/// own model, so that a better mapping does not make everything news.
pub fn version(record: &Record<'_>, volatile: &[&str]) -> u64 {
    let seed = record.updated_at.map_or(0, |at| at.timestamp_millis().cast_unsigned());
    if let Some(revision) = &record.revision {
        return xxh3_64_with_seed(revision.as_bytes(), seed);
    }
    if volatile.is_empty() {
        return xxh3_64_with_seed(record.raw.as_bytes(), seed);
    }
    stable_hash(&record.raw, volatile, seed).unwrap_or_else(|| xxh3_64_with_seed(record.raw.as_bytes(), seed))
}

fn stable_hash(raw: &str, volatile: &[&str], seed: u64) -> Option<u64> {
    #[derive(Deserialize)]
    struct Fields<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);
    let Fields(fields) = serde_json::from_str(raw).ok()?;
    let mut hash = Xxh3::with_seed(seed);
    for (name, value) in fields.iter().filter(|(name, _)| !volatile.contains(&name.as_str())) {
        hash.update(name.as_bytes());
        hash.update(b":");
        hash.update(value.get().as_bytes());
        hash.update(b",");
    }
    Some(hash.digest())
}

/// Whether a record is news, given what is held of it.
pub fn judge(record: &Record<'_>, now: &LedgerEntry, held: Option<&LedgerEntry>, rules: &DiffRules) -> Verdict {
    match held {
        Some(held) => judge_held(record, now, held, rules),
        None => judge_unheld(record, rules),
    }
}

fn judge_held(record: &Record<'_>, now: &LedgerEntry, held: &LedgerEntry, rules: &DiffRules) -> Verdict {
    if now.is_deleted == held.is_deleted && is_same_version(record, now, held, rules) {
        return Verdict::Known;
    }
    let is_of_the_future =
        rules.server_time.is_some_and(|at| held.updated_at_ms > (at + CLOCK_SLACK).timestamp_millis());
    let shows_again = held.is_deleted && !now.is_deleted;
    let is_older = match record.updated_at {
        Some(_) => now.updated_at_ms < held.updated_at_ms && !is_of_the_future,
        None => shows_again && now.version == held.version,
    };
    if is_older {
        let is_back =
            shows_again && rules.back_after.is_some_and(|after| held.updated_at_ms < after.timestamp_millis());
        return if is_back { Verdict::Changed(Change::Created) } else { Verdict::Known };
    }
    match (held.is_deleted, now.is_deleted) {
        (true, true) => Verdict::Quiet,
        (false, true) => Verdict::Changed(Change::Deleted),
        (true, false) => Verdict::Changed(Change::Created),
        (false, false) => Verdict::Changed(Change::Updated),
    }
}

fn is_same_version(record: &Record<'_>, now: &LedgerEntry, held: &LedgerEntry, rules: &DiffRules) -> bool {
    let is_told_apart = match record.updated_at {
        Some(_) => now.updated_at_ms != held.updated_at_ms,
        None => record.revision.is_some(),
    };
    now.version == held.version || (rules.is_other_listing && !is_told_apart)
}

fn judge_unheld(record: &Record<'_>, rules: &DiffRules) -> Verdict {
    let is_quiet = match (record.updated_at, rules.quiet_before) {
        (Some(at), Some(before)) => at < before,
        (None, _) => rules.is_baseline,
        (Some(_), None) => false,
    };
    if is_quiet {
        return Verdict::Quiet;
    }
    if record.deleted {
        // A whole listing may show what was deleted before the feed began: nobody was ever told that it was there.
        let is_from_before =
            rules.is_other_listing && record.updated_at.zip(rules.created_since).is_some_and(|(at, since)| at < since);
        return if is_from_before { Verdict::Quiet } else { Verdict::Changed(Change::Deleted) };
    }
    let is_new = match (rules.created_at, record.created_at) {
        (CreatedAt::True, Some(created)) => rules.created_since.is_none_or(|since| created >= since),
        _ => rules.is_full,
    };
    Verdict::Changed(if is_new { Change::Created } else { Change::Updated })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn record(updated: Option<i64>, created: Option<i64>, raw: &str) -> Record<'_> {
        Record {
            id: Cow::Borrowed("1"),
            updated_at: updated.map(at),
            created_at: created.map(at),
            deleted: false,
            revision: None,
            object: b"{}".to_vec(),
            raw: raw.into(),
        }
    }

    fn held(updated: i64, version: u64) -> LedgerEntry {
        LedgerEntry { updated_at_ms: updated * 1000, version, is_deleted: false }
    }

    fn rules() -> DiffRules {
        DiffRules {
            quiet_before: Some(at(100)),
            is_baseline: false,
            created_since: Some(at(100)),
            is_full: false,
            created_at: CreatedAt::True,
            server_time: Some(at(200)),
            is_other_listing: false,
            back_after: None,
        }
    }

    fn verdict(record: &Record<'_>, held: Option<&LedgerEntry>, rules: &DiffRules) -> Verdict {
        let now = LedgerEntry {
            updated_at_ms: record.updated_at.map_or(i64::MIN, |at| at.timestamp_millis()),
            version: version(record, &[]),
            is_deleted: record.deleted,
        };
        judge(record, &now, held, rules)
    }

    #[test]
    fn the_same_version_is_no_news_and_an_older_one_neither() {
        let record = record(Some(120), None, "{}");
        assert_eq!(verdict(&record, Some(&held(120, version(&record, &[]))), &rules()), Verdict::Known);
        assert_eq!(verdict(&record, Some(&held(121, 1)), &rules()), Verdict::Known);
        assert_eq!(verdict(&record, Some(&held(120, 1)), &rules()), Verdict::Changed(Change::Updated));
        let future = held(4_070_908_800, 1);
        assert_eq!(verdict(&record, Some(&future), &rules()), Verdict::Changed(Change::Updated), "put right");
    }

    #[test]
    fn what_is_not_held_is_created_updated_or_quiet() {
        let created = Verdict::Changed(Change::Created);
        let updated = Verdict::Changed(Change::Updated);
        assert_eq!(verdict(&record(Some(120), Some(110), ""), None, &rules()), created);
        assert_eq!(verdict(&record(Some(120), Some(90), ""), None, &rules()), updated);
        assert_eq!(verdict(&record(Some(120), None, ""), None, &rules()), updated);
        assert_eq!(verdict(&record(Some(99), Some(99), ""), None, &rules()), Verdict::Quiet);
        assert_eq!(verdict(&record(Some(120), None, ""), None, &DiffRules { is_full: true, ..rules() }), created);
        assert_eq!(verdict(&record(None, None, ""), None, &DiffRules { is_baseline: true, ..rules() }), Verdict::Quiet);
    }

    #[test]
    fn a_sweep_tells_of_no_deletion_from_before_the_feed_began() {
        let sweep = DiffRules { quiet_before: None, is_full: true, is_other_listing: true, ..rules() };
        let mut gone = record(Some(99), None, "gone");
        gone.deleted = true;
        assert_eq!(verdict(&gone, None, &sweep), Verdict::Quiet);
        assert_eq!(verdict(&gone, Some(&held(99, 1)), &sweep), Verdict::Changed(Change::Deleted));
        gone.updated_at = Some(at(101));
        assert_eq!(verdict(&gone, None, &sweep), Verdict::Changed(Change::Deleted));
    }

    #[test]
    fn deletions_are_told_once_and_what_comes_back_is_created() {
        let mut gone = record(Some(120), None, "gone");
        gone.deleted = true;
        assert_eq!(verdict(&gone, None, &rules()), Verdict::Changed(Change::Deleted));
        assert_eq!(verdict(&gone, Some(&held(110, 1)), &rules()), Verdict::Changed(Change::Deleted));
        let tombstone = LedgerEntry { is_deleted: true, ..held(110, 1) };
        assert_eq!(verdict(&gone, Some(&tombstone), &rules()), Verdict::Quiet);
        let back = record(Some(130), None, "back");
        assert_eq!(verdict(&back, Some(&tombstone), &rules()), Verdict::Changed(Change::Created));
    }

    #[test]
    fn what_was_found_to_be_gone_is_back_only_where_no_replica_can_lag_so_long() {
        let before = record(Some(110), None, "{}");
        let gone = LedgerEntry { is_deleted: true, ..held(150, version(&before, &[])) };
        assert_eq!(verdict(&before, Some(&gone), &rules()), Verdict::Known, "a replica that lags");
        let sweep = |after| DiffRules { back_after: Some(at(after)), is_other_listing: true, ..rules() };
        assert_eq!(verdict(&before, Some(&gone), &sweep(150)), Verdict::Known);
        assert_eq!(verdict(&before, Some(&gone), &sweep(151)), Verdict::Changed(Change::Created));
        let after = record(Some(151), None, "{}");
        assert_eq!(verdict(&after, Some(&gone), &rules()), Verdict::Changed(Change::Created), "it was changed since");
        let timeless = record(None, None, "{}");
        let gone = LedgerEntry { version: version(&timeless, &[]), ..gone };
        assert_eq!(verdict(&timeless, Some(&gone), &rules()), Verdict::Known);
        let other = record(None, None, "other");
        assert_eq!(verdict(&other, Some(&gone), &rules()), Verdict::Changed(Change::Created));
    }

    #[test]
    fn another_listing_may_write_a_record_otherwise() {
        let other = DiffRules { is_other_listing: true, ..rules() };
        let record_at = |second| record(Some(second), None, "other");
        assert_eq!(verdict(&record_at(120), Some(&held(120, 1)), &other), Verdict::Known);
        assert_eq!(verdict(&record_at(121), Some(&held(120, 1)), &other), Verdict::Changed(Change::Updated));
        let timeless = Record { updated_at: None, ..record_at(0) };
        assert_eq!(verdict(&timeless, Some(&held(120, 1)), &other), Verdict::Known);
        let tagged = Record { revision: Some("e".into()), ..timeless };
        assert_eq!(verdict(&tagged, Some(&held(120, 1)), &other), Verdict::Changed(Change::Updated));
    }

    #[test]
    fn volatile_fields_do_not_make_a_version() {
        let one = record(Some(1), None, r#"{"id":1,"seen":"a","name":"x"}"#);
        let two = record(Some(1), None, r#"{"id":1,"seen":"b","name":"x"}"#);
        assert_eq!(version(&one, &["seen"]), version(&two, &["seen"]));
        assert_ne!(version(&one, &[]), version(&two, &[]));
    }
}
