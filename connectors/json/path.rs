//! One value of a JSON document by its path, without reading the rest into anything.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Names in a path; more are found nowhere.
const DEPTH_MAX: usize = 16;

/// The value at a path such as `data.object.id` or `items.0.id`: names of fields, and places in lists counted from 0,
/// divided by dots. None where there is none, or where the text is no JSON up to it. Of a name that comes twice, the
/// first counts.
pub fn at<'a>(json: &'a str, path: &str) -> Option<&'a RawValue> {
    let mut value: &RawValue = serde_json::from_str(json).ok()?;
    for (depth, name) in path.split('.').enumerate() {
        let mut deserializer = serde_json::Deserializer::from_str(value.get());
        value = Step(name).deserialize(&mut deserializer).ok().flatten().filter(|_| depth < DEPTH_MAX)?;
    }
    Some(value)
}

/// A text or number at a path, as text; none for anything else.
pub fn text_at<'a>(json: &'a str, path: &str) -> Option<Cow<'a, str>> {
    let value = at(json, path)?.get();
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str::<super::Text<'_>>(value).ok().map(|text| text.0),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(value)),
        _ => None,
    }
}

/// One step of a path.
struct Step<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<super::Text<'de>>()? {
            if found.is_none() && name.0 == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let wanted = self.0.parse::<usize>().ok();
        let mut place = 0;
        while let Some(value) = list.next_element()? {
            if Some(place) == wanted {
                found = Some(value);
            }
            place += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_path() {
        let json = r#"{"id":"evt","data":{"id":7,"items":[{"a":1},{"a":"\u0041"}]},"none":null,"id":"later"}"#;
        let text = |path| text_at(json, path).map(Cow::into_owned);
        assert_eq!(text("id").as_deref(), Some("evt"));
        assert_eq!(text("data.id").as_deref(), Some("7"));
        assert_eq!(text("data.items.1.a").as_deref(), Some("A"));
        assert_eq!(at(json, "data.items.0").map(RawValue::get), Some(r#"{"a":1}"#));
        for nowhere in ["", "nope", "id.x", "data", "none", "data.items.2", "data.items.x", "data..id"] {
            assert_eq!(text(nowhere), None, "{nowhere}");
        }
        assert_eq!(text_at("{\"id\":", "id"), None);
        assert_eq!(text_at("[[5]]", "0.0").as_deref(), Some("5"));
    }
}
