//! What must be so once it is calm.

use crate::life::{Life, Subscriber};
use crate::support::receiver::Delivery;
use crate::support::vendors;
use anyhook_connectors::contract::Change;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// An attempt may have begun while the webhook was being deleted.
const DELETION_SLACK: Duration = Duration::from_millis(20);

impl Life {
    pub fn check(&self) {
        for subscriber in &self.subscribers {
            let got = self.world.got(&subscriber.name);
            self.check_ids(&got);
            self.check_order(&got);
            self.check_initial(subscriber, &got);
            self.check_end(subscriber, &got);
            if subscriber.deleted_at.is_none() {
                self.check_complete(subscriber, &got);
            }
        }
    }

    /// The same id, the same data; and no change is told under two ids.
    fn check_ids(&self, got: &[Delivery]) {
        let mut data: HashMap<&str, &str> = HashMap::new();
        let mut told: HashMap<String, &Delivery> = HashMap::new();
        for delivery in got {
            let known = data.entry(&delivery.webhook_id).or_insert(&delivery.data_text);
            assert_eq!(*known, delivery.data_text, "{}: one id for two payloads", self.tell());
            for object in delivery.data.iter().filter(|_| delivery.kind == "VIRTUAL") {
                let first = told.entry(object.to_string()).or_insert(delivery);
                let twice =
                    || format!("at {} as {} and at {} as {}", first.at, first.sequence, delivery.at, delivery.sequence);
                let is_same = first.webhook_id == delivery.webhook_id;
                assert!(is_same, "{}: {} is told twice, {}, of {object}", self.tell(), delivery.to, twice());
            }
        }
    }

    /// First deliveries of a stream are in its order, and so are the versions of a record.
    fn check_order(&self, got: &[Delivery]) {
        let mut seen = BTreeSet::new();
        let mut last: HashMap<&str, u64> = HashMap::new();
        let mut versions: HashMap<&str, u64> = HashMap::new();
        for delivery in got.iter().filter(|delivery| seen.insert(&delivery.webhook_id)) {
            let last = last.entry(&delivery.stream).or_default();
            assert!(delivery.sequence >= *last, "{}: {} is told out of order", self.tell(), delivery.to);
            *last = delivery.sequence;
            for object in delivery.data.iter().filter(|_| delivery.kind == "VIRTUAL") {
                let version = object["title"].as_str().and_then(|title| title.strip_prefix('v')?.parse().ok());
                let newest = versions.entry(object["id"].as_str().unwrap()).or_default();
                assert!(version.unwrap_or(0) >= *newest, "{}: {object} after {newest}", self.tell());
                *newest = version.unwrap_or(0);
            }
        }
    }

    /// The history ends once, and changes come after it.
    fn check_initial(&self, subscriber: &Subscriber, got: &[Delivery]) {
        let first = |kind: &str| got.iter().position(|delivery| delivery.kind == kind);
        let is_complete = |delivery: &&Delivery| delivery.kind == "INITIAL-COMPLETE";
        let completes: BTreeSet<&str> =
            got.iter().filter(is_complete).map(|delivery| delivery.webhook_id.as_str()).collect();
        let wanted = usize::from(subscriber.subscription.include_all);
        assert!(completes.len() <= wanted, "{}: {} is completed twice", self.tell(), subscriber.name);
        if subscriber.deleted_at.is_none() {
            let is_accepted = got.iter().any(|delivery| is_complete(&delivery) && delivery.is_accepted);
            assert_eq!(is_accepted, wanted == 1, "{}: {} is not completed", self.tell(), subscriber.name);
            assert_eq!(completes.len(), wanted, "{}: {} is not completed", self.tell(), subscriber.name);
        }
        if let (1, Some(change)) = (wanted, first("VIRTUAL")) {
            let is_after = first("INITIAL-COMPLETE").is_some_and(|complete| complete < change);
            assert!(is_after, "{}: {} is told of changes before its history", self.tell(), subscriber.name);
        }
    }

    /// Nothing comes after a webhook's end.
    fn check_end(&self, subscriber: &Subscriber, got: &[Delivery]) {
        let Some(deleted_at) = subscriber.deleted_at else { return };
        let late = got.iter().find(|delivery| delivery.instant > deleted_at + DELETION_SLACK);
        assert!(late.is_none(), "{}: {} got {late:?}", self.tell(), subscriber.name);
    }

    /// What there is, and what is gone, was told; and nothing else is told to be gone.
    fn check_complete(&self, subscriber: &Subscriber, got: &[Delivery]) {
        // What a destination refused, or never answered, is not delivered yet.
        let objects = || got.iter().filter(|delivery| delivery.is_accepted).flat_map(|delivery| &delivery.data);
        let ids: BTreeSet<&str> = objects().filter_map(|object| object["id"].as_str()).collect();
        let versions: BTreeSet<(&str, &str)> =
            objects().filter_map(|object| Some((object["id"].as_str()?, object["title"].as_str()?))).collect();
        let include_all = subscriber.subscription.include_all;
        let concerns = |number: u64| number > subscriber.since || include_all;
        for (id, record) in &self.records {
            let id = id.as_str();
            let is_right = match (subscriber.subscription.event, record.deleted) {
                (Change::Updated, None) => !concerns(record.changed) || versions.contains(&(id, &record.title)),
                // Where creations have no time, what is there has to be learned before they can be told.
                (Change::Created, None) => {
                    let is_clear = !record.is_of_the_future && self.vendor != vendors::UNDATED;
                    !concerns(record.created) || ids.contains(id) || !is_clear
                }
                (Change::Deleted, Some(deleted)) => !concerns(deleted) || ids.contains(id),
                (Change::Deleted, None) => !ids.contains(id),
                (_, Some(_)) => true,
            };
            assert!(is_right, "{}: {} and {id}, which is {record:?}", self.tell(), subscriber.name);
        }
    }
}
