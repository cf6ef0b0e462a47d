//! How records come to be, change and go.

use super::raw::{Blank, write_new};
use super::settings::Deletions;
use super::table::Version;
use super::{Object, Vendor};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::{Timestamp, parse_time};
use bytes::Bytes;
use chrono::DateTime;
use serde_json::{Map, Value};
use thiserror::Error;

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

impl Vendor {
    /// Creates a record with contents of chance, apart from the `fields` given. Answers the record as JSON.
    pub fn create(&mut self, object: Object, fields: Map<String, Value>, now_ms: i64) -> Result<Bytes, Refusal> {
        let stamp_ms = self.stamp_ms(now_ms);
        self.create_at(object, fields, (stamp_ms, stamp_ms), now_ms)
    }

    pub(super) fn create_at(
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
        match self.settings.deletions {
            Deletions::Flag => {
                let stamp_ms = self.stamp_ms(now_ms);
                let fields = Map::from_iter([("deleted".to_owned(), Value::Bool(true))]);
                let version = merge(&old.json, fields, stamp_ms)?;
                self.put(object, number, Change::Deleted, version, now_ms);
            }
            Deletions::Silent => self.vanish(object, number, now_ms),
        }
        Ok(())
    }

    /// Takes a record away, with nothing left of it.
    pub(super) fn vanish(&mut self, object: Object, number: u64, now_ms: i64) {
        let Some(last) = self.tables[object.index()].current(number).map(|version| version.json.clone()) else {
            return;
        };
        self.log(object, number, Change::Deleted, self.stamp_ms(now_ms), last);
        let show_at_ms = self.show_at_ms(object, now_ms);
        self.tables[object.index()].put(number, None, now_ms, show_at_ms);
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
        self.tables[object.index()].put(number, Some(version), now_ms, show_at_ms);
        json
    }

    fn log(&mut self, object: Object, number: u64, change: Change, at_ms: i64, record: Bytes) {
        let (id, at) = (object.id(number), stamp(at_ms));
        self.hooks.notice(object, change, &id, &rfc3339(at), &record);
        self.history.push(object, id, change, at, record);
    }

    fn show_at_ms(&mut self, object: Object, changed_ms: i64) -> i64 {
        let path = format!("/v1/{}", object.plural());
        changed_ms.saturating_add_unsigned(self.faults.lag_ms(&path, &mut self.request_random))
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
