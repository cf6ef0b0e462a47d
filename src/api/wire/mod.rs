//! How requests are read: leniently where clients differ, strictly where a mistake would pass unseen.

mod args;
mod body;
mod fields;
mod path;

pub(crate) use args::Args;
pub(crate) use body::{JsonBody, OptionalBody, read_capped};
pub(crate) use fields::Fields;
pub(crate) use path::Segments;

use super::error::ApiError;
use crate::store::{EventPattern, NotificationEvent};
use chrono::{DateTime, Utc};
use std::fmt::Display;

/// The value that `text` names, or 400 with those allowed.
pub(crate) fn choice<T: Copy>(field: impl Display, text: &str, allowed: &[(&str, T)]) -> Result<T, ApiError> {
    allowed.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = allowed.iter().map(|(name, _)| *name).collect();
        ApiError::field(field, format!("`{}` is not known; use one of {}", shorten(text), names.join(", ")))
    })
}

/// What a pattern of notifications' events names, or 400 with those there are.
pub(crate) fn event(field: impl Display, text: &str) -> Result<EventPattern, ApiError> {
    text.parse().map_err(|_| {
        let names: Vec<_> = NotificationEvent::ALL.iter().map(|event| event.as_str()).collect();
        let names = names.join(", ");
        let expected =
            format!("`{}` is not known; use *, CONNECTION_*, WEBHOOK_* and the like, or {names}", shorten(text));
        ApiError::field(field, expected)
    })
}

/// A time as RFC 3339 writes it.
pub(crate) fn date(field: impl Display, text: &str) -> Result<DateTime<Utc>, ApiError> {
    // A `+` that a client did not encode arrives as a space.
    DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
        .map(|at| at.with_timezone(&Utc))
        .map_err(|_| ApiError::field(field, "expected a time with zone as in 2024-05-31T12:00:00Z"))
}

/// What of a client's text is repeated to it.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 64;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
