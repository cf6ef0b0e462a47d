//! Projection: an object cut down to the fields a webhook wants, byte for byte as they were.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Which fields of an object a webhook wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Projection {
    /// As they stand in JSON, with their quotes; none means all.
    fields: Option<Box<[Box<str>]>>,
    with_raw: bool,
}

impl Projection {
    /// From a webhook's `fields`: empty for all, `id` always among them, `raw` for the vendor's own object.
    pub fn new(fields: &[String]) -> Self {
        if fields.is_empty() {
            return Projection::default();
        }
        let named = fields.iter().map(String::as_str).filter(|field| *field != "raw");
        let mut quoted: Vec<Box<str>> =
            named.chain(["id"]).filter_map(|field| serde_json::to_string(field).ok().map(String::into)).collect();
        quoted.sort_unstable();
        quoted.dedup();
        Projection { fields: Some(quoted.into()), with_raw: fields.iter().any(|field| field == "raw") }
    }

    /// True if objects go out as they are.
    pub fn is_identity(&self) -> bool {
        self.fields.is_none()
    }

    /// True if the vendor's own object is wanted.
    pub fn with_raw(&self) -> bool {
        self.with_raw
    }

    /// Appends the projection of an object. `raw` is the vendor's own object, empty where it is not kept.
    pub fn write(&self, object: &[u8], raw: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let Some(fields) = &self.fields else {
            out.extend_from_slice(object);
            return Ok(());
        };
        let mut reader = serde_json::Deserializer::from_slice(object);
        let members = reader.deserialize_map(Members)?;
        reader.end()?;
        out.push(b'{');
        let begin = out.len();
        let wanted = members.iter().filter(|(key, _)| fields.iter().any(|field| **field == *key.get()));
        for (key, value) in wanted {
            member(out, begin, key.get().as_bytes(), value.get().as_bytes());
        }
        if self.with_raw && !raw.is_empty() {
            member(out, begin, br#""raw""#, raw);
        }
        out.push(b'}');
        Ok(())
    }
}

fn member(out: &mut Vec<u8>, begin: usize, key: &[u8], value: &[u8]) {
    if out.len() > begin {
        out.push(b',');
    }
    out.extend_from_slice(key);
    out.push(b':');
    out.extend_from_slice(value);
}

/// Splits an object into its members without reading their values.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(24);
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn project(fields: &[&str], object: &str, raw: &str) -> String {
        let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        let mut out = Vec::new();
        Projection::new(&fields).write(object.as_bytes(), raw.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const OBJECT: &str = r#"{"id":"1","name":"A\"nn\u00e9","emails":[{"email":"a@b","x":1e5}],"id2":null}"#;

    #[test]
    fn named_fields_stay_byte_for_byte_with_the_id() {
        assert_eq!(project(&[], OBJECT, "{}"), OBJECT);
        assert_eq!(project(&["name", "other"], OBJECT, ""), r#"{"id":"1","name":"A\"nn\u00e9"}"#);
        assert_eq!(project(&["emails"], OBJECT, ""), r#"{"id":"1","emails":[{"email":"a@b","x":1e5}]}"#);
        assert_eq!(project(&["id"], "{}", ""), "{}");
    }

    #[test]
    fn the_vendors_object_comes_only_when_named_and_kept() {
        assert_eq!(project(&["raw"], OBJECT, r#"{"a":[1]}"#), r#"{"id":"1","raw":{"a":[1]}}"#);
        assert_eq!(project(&["raw"], OBJECT, ""), r#"{"id":"1"}"#);
        assert_eq!(project(&["id"], OBJECT, r#"{"a":1}"#), r#"{"id":"1"}"#);
    }

    proptest! {
        #[test]
        fn what_is_not_an_object_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            let is_object = serde_json::from_slice::<std::collections::BTreeMap<String, serde_json::Value>>(&bytes).is_ok();
            prop_assert!(!is_object || Projection::new(&["id".to_owned()]).write(&bytes, b"", &mut out).is_ok());
        }
    }
}
