//! Parts that issues and projects have.

use crate::contract::RecordError;
use crate::json::{Id, Text};
use crate::model::{Timestamp, parse_time};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use serde::Deserialize;
use std::borrow::Cow;

/// A pointer to something else, with its name.
#[derive(Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

pub(super) fn id(named: Option<Named<'_>>) -> Option<Cow<'_, str>> {
    named.map(|named| named.id.0)
}

pub(super) fn ids(named: Vec<Named<'_>>) -> Vec<Cow<'_, str>> {
    named.into_iter().map(|named| named.id.0).collect()
}

pub(super) fn name(named: Option<Named<'_>>) -> Option<Cow<'_, str>> {
    named.and_then(|named| text(named.name))
}

/// Text, if there is any: empty text is what an empty field gives.
pub(super) fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

/// A time as Redmine takes it.
pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time, such as `2014-01-02T08:12:32Z`.
pub(super) fn time(text: &Text<'_>) -> Result<DateTime<Utc>, RecordError> {
    parse_time(&text.0).ok_or_else(|| RecordError(format!("{:?} is no time", text.0)))
}

/// A day, such as `2014-01-02`, as its first instant in UTC.
pub(super) fn date(text: Option<&Text<'_>>) -> Result<Option<Timestamp>, RecordError> {
    let Some(text) = text.filter(|text| !text.0.is_empty()) else {
        return Ok(None);
    };
    let day: NaiveDate = text.0.parse().map_err(|_| RecordError(format!("{:?} is no date", text.0)))?;
    Ok(Some(Timestamp(day.and_time(NaiveTime::MIN).and_utc())))
}
