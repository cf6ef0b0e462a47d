//! What is kept of a destination's answer for whoever looks into why a delivery failed: some headers and the beginning of
//! the body. It is a stranger's text: bounded, and without what may be a secret.

use crate::outbound::OutboundResponse;
use crate::store::AnswerBody;
use http::HeaderMap;

/// Headers that are kept.
const HEADERS_MAX: usize = 16;

/// Bytes of a header's value that are kept.
const VALUE_BYTES_MAX: usize = 256;

/// Bytes of a header's name; longer ones are left out.
const NAME_BYTES_MAX: usize = 64;

/// Parts of names whose values may be secrets.
const SECRETIVE: &[&str] = &["cookie", "auth", "token", "secret", "key", "session"];

/// Headers that say nothing of the delivery: how the connection is kept, and what the body tells itself.
const IDLE: &[&str] = &["connection", "content-length", "date", "keep-alive", "transfer-encoding"];

/// The headers that are kept, by their names.
pub(super) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        let is_left_out = name.len() > NAME_BYTES_MAX
            || IDLE.contains(&name)
            || SECRETIVE.iter().any(|part| name.contains(part))
            || kept.len() == HEADERS_MAX;
        if !is_left_out {
            let text = String::from_utf8_lossy(value.as_bytes());
            kept.push((name.to_owned(), beginning(&text, VALUE_BYTES_MAX).to_owned()));
        }
    }
    kept
}

/// The beginning of a body, of at most `bytes_max` bytes; none where there is nothing to keep.
pub(super) fn body(response: &OutboundResponse, bytes_max: usize) -> Option<AnswerBody> {
    if response.body.is_empty() || bytes_max == 0 {
        return None;
    }
    let is_cut = response.is_cut || response.body.len() > bytes_max;
    let head = &response.body[..response.body.len().min(bytes_max)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        // A character that the cut has gone through is left out; anything else is no text.
        Err(error) if error.error_len().is_none() && is_cut => std::str::from_utf8(&head[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let text = text.filter(|text| !text.contains('\0'));
    Some(AnswerBody { text: text.unwrap_or_default().to_owned(), is_binary: text.is_none(), is_cut })
}

fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};

    fn kept(bytes: &[u8], is_cut: bool, max: usize) -> Option<(String, bool, bool)> {
        let response =
            OutboundResponse { status: 500, headers: HeaderMap::new(), body: Bytes::copy_from_slice(bytes), is_cut };
        body(&response, max).map(|body| (body.text, body.is_binary, body.is_cut))
    }

    #[test]
    fn a_body_is_kept_as_text_up_to_a_bound() {
        assert_eq!(kept(b"", false, 9), None);
        assert_eq!(kept(b"full", false, 0), None);
        assert_eq!(kept(b"full", false, 4), Some(("full".into(), false, false)));
        assert_eq!(kept(b"fuller", false, 4), Some(("full".into(), false, true)));
        assert_eq!(kept(b"full", true, 9), Some(("full".into(), false, true)));
        assert_eq!(kept("ab\u{e9}".as_bytes(), false, 3), Some(("ab".into(), false, true)), "no half characters");
        assert_eq!(kept(b"\xff\xfe\x00", false, 9), Some((String::new(), true, false)));
        assert_eq!(kept(b"a\0b", false, 9), Some((String::new(), true, false)));
        assert_eq!(kept(b"ab\xc3", false, 9), Some((String::new(), true, false)), "cut by who sent it");
    }

    #[test]
    fn headers_are_few_and_hold_no_secrets() {
        let mut all = HeaderMap::new();
        for name in ["set-cookie", "x-api-key", "www-authenticate", "x-csrf-token", "date", "content-length"] {
            all.append(HeaderName::from_static(name), HeaderValue::from_static("s"));
        }
        all.append("content-type", HeaderValue::from_static("text/html"));
        all.append("x-long", HeaderValue::from_str(&"v".repeat(999)).unwrap());
        let names: Vec<_> = headers(&all).into_iter().map(|(name, value)| (name, value.len())).collect();
        assert_eq!(names, [("content-type".to_owned(), 9), ("x-long".to_owned(), VALUE_BYTES_MAX)]);
        for number in 0..99 {
            all.append(HeaderName::try_from(format!("x-{number}")).unwrap(), HeaderValue::from_static("1"));
        }
        assert_eq!(headers(&all).len(), HEADERS_MAX);
    }
}
