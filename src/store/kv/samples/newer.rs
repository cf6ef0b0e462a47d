//! Rows as the next build may write them: nodes of two builds work side by side while they are replaced, so that a field
//! which this build does not know must not keep it from reading a row.

use super::super::destinations::decode_listeners;
use super::{StoreError, Value as Row, rows};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Objects that are no structs, by the fields that hold them: maps of a user's own names, and enums named by their only
/// field. They have no fields that could be added to.
const NO_STRUCTS: [&str; 4] = ["filters", "meta", "state.arriving", "state.left"];

/// Sees that a row is read with an unknown field in any of its objects, and in all of them.
pub(super) fn is_readable_with_more_fields<T: DeserializeOwned>(kind: &'static str, row: &Value) {
    let mut places = vec![String::new()];
    places_of("", row, &mut places);
    let mut all = row.clone();
    for place in &places {
        let mut one = row.clone();
        add(one.pointer_mut(place).unwrap());
        add(all.pointer_mut(place).unwrap());
        read::<T>(kind, &one)
            .unwrap_or_else(|error| panic!("{kind}{place} takes no field that it does not know: {error}"));
    }
    read::<T>(kind, &all).unwrap_or_else(|error| panic!("{kind}: {error}"));
}

fn read<T: DeserializeOwned>(kind: &'static str, row: &Value) -> Result<T, StoreError> {
    rows::from_json(kind, &[&[1], row.to_string().as_bytes()].concat())
}

fn add(object: &mut Value) {
    object.as_object_mut().unwrap().insert("added_later".into(), json!({"deep": [1, null, {"text": "x"}]}));
}

/// The places of all structs within a value, as JSON pointers.
fn places_of(place: &str, value: &Value, places: &mut Vec<String>) {
    let fields: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => return,
    };
    for (name, value) in fields {
        let inner = format!("{place}/{name}");
        let is_enum = |(key, _): (&String, _)| NO_STRUCTS.contains(&format!("{name}.{key}").as_str());
        let is_struct = value.as_object().is_some_and(|object| !object.iter().any(is_enum));
        if is_struct && !NO_STRUCTS.contains(&name.as_str()) {
            places.push(inner.clone());
        }
        places_of(&inner, value, places);
    }
}

#[test]
fn listeners_with_more_fields_are_read() {
    let id = "070707070707070707070707";
    let listeners =
        json!([{"id": id, "added_later": 1, "subscriptions": [{"events": ["*"], "added_later": {"deep": 1}}]}]);
    let row = Row::from([&[1, 0], listeners.to_string().as_bytes()].concat());
    assert_eq!(decode_listeners(&row).unwrap().len(), 1);
}

#[test]
fn a_value_that_only_a_newer_build_knows_is_told_from_damage() {
    let row = json!({"before": 9, "from": "2023-11-14T22:13:20.005Z", "at": "a new way to tell a time"});
    let error = read::<crate::store::KeptMark>("kept pages", &row).unwrap_err().to_string();
    assert!(error.contains("start the newer build that wrote it"), "{error}");
    let error = rows::from_json::<crate::store::KeptMark>("kept pages", b"\x01{\"before\":").unwrap_err().to_string();
    assert!(error.contains("restore the store from a backup"), "{error}");
}
