//! Fields of a JSON object, one by one: each mistake is told with the field's path. What is not asked for is ignored,
//! and null counts as absent.

use super::date;
use crate::api::error::ApiError;
use crate::limits::ApiLimits;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The fields of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    prefix: &'a str,
    map: &'a Map<String, Value>,
    limits: &'a ApiLimits,
}

impl<'a> Fields<'a> {
    /// Those of `map`, which stands at `prefix`: empty, or a path with its dot.
    pub(crate) fn new(prefix: &'a str, map: &'a Map<String, Value>, limits: &'a ApiLimits) -> Self {
        Fields { prefix, map, limits }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// True if it is there and null, for what null takes out.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(Value::is_null)
    }

    /// 400 for a field of this object.
    pub(crate) fn error(&self, name: &str, expected: impl std::fmt::Display) -> ApiError {
        ApiError::field(format_args!("{}{name}", self.prefix), expected)
    }

    fn wrong(&self, name: &str, expected: &str, value: &Value) -> ApiError {
        self.error(name, format_args!("expected {expected}, got {}", kind_of(value)))
    }

    fn checked(&self, name: &str, text: &'a str) -> Result<&'a str, ApiError> {
        let bytes_max = self.limits.text_bytes_max;
        if text.len() > bytes_max {
            return Err(self.error(name, format_args!("longer than the {bytes_max} bytes that are taken")));
        }
        Ok(text)
    }

    /// Text; an empty one is text too.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => self.checked(name, text).map(Some),
            Some(other) => Err(self.wrong(name, "text", other)),
        }
    }

    /// Text that may be longer than others.
    pub(crate) fn long_text(&self, name: &str, bytes_max: usize) -> Result<Option<&'a str>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= bytes_max => Ok(Some(text)),
            Some(Value::String(_)) => {
                Err(self.error(name, format_args!("longer than the {bytes_max} bytes that are taken")))
            }
            Some(other) => Err(self.wrong(name, "text", other)),
        }
    }

    /// Whatever it is.
    pub(crate) fn json(&self, name: &str) -> Option<&'a Value> {
        self.get(name)
    }

    /// Text that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.error(name, "is missing"))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, ApiError> {
        let wrong = |value| self.wrong(name, "a number", value);
        self.get(name).map(|value| value.as_f64().ok_or_else(|| wrong(value))).transpose()
    }

    /// A list of numbers with a bound on its length.
    pub(crate) fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, ApiError> {
        let items = match self.get(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(self.wrong(name, "a list of numbers", other)),
        };
        self.check_entries(name, items.len())?;
        let number = |item: &Value| item.as_f64().ok_or_else(|| self.wrong(name, "a list of numbers", item));
        items.iter().map(number).collect::<Result<_, _>>().map(Some)
    }

    /// A whole number within these bounds; clients may write it as `10.0`.
    pub(crate) fn count(&self, name: &str, min: u32, max: u32) -> Result<Option<u32>, ApiError> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        if number.fract() != 0.0 || number < f64::from(min) || number > f64::from(max) {
            return Err(self.error(name, format_args!("expected a whole number from {min} to {max}")));
        }
        // Whole and within the bounds of u32 here.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Some(number as u32))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let wrong = |value| self.wrong(name, "true or false", value);
        self.get(name).map(|value| value.as_bool().ok_or_else(|| wrong(value))).transpose()
    }

    /// A time.
    pub(crate) fn date(&self, name: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.map(|text| date(format_args!("{}{name}", self.prefix), text)).transpose()
    }

    /// A list of texts; one text is read as a list divided by commas.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let items: Vec<&'a str> = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) => self.checked(name, text)?.split(',').collect(),
            Some(Value::Array(items)) => {
                let text = |item: &'a Value| item.as_str().ok_or_else(|| self.wrong(name, "a list of texts", item));
                items.iter().map(text).collect::<Result<_, _>>()?
            }
            Some(other) => return Err(self.wrong(name, "a list of texts", other)),
        };
        let mut texts: Vec<String> = Vec::with_capacity(items.len());
        for item in items.into_iter().map(str::trim).filter(|item| !item.is_empty()) {
            let item = self.checked(name, item)?;
            if !texts.iter().any(|known| known == item) {
                texts.push(item.to_owned());
            }
        }
        Ok(Some(texts))
    }

    /// A list of texts with a bound on its length.
    pub(crate) fn few_texts(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let texts = self.texts(name)?;
        self.check_entries(name, texts.as_ref().map_or(0, Vec::len))?;
        Ok(texts)
    }

    /// An object of texts; numbers, true and false are read as text.
    pub(crate) fn text_map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, ApiError> {
        let map = match self.get(name) {
            None => return Ok(None),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(self.wrong(name, "an object of texts", other)),
        };
        self.check_entries(name, map.len())?;
        let mut texts = BTreeMap::new();
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let text = match value {
                Value::String(text) => self.checked(name, text)?.to_owned(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                other => return Err(self.wrong(&format!("{name}.{key}"), "text", other)),
            };
            texts.insert(self.checked(name, key)?.to_owned(), text);
        }
        Ok(Some(texts))
    }

    /// The fields of an object within, which stands at `prefix`.
    pub(crate) fn object(&self, name: &str, prefix: &'a str) -> Result<Option<Fields<'a>>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields::new(prefix, map, self.limits))),
            Some(other) => Err(self.wrong(name, "an object", other)),
        }
    }

    /// The objects of a list.
    pub(crate) fn objects(&self, name: &str) -> Result<Option<Vec<&'a Map<String, Value>>>, ApiError> {
        let items = match self.get(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(self.wrong(name, "a list of objects", other)),
        };
        let object = |item: &'a Value| item.as_object().ok_or_else(|| self.wrong(name, "a list of objects", item));
        items.iter().map(object).collect::<Result<_, _>>().map(Some)
    }

    /// Where these fields stand: empty, or a path with its dot.
    pub(crate) fn prefix(&self) -> &'a str {
        self.prefix
    }

    fn check_entries(&self, name: &str, entries: usize) -> Result<(), ApiError> {
        let entries_max = self.limits.entries_max;
        if entries > entries_max {
            return Err(self.error(name, format_args!("more than the {entries_max} entries that are taken")));
        }
        Ok(())
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
