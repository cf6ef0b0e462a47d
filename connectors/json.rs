//! Reading vendors' JSON without copying it, and writing JSON as `JSON.stringify` would.

mod canonical;
mod path;

pub use canonical::canonical;
pub use path::{at, text_at};

use crate::contract::{BadRecord, Record, RecordError};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Text that borrows from the answer where it has no escapes. (`Option<Cow<str>>` never borrows under derive.)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor { numbers: false }).map(Text)
    }
}

/// An id: text, or a number at vendors that count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Id<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor { numbers: true }).map(Id)
    }
}

struct TextVisitor {
    numbers: bool,
}

impl TextVisitor {
    fn number<'de, E: de::Error>(self, shown: String) -> Result<Cow<'de, str>, E> {
        if self.numbers { Ok(Cow::Owned(shown)) } else { Err(E::custom("a number where text was expected")) }
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.numbers { "an id: text or a whole number" } else { "text" })
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.number(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.number(number.to_string())
    }
}

/// What a connector makes of one vendor object. `object` is the unified object.
pub struct Mapped<'a, T> {
    /// The record's id.
    pub id: Cow<'a, str>,
    /// When the vendor last changed it.
    pub updated_at: Option<chrono::DateTime<chrono::Utc>>,
    /// When it came to be.
    pub created_at: Option<chrono::DateTime<chrono::Utc>>,
    /// True if the vendor says that it is deleted.
    pub deleted: bool,
    /// The vendor's own revision of it.
    pub revision: Option<Cow<'a, str>>,
    /// The unified object.
    pub object: T,
}

/// Reads one vendor object `V` and normalises it by `map`.
pub fn read_record<'a, V: Deserialize<'a>, T: Serialize>(
    raw: &'a RawValue,
    map: impl FnOnce(V) -> Result<Mapped<'a, T>, RecordError>,
) -> Result<Record<'a>, RecordError> {
    let mapped = map(serde_json::from_str(raw.get())?)?;
    if mapped.id.is_empty() || mapped.id.len() > 512 {
        return Err(RecordError("the id is empty or longer than 512 bytes".to_owned()));
    }
    // Unified objects tend to be a little longer than what they are made from; growing the buffer would copy it.
    let mut object = Vec::with_capacity(raw.get().len() + raw.get().len() / 4);
    serde_json::to_writer(&mut object, &mapped.object)?;
    Ok(Record {
        id: mapped.id,
        updated_at: mapped.updated_at,
        created_at: mapped.created_at,
        deleted: mapped.deleted,
        revision: mapped.revision,
        object,
        raw: Cow::Borrowed(raw.get()),
    })
}

/// Reads the vendor objects of a page: those that can be read, and those that cannot with the reason.
pub fn read_records<'a, V: Deserialize<'a>, T: Serialize>(
    raws: &[&'a RawValue],
    mut map: impl FnMut(V) -> Result<Mapped<'a, T>, RecordError>,
) -> (Vec<Record<'a>>, Vec<BadRecord>) {
    let mut records = Vec::with_capacity(raws.len());
    let mut bad = Vec::new();
    for raw in raws {
        match read_record(raw, &mut map) {
            Ok(record) => records.push(record),
            Err(error) => bad.push(BadRecord { id: id_of(raw), error, raw: raw.get().to_owned() }),
        }
    }
    (records, bad)
}

/// The field `id` of an object that could not be read as a whole.
fn id_of(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyId<'a> {
        #[serde(borrow)]
        id: Id<'a>,
    }
    serde_json::from_str::<OnlyId<'_>>(raw.get()).ok().map(|only| only.id.0.into_owned())
}
