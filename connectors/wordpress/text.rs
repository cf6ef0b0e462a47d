//! Text and times as WordPress writes them.

use crate::contract::RecordError;
use crate::json::Text;
use crate::model::parse_time_utc;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use std::borrow::Cow;

/// Text that was made ready for a page: HTML.
#[derive(Deserialize)]
pub(super) struct Rendered<'a> {
    #[serde(borrow)]
    pub(super) rendered: Text<'a>,
}

/// A `*_gmt` time: UTC, without a zone, in whole seconds.
pub(super) fn time(text: &Text<'_>) -> Result<DateTime<Utc>, RecordError> {
    parse_time_utc(&text.0).ok_or_else(|| RecordError(format!("{:?} is no time", text.0)))
}

/// A time as WordPress takes it.
pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An id that points to nothing is 0.
pub(super) fn pointer(id: u64) -> Option<Cow<'static, str>> {
    (id > 0).then(|| Cow::Owned(id.to_string()))
}

/// Undoes the character references that WordPress puts into titles: typographic quotes and dashes by number, and the
/// few names that HTML needs. Others stay as they are.
pub(super) fn plain(html: Cow<'_, str>) -> Cow<'_, str> {
    if !html.contains('&') {
        return html;
    }
    let mut text = String::with_capacity(html.len());
    let mut rest = html.as_ref();
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        match after.split_once(';').and_then(|(name, tail)| Some((character(name)?, tail))) {
            Some((character, tail)) => {
                text.push(character);
                rest = tail;
            }
            None => {
                text.push('&');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character that a reference means.
fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_lose_their_character_references() {
        let cases = [
            ("Hello world!", "Hello world!"),
            ("Don&#8217;t &#8211; R&amp;D &lt;b&gt;", "Don\u{2019}t \u{2013} R&D <b>"),
            ("&#x1F600; a & b; c &unknown; &", "\u{1f600} a & b; c &unknown; &"),
            ("&#1114112; &#xD800; &#; &amp;amp;", "&#1114112; &#xD800; &#; &amp;"),
        ];
        for (html, text) in cases {
            assert_eq!(plain(Cow::Borrowed(html)), text);
        }
    }
}
