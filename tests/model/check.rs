//! What must be so once it is calm: what subscribers got.

use crate::life::{Failure, Life, Record, Subscriber};
use crate::support::receiver::Delivery;
use crate::support::vendors;
use anyhook_connectors::contract::Change;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// An attempt may have begun while the webhook was being deleted or paused.
const SLACK: Duration = Duration::from_millis(20);
/// A connection's pause is heard of behind what else happens.
const CONNECTION_SLACK: Duration = Duration::from_secs(2);

impl Life {
    pub fn check(&self) -> Result<(), Failure> {
        let spoiled = self.spoiled();
        for subscriber in &self.subscribers {
            let got = self.world.got(&subscriber.name);
            self.check_ids(&got)?;
            self.check_order(&got)?;
            self.check_initial(subscriber, &got)?;
            self.check_ends(subscriber, &got)?;
            self.check_deletions(subscriber, &got)?;
            if subscriber.deleted_at.is_none() {
                self.check_complete(subscriber, &got, &spoiled)?;
                self.check_backfills(subscriber, &got, &spoiled)?;
            }
        }
        Ok(())
    }

    /// The same id, the same data; and no change is told under two ids.
    fn check_ids(&self, got: &[Delivery]) -> Result<(), Failure> {
        let mut data: HashMap<&str, &str> = HashMap::new();
        let mut told: HashMap<String, &Delivery> = HashMap::new();
        for delivery in got {
            let known = data.entry(&delivery.webhook_id).or_insert(&delivery.data_text);
            self.ensure(*known == delivery.data_text, "one id has one payload", || format!("{delivery:?}"))?;
            for object in delivery.data.iter().filter(|_| delivery.kind == "VIRTUAL") {
                let first = told.entry(object.to_string()).or_insert(delivery);
                self.ensure(first.webhook_id == delivery.webhook_id, "a change is told under one id", || {
                    let times = format!("{} as {}, {} as {}", first.at, first.sequence, delivery.at, delivery.sequence);
                    format!("{}, {times}: {object}", delivery.to)
                })?;
            }
        }
        Ok(())
    }

    /// First deliveries of a stream are in its order, and so are the versions of a record.
    fn check_order(&self, got: &[Delivery]) -> Result<(), Failure> {
        let (mut seen, mut places) = (BTreeSet::new(), BTreeSet::new());
        let mut last: HashMap<&str, u64> = HashMap::new();
        let mut versions: HashMap<&str, u64> = HashMap::new();
        // What could not be kept is sent again, under another id where the webhook asks for other fields by then.
        for delivery in got {
            let is_new = seen.insert(&delivery.webhook_id);
            if !places.insert((&delivery.stream, delivery.sequence)) || !is_new {
                continue;
            }
            let last = last.entry(&delivery.stream).or_default();
            self.ensure(delivery.sequence >= *last, "first deliveries are in order", || format!("{delivery:?}"))?;
            *last = delivery.sequence;
            for object in delivery.data.iter().filter(|_| delivery.kind == "VIRTUAL") {
                let version = object["title"].as_str().and_then(|title| title.strip_prefix('v')?.parse().ok());
                let newest = versions.entry(object["id"].as_str().unwrap()).or_default();
                let is_next = version.unwrap_or(0) >= *newest;
                self.ensure(is_next, "a record's versions are in order", || format!("{object} after {newest}"))?;
                *newest = version.unwrap_or(0);
            }
        }
        Ok(())
    }

    /// A history ends once, and where a webhook begins with it, changes come after it.
    fn check_initial(&self, subscriber: &Subscriber, got: &[Delivery]) -> Result<(), Failure> {
        let mut completes: BTreeMap<&str, &str> = BTreeMap::new();
        for delivery in got.iter().filter(|delivery| delivery.kind.starts_with("INITIAL")) {
            let ended_by = completes.get(delivery.stream.as_str());
            let is_fine = ended_by.is_none_or(|id| *id == delivery.webhook_id);
            let is_fine =
                is_fine || got.iter().any(|other| other.webhook_id == delivery.webhook_id && other.at < delivery.at);
            self.ensure(is_fine, "a history ends once", || format!("{delivery:?} after {ended_by:?}"))?;
            if delivery.kind == "INITIAL-COMPLETE" {
                completes.insert(&delivery.stream, &delivery.webhook_id);
            }
        }
        let backfill_of =
            |stream: &str| subscriber.backfills.iter().find(|backfill| stream == format!("listing-{}", backfill.job));
        for delivery in got.iter().filter(|delivery| delivery.kind == "INITIAL-COMPLETE") {
            let cancelled_at = backfill_of(&delivery.stream).and_then(|backfill| backfill.cancelled_at);
            let is_late = cancelled_at.is_some_and(|at| delivery.instant > at + SLACK);
            self.ensure(!is_late, "a cancelled history does not end", || format!("{delivery:?}"))?;
        }
        if !subscriber.subscription.include_all {
            let is_asked = |stream: &&&str| backfill_of(stream).is_some();
            let unasked = completes.keys().find(|stream| !is_asked(stream));
            return self.ensure(unasked.is_none(), "history is told to who asked", || format!("{unasked:?}"));
        }
        let mut of_first =
            got.iter().filter(|delivery| delivery.stream != "live" && backfill_of(&delivery.stream).is_none());
        if subscriber.deleted_at.is_none() {
            let is_complete = of_first.any(|delivery| delivery.kind == "INITIAL-COMPLETE" && delivery.is_accepted);
            self.ensure(is_complete, "a history is told to its end", || subscriber.name.clone())?;
        }
        let change = got.iter().position(|delivery| delivery.kind == "VIRTUAL");
        let complete = got.iter().position(|delivery| delivery.kind == "INITIAL-COMPLETE");
        let is_after = change.is_none_or(|change| complete.is_some_and(|complete| complete < change));
        self.ensure(is_after, "changes come after the history", || subscriber.name.clone())
    }

