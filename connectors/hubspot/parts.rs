//! What contacts, companies and deals have in common. HubSpot's properties are text, empty where nothing was entered,
//! null where nothing ever was.

use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{Address, Number, Telephone, Timestamp, parse_time};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;
use std::borrow::Cow;

/// One record, its properties being `P`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "P: Deserialize<'de>, 'de: 'a"))]
pub(super) struct Object<'a, P> {
    pub(super) id: Text<'a>,
    pub(super) properties: P,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    #[serde(default)]
    archived: bool,
    archived_at: Option<Text<'a>>,
}

/// A property's value.
pub(super) type Value<'a> = Option<Text<'a>>;

/// The times of a record.
pub(super) struct Times {
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl Times {
    pub(super) fn created(&self) -> Option<Timestamp> {
        Some(Timestamp(self.created_at))
    }

    pub(super) fn updated(&self) -> Option<Timestamp> {
        Some(Timestamp(self.updated_at))
    }
}

impl<P> Object<'_, P> {
    /// `modified` is the property that searches go by. Archiving a record does not change it.
    pub(super) fn times(&self, modified: &Value<'_>) -> Result<Times, RecordError> {
        let time = |name: &str, text: &Text<'_>| {
            instant(&text.0).ok_or_else(|| RecordError(format!("{name} is neither an RFC 3339 time nor milliseconds")))
        };
        let modified = match modified {
            Some(text) => time("the time of the last change", text)?,
            None => time("updatedAt", &self.updated_at)?,
        };
        let archived = self.archived_at.as_ref().filter(|_| self.archived);
        let archived = archived.map(|text| time("archivedAt", text)).transpose()?;
        Ok(Times {
            created_at: time("createdAt", &self.created_at)?,
            updated_at: archived.map_or(modified, |at| at.max(modified)),
        })
    }
}

pub(super) fn mapped<'a, P, T>(raw: Object<'a, P>, times: &Times, object: T) -> Mapped<'a, T> {
    Mapped {
        id: raw.id.0,
        updated_at: Some(times.updated_at),
        created_at: Some(times.created_at),
        deleted: raw.archived,
        revision: None,
        object,
    }
}

pub(super) fn filled<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    value.as_ref().map(|text| text.0.clone()).filter(|text| !text.is_empty())
}

pub(super) fn list<'a>(value: &Value<'a>) -> Vec<Cow<'a, str>> {
    filled(value).into_iter().collect()
}

pub(super) fn number(value: &Value<'_>) -> Option<Number> {
    value.as_ref().and_then(|text| Number::parse(&text.0))
}

pub(super) fn telephone<'a>(value: &Value<'a>, kind: Option<&'static str>) -> Option<Telephone<'a>> {
    filled(value).map(|telephone| Telephone { telephone, kind })
}

/// A time of a record's. Answers have RFC 3339 (developers.hubspot.com, "Search the CRM"), but the reference shows values
/// of properties as milliseconds since the epoch too, as requests have them ("How should timestamps be formatted").
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    parse_time(text).or_else(|| DateTime::from_timestamp_millis(text.parse().ok()?))
}

/// A time, or a date, which is midnight UTC ("Properties", "Date and datetime formats").
pub(super) fn date(value: &Value<'_>) -> Option<Timestamp> {
    let text = &value.as_ref()?.0;
    let midnight =
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    midnight().or_else(|| instant(text)).map(Timestamp)
}

pub(super) fn address<'a>(
    lines: (&Value<'a>, &Value<'a>),
    city: &Value<'a>,
    region: &Value<'a>,
    postal_code: &Value<'a>,
    country: &Value<'a>,
) -> Option<Address<'a>> {
    let address = Address {
        address1: filled(lines.0),
        address2: filled(lines.1),
        city: filled(city),
        country: filled(country),
        postal_code: filled(postal_code),
        region: filled(region),
        ..Address::default()
    };
    let parts = [&address.address1, &address.address2, &address.city, &address.region];
    let is_there = parts.into_iter().chain([&address.postal_code, &address.country]).any(Option::is_some);
    is_there.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_as_text_or_as_milliseconds() {
        let at = parse_time("2026-03-02T09:00:00.123Z");
        assert_eq!(instant("2026-03-02T09:00:00.123Z"), at);
        assert_eq!(instant("1772442000123"), at);
        assert_eq!(instant("yesterday"), None);
        assert_eq!(date(&Some(Text("2026-03-02".into()))), parse_time("2026-03-02T00:00:00Z").map(Timestamp));
    }
}
