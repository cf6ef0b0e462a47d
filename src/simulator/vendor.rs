//! The vendor itself: its records and how they change. No IO, no clock: time comes with each call.

use super::faults::{FaultBook, FaultRule};
use super::history::History;
use super::hooks::{Hooks, Push};
use super::limits::Limits;
use super::oauth::OAuth;
use super::raw::{Blank, chance_edit, write_new};
use super::settings::{Deletions, SimulatorSettings};
use super::table::{Table, Version};
use super::{Object, Stats};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::{Timestamp, parse_time};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use fastrand::Rng;
use serde_json::{Map, Value};
use thiserror::Error;

/// Changes per second at most.
const CHANGES_PER_SECOND_MAX: f64 = 10_000.0;
/// The longest time that changes are made up for, in microseconds; what was missed before is skipped.
const CATCH_UP_US_MAX: i64 = 10_000_000;

/// Why a record could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// The object has as many records as it may have.
    #[error("there are as many records as records_max allows")]
    Full,
    /// A field is wrong.
    #[error("{0}")]
    Invalid(String),
}

/// The simulated vendor.
pub struct Vendor {
    pub(super) settings: SimulatorSettings,
    pub(super) tables: [Table; 4],
    pub(super) history: History,
    pub(super) faults: FaultBook,
    pub(super) limits: Limits,
    pub(super) oauth: OAuth,
    pub(super) hooks: Hooks,
    pub(super) stats: Stats,
    /// Contents and changes of its own.
    random: Rng,
    /// Faults, tokens: apart, so that requests do not change what the records become.
    pub(super) request_random: Rng,
    next_change_us: i64,
}

impl Vendor {
    /// A vendor with its first records, as of `now`.
    pub fn new(settings: SimulatorSettings, now: DateTime<Utc>) -> Self {
        let mut vendor = Vendor {
            tables: Object::ALL.map(Table::new),
            history: History::new(settings.history_max),
            faults: FaultBook::default(),
            limits: Limits::new(settings.rate_limit, settings.rate_limit_per_s),
            oauth: OAuth::new(&settings),
            hooks: Hooks::default(),
            stats: Stats::default(),
            random: Rng::with_seed(settings.seed),
            request_random: Rng::with_seed(settings.seed ^ 0x005e_ed0f_fa17),
            next_change_us: now.timestamp_micros(),
            settings,
        };
        vendor.seed(now);
        vendor.set_changes_per_second(vendor.settings.changes_per_second, now);
        vendor
    }

    /// Spreads the first records over the past: created in the order of their ids, some changed since.
    fn seed(&mut self, now: DateTime<Utc>) {
        let count = i64::from(self.settings.records.min(self.settings.records_max));
        let past_ms = i64::from(self.settings.past_hours.max(1)) * 3_600_000;
        let start_ms = now.timestamp_millis() - past_ms;
        for object in Object::ALL {
            for nth in 0..count {
                let created_ms = self.floor(start_ms + past_ms * nth / count);
                let later =
                    if self.random.u8(0..4) == 0 { self.random.i64(0..past_ms - past_ms * nth / count) } else { 0 };
                let updated_ms = self.floor(created_ms + later);
                // Seeding stays within records_max and writes plain structs: neither refusal can come.
                let _ = self.create_at(object, Map::new(), (created_ms, updated_ms), created_ms);
            }
        }
    }

    /// The vendor's own time: `now`, off by the skew that faults give it.
    pub fn time(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + chrono::Duration::milliseconds(self.faults.skew_ms())
    }

    /// The present as a record's time, in whole granules.
    fn stamp_ms(&self, now_ms: i64) -> i64 {
        self.floor(now_ms + self.faults.skew_ms())
    }

    fn floor(&self, ms: i64) -> i64 {
        ms - ms.rem_euclid(self.settings.granularity.ms())
    }

    /// Lives until `now`: makes the changes that are due, shows those that were held back.
    pub fn tick(&mut self, now: DateTime<Utc>) {
        self.make_due_changes(now.timestamp_micros());
        for table in &mut self.tables {
            table.settle(now.timestamp_millis());
        }
    }