    /// Nothing comes after a webhook's end, nor while it rests.
    fn check_ends(&self, subscriber: &Subscriber, got: &[Delivery]) -> Result<(), Failure> {
        for delivery in got {
            let is_over = subscriber.deleted_at.is_some_and(|at| delivery.instant > at + SLACK);
            self.ensure(!is_over, "nothing comes after a webhook's end", || format!("{delivery:?}"))?;
            let rest = subscriber.rests.covering(delivery.instant, SLACK);
            let rest = rest.or_else(|| self.rests.covering(delivery.instant, CONNECTION_SLACK));
            self.ensure(rest.is_none(), "nothing comes during a pause", || format!("{delivery:?}"))?;
        }
        Ok(())
    }

    /// What is told to be gone was.
    fn check_deletions(&self, subscriber: &Subscriber, got: &[Delivery]) -> Result<(), Failure> {
        if subscriber.subscription.event != Change::Deleted {
            return Ok(());
        }
        for delivery in got {
            for id in delivery.data.iter().filter_map(|object| object["id"].as_str()) {
                let is_true = self
                    .records
                    .get(id)
                    .is_some_and(|record| record.deletions.first().is_some_and(|deleted| *deleted <= delivery.instant));
                self.ensure(is_true, "no live record is told to be gone", || format!("{id}: {delivery:?}"))?;
            }
        }
        Ok(())
    }

    /// What there is, and what is gone, was told.
    fn check_complete(
        &self,
        subscriber: &Subscriber,
        got: &[Delivery],
        spoiled: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        // What a destination refused, or never answered, is not delivered yet.
        let accepted = || got.iter().filter(|delivery| delivery.is_accepted);
        let objects = || accepted().flat_map(|delivery| &delivery.data);
        let ids: BTreeSet<&str> = objects().filter_map(|object| object["id"].as_str()).collect();
        let versions: BTreeSet<(&str, &str)> =
            objects().filter_map(|object| Some((object["id"].as_str()?, object["title"].as_str()?))).collect();
        let concerns = |number: u64| number > subscriber.since || subscriber.subscription.include_all;
        for (id, record) in &self.records {
            // Unreadable when it was listed: that is said, and the listing goes on. It counts as known then.
            let is_told_of_creation = subscriber.subscription.event == Change::Created;
            if spoiled.contains(id) || (is_told_of_creation && self.once_spoiled.contains(id)) {
                continue;
            }
            let is_told = match (subscriber.subscription.event, record.deleted) {
                (Change::Updated, None) => !concerns(record.changed) || versions.contains(&(id, &record.title)),
                (Change::Created, None) => {
                    !concerns(record.created) || ids.contains(id.as_str()) || !self.is_clearly_new(record)
                }
                (Change::Deleted, Some(deleted)) => !concerns(deleted) || ids.contains(id.as_str()),
                (Change::Deleted, None) | (_, Some(_)) => true,
            };
            self.ensure(is_told, "every version that stays is delivered", || {
                format!("{} and {id}, {record:?}", subscriber.name)
            })?;
        }
        Ok(())
    }

    /// Where creations have no time, what is there has to be learned before they can be told. What came back after its
    /// deletion was forgotten, or never seen, counts as changed.
    fn is_clearly_new(&self, record: &Record) -> bool {
        self.ways.vendor != vendors::UNDATED && !record.is_of_the_future && record.deletions.is_empty()
    }

    /// A back-fill that was delivered to its end told what was there all the while, within its range.
    fn check_backfills(
        &self,
        subscriber: &Subscriber,
        got: &[Delivery],
        spoiled: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let now = self.world.contacts();
        for backfill in &subscriber.backfills {
            let stream = format!("listing-{}", backfill.job);
            let of_it = || got.iter().filter(|delivery| delivery.stream == stream && delivery.is_accepted);
            if !of_it().any(|delivery| delivery.kind == "INITIAL-COMPLETE") || self.ways.vendor == vendors::LATE {
                continue;
            }
            let told: BTreeSet<&str> =
                of_it().flat_map(|delivery| &delivery.data).filter_map(|object| object["id"].as_str()).collect();
            for (id, record) in &self.records {
                let at = now[id]["updated_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
                let (from, until) = backfill.range;
                let is_in_range = from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until);
                let is_wanted = record.deleted.is_some() == (subscriber.subscription.event == Change::Deleted);
                let number = record.changed.max(record.deleted.unwrap_or(0));
                let is_excused = number > backfill.since || spoiled.contains(id);
                let is_told = !is_in_range || !is_wanted || is_excused || told.contains(id.as_str());
                self.ensure(is_told, "a history tells all of its range", || format!("{stream}, {id}: {record:?}"))?;
            }
        }
        Ok(())
    }
}
