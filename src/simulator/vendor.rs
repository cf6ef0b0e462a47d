//! The vendor itself: its records and how they change. No IO, no clock: time comes with each call.

use super::faults::{FaultBook, FaultRule};
use super::history::History;
use super::hooks::{Hooks, Push};
use super::limits::Limits;
use super::oauth::OAuth;
use super::raw::chance_edit;
use super::settings::SimulatorSettings;
use super::table::Table;
use super::{Object, Stats};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use fastrand::Rng;
use serde_json::Map;

/// Changes per second at most.
const CHANGES_PER_SECOND_MAX: f64 = 10_000.0;
/// The longest time that changes are made up for, in microseconds; what was missed before is skipped.
const CATCH_UP_US_MAX: i64 = 10_000_000;

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
    pub(super) random: Rng,
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
        for object in self.settings.objects.clone() {
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
    pub(super) fn stamp_ms(&self, now_ms: i64) -> i64 {
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