    fn make_due_changes(&mut self, now_us: i64) {
        let rate = self.settings.changes_per_second;
        if rate <= 0.0 {
            return;
        }
        #[allow(clippy::cast_possible_truncation)] // at least 100
        let gap_us = (1_000_000.0 / rate) as i64;
        self.next_change_us = self.next_change_us.max(now_us - CATCH_UP_US_MAX);
        while self.next_change_us <= now_us {
            self.change_something(self.next_change_us / 1_000);
            self.next_change_us += gap_us;
        }
    }

    /// Sets how often it changes something by itself from now on.
    pub fn set_changes_per_second(&mut self, rate: f64, now: DateTime<Utc>) {
        self.settings.changes_per_second = if rate.is_finite() { rate.clamp(0.0, CHANGES_PER_SECOND_MAX) } else { 0.0 };
        self.next_change_us = now.timestamp_micros();
    }

    /// One change of chance: a new record, a changed one (most often), or a deleted one.
    fn change_something(&mut self, now_ms: i64) {
        let object = Object::ALL[self.random.usize(..Object::ALL.len())];
        let dice = self.random.u8(0..100);
        let live = self.tables[object.index()].any_live(&mut self.random);
        // A refusal means that records_max is reached or the table is empty; the next change finds another record.
        let _ = match (dice, live) {
            (0..20, _) | (_, None) => self.create(object, Map::new(), now_ms).map(drop),
            (20..90, Some(number)) => {
                let fields = chance_edit(&mut self.random, object);
                self.update(object, &object.id(number), fields, now_ms).map(drop)
            }
            (_, Some(number)) => self.delete(object, &object.id(number), now_ms),
        };
    }

    /// Creates a record with contents of chance, apart from the `fields` given. Answers the record as JSON.
    pub fn create(&mut self, object: Object, fields: Map<String, Value>, now_ms: i64) -> Result<Bytes, Refusal> {
        let stamp_ms = self.stamp_ms(now_ms);
        self.create_at(object, fields, (stamp_ms, stamp_ms), now_ms)
    }

    fn create_at(
        &mut self,
        object: Object,
        fields: Map<String, Value>,
        (created_ms, updated_ms): (i64, i64),
        now_ms: i64,
    ) -> Result<Bytes, Refusal> {
        if self.tables[object.index()].len() >= self.settings.records_max as usize {
            return Err(Refusal::Full);
        }
        check(&fields)?;
        let number = self.tables[object.index()].take_number();
        let blank = Blank { object, number, created_at: stamp(created_ms), updated_at: stamp(updated_ms) };
        let json = write_new(&mut self.random, &blank).map_err(unwritable)?;
        let version = if fields.is_empty() {
            Version { created_ms, updated_ms, deleted: false, json: json.into() }
        } else {
            merge(&json, fields, updated_ms)?
        };
        Ok(self.put(object, number, Change::Created, version, now_ms))
    }

    /// Changes fields of a record; `id` stays. `updated_at` becomes the present unless it is among the fields.
    pub fn update(
        &mut self,
        object: Object,
        id: &str,
        fields: Map<String, Value>,
        now_ms: i64,
    ) -> Result<Bytes, Refusal> {
        check(&fields)?;
        let (number, old) = self.find(object, id)?;
        let version = merge(&old.json, fields, self.stamp_ms(now_ms))?;
        Ok(self.put(object, number, Change::Updated, version, now_ms))
    }

    /// Deletes a record, as the settings say.
    pub fn delete(&mut self, object: Object, id: &str, now_ms: i64) -> Result<(), Refusal> {
        let (number, old) = self.find(object, id)?;
        if old.deleted {
            return Err(Refusal::NotFound);
        }
        let stamp_ms = self.stamp_ms(now_ms);
        match self.settings.deletions {
            Deletions::Flag => {
                let fields = Map::from_iter([("deleted".to_owned(), Value::Bool(true))]);
                let version = merge(&old.json, fields, stamp_ms)?;
                self.put(object, number, Change::Deleted, version, now_ms);
            }
            Deletions::Silent => {
                let last = old.json.clone();
                self.log(object, number, Change::Deleted, stamp_ms, last);
                let show_at_ms = self.show_at_ms(object, now_ms);
                self.tables[object.index()].put(number, None, show_at_ms);
            }
        }
        Ok(())
    }

