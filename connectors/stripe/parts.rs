//! Parts that several of Stripe's objects have.

use crate::contract::ConnectorError;
use crate::json::{Id, Text};
use crate::model::{Number, Timestamp};
use chrono::DateTime;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A list (docs.stripe.com/api/pagination).
#[derive(Deserialize)]
pub(super) struct List<'a> {
    #[serde(borrow)]
    pub(super) data: Vec<&'a RawValue>,
    pub(super) has_more: bool,
}

impl List<'_> {
    /// The id of the last object, behind which the next page begins; none at the end.
    pub(super) fn next_token(&self) -> Result<Option<String>, ConnectorError> {
        let Some(last) = self.data.last().filter(|_| self.has_more) else { return Ok(None) };
        let kind: Kind<'_> = serde_json::from_str(last.get())?;
        let id =
            kind.id.ok_or_else(|| ConnectorError::malformed("there is a next page, but the last object has no id"))?;
        Ok(Some(id.0.into_owned()))
    }
}

/// What every object says of itself.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Kind<'a> {
    pub(super) id: Option<Id<'a>>,
    pub(super) object: Option<Text<'a>>,
    #[serde(default)]
    pub(super) deleted: bool,
}

pub(super) fn is_deleted(raw: &RawValue) -> bool {
    serde_json::from_str::<Kind<'_>>(raw.get()).is_ok_and(|kind| kind.deleted)
}

/// The id of another object, which may stand there whole (docs.stripe.com/api/expanding_objects).
pub(super) struct Ref<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Ref<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RefVisitor).map(Ref)
    }
}

struct RefVisitor;

impl<'de> Visitor<'de> for RefVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id, or an object with one")
    }

    fn visit_borrowed_str<E>(self, id: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(id))
    }

    fn visit_str<E>(self, id: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(id.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.0 == "id" {
                id = Some(map.next_value::<Text<'de>>()?.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        id.ok_or_else(|| serde::de::Error::missing_field("id"))
    }
}

pub(super) fn id(reference: Option<Ref<'_>>) -> Option<Cow<'_, str>> {
    reference.map(|reference| reference.0)
}

pub(super) fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

/// Seconds since the epoch, as everywhere at Stripe.
pub(super) fn date(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map(Timestamp)
}

/// Currencies without a smaller unit, and those whose amounts have three decimals (docs.stripe.com/currencies,
/// "Zero-decimal currencies" and "Three-decimal currencies").
const ZERO_DECIMALS: [&str; 16] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"];
const THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// An amount in the currency's own unit: Stripe counts in the smallest (docs.stripe.com/currencies). Amounts of `ugx` are
/// sent with two decimals that are always zero ("Special cases"); those of `isk`, `huf` and `twd`, named there too, have
/// two as most do.
pub(super) fn amount(smallest: Option<i64>, currency: Option<&Text<'_>>) -> Option<Number> {
    let currency = currency.map(|text| text.0.to_ascii_lowercase()).unwrap_or_default();
    let divisor = match currency.as_str() {
        "ugx" => 100.0,
        zero if ZERO_DECIMALS.contains(&zero) => 1.0,
        three if THREE_DECIMALS.contains(&three) => 1_000.0,
        _ => 100.0,
    };
    // Whole numbers up to 2^53 stand in it as they are: more than 90 million million in the smallest unit.
    #[allow(clippy::cast_precision_loss)]
    smallest.and_then(|smallest| Number::new(smallest as f64 / divisor))
}

/// A currency's code in capitals (ISO 4217); Stripe writes it small.
pub(super) fn currency<'a>(text: Option<&Text<'a>>) -> Option<Cow<'a, str>> {
    text.map(|text| Cow::Owned(text.0.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_the_currencys_own_unit() {
        let shown = |smallest, code: &'static str| {
            serde_json::to_string(&amount(Some(smallest), Some(&Text(code.into())))).unwrap()
        };
        assert_eq!(shown(1_099, "usd"), "10.99");
        assert_eq!(shown(-500, "eur"), "-5");
        assert_eq!(shown(500, "jpy"), "500");
        assert_eq!(shown(5_120, "KWD"), "5.12");
        assert_eq!(shown(500, "ugx"), "5");
    }
}