    /// The record of this id as it is now.
    pub(super) fn find(&self, object: Object, id: &str) -> Result<(u64, &Version), Refusal> {
        let number = object.number(id).ok_or(Refusal::NotFound)?;
        let version = self.tables[object.index()].current(number).ok_or(Refusal::NotFound)?;
        Ok((number, version))
    }

    fn put(&mut self, object: Object, number: u64, change: Change, version: Version, now_ms: i64) -> Bytes {
        let json = version.json.clone();
        self.log(object, number, change, version.updated_ms, json.clone());
        let show_at_ms = self.show_at_ms(object, now_ms);
        self.tables[object.index()].put(number, Some(version), show_at_ms);
        json
    }

    fn log(&mut self, object: Object, number: u64, change: Change, at_ms: i64, record: Bytes) {
        let (id, at) = (object.id(number), stamp(at_ms));
        self.hooks.notice(object, change, &id, &rfc3339(at), &record);
        self.history.push(object, id, change, at, record);
    }

    fn show_at_ms(&self, object: Object, changed_ms: i64) -> Option<i64> {
        let lag_ms = self.faults.lag_ms(&format!("/v1/{}", object.plural()));
        (lag_ms > 0).then(|| changed_ms.saturating_add_unsigned(lag_ms))
    }

    /// The record of this id as JSON, deleted ones among them where they stay visible.
    pub fn record(&self, object: Object, id: &str) -> Option<Bytes> {
        self.find(object, id).ok().map(|(_, version)| version.json.clone())
    }

    /// How many records an object has, deleted ones that stay visible included.
    pub fn len(&self, object: Object) -> usize {
        self.tables[object.index()].len()
    }

    /// Every change there was, as far back as it is remembered.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What it has been asked so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Replaces the faults in force.
    pub fn set_faults(&mut self, rules: Vec<FaultRule>) -> Result<(), String> {
        self.faults.replace(rules)
    }

    pub(super) fn has_pushes(&self) -> bool {
        self.hooks.waits()
    }

    pub(super) fn count_push(&mut self, accepted: bool) {
        self.stats.pushes_accepted += u64::from(accepted);
        self.stats.pushes_failed += u64::from(!accepted);
    }

    /// The next push that is to be made, if any.
    pub fn take_push(&mut self) -> Option<Push> {
        self.hooks.take()
    }
}

fn stamp(ms: i64) -> Timestamp {
    Timestamp(DateTime::from_timestamp_millis(ms).unwrap_or_default())
}

fn rfc3339(at: Timestamp) -> String {
    at.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn unwritable(error: serde_json::Error) -> Refusal {
    Refusal::Invalid(error.to_string())
}

fn check(fields: &Map<String, Value>) -> Result<(), Refusal> {
    if fields.contains_key("id") {
        return Err(Refusal::Invalid("id is given by the vendor".to_owned()));
    }
    for name in ["created_at", "updated_at"] {
        time_field(fields, name)?;
    }
    match fields.get("deleted") {
        Some(value) if !value.is_boolean() => Err(Refusal::Invalid("deleted must be true or false".to_owned())),
        _ => Ok(()),
    }
}

fn time_field(fields: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let at = value.as_str().and_then(parse_time);
    at.map(|at| Some(at.timestamp_millis()))
        .ok_or_else(|| Refusal::Invalid(format!("{name} must be a time such as 2026-01-31T09:30:00.000Z")))
}

/// A record with some fields replaced.
fn merge(json: &[u8], fields: Map<String, Value>, updated_ms: i64) -> Result<Version, Refusal> {
    let mut record: Map<String, Value> = serde_json::from_slice(json).map_err(unwritable)?;
    record.insert("updated_at".to_owned(), Value::String(rfc3339(stamp(updated_ms))));
    record.extend(fields);
    Ok(Version {
        created_ms: time_field(&record, "created_at")?.unwrap_or(updated_ms),
        updated_ms: time_field(&record, "updated_at")?.unwrap_or(updated_ms),
        deleted: record.get("deleted").and_then(Value::as_bool).unwrap_or(false),
        json: serde_json::to_vec(&record).map_err(unwritable)?.into(),
    })
}
