//! Headers of a person's own: which names are free, and what a value may be.

use super::error::TemplateError;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// What a header's value is answered as. Sent back, it stands for the value that is kept.
pub const MASK: &str = "***";

/// Names that belong to the connection (RFC 9110, section 7.6.1), to the body as we frame it, or to a setting of its own.
const TAKEN: [HeaderName; 13] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    HOST,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Other names of the connection's that have no constant.
const TAKEN_TEXTS: [&str; 2] = ["keep-alive", "proxy-connection"];

/// What signatures and our own headers begin with.
const TAKEN_PREFIXES: [&str; 3] = ["webhook-", "anyhook-", "x-hub-signature"];

/// The setting that a header is.
pub(super) fn field(name: &str) -> String {
    format!("headers.{name}")
}

/// A header's name in lower case, if a person may set it.
pub fn header_name(name: &str) -> Result<HeaderName, TemplateError> {
    let wrong = |message: &str| TemplateError::new(field(name), message);
    let parsed = HeaderName::try_from(name).map_err(|_| wrong("is not the name of a header"))?;
    if parsed == CONTENT_TYPE {
        return Err(wrong("is set by content_type"));
    }
    let text = parsed.as_str();
    let is_taken = TAKEN.contains(&parsed)
        || TAKEN_TEXTS.contains(&text)
        || TAKEN_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    if is_taken { Err(wrong("is set by Anyhook and cannot be another; take another name")) } else { Ok(parsed) }
}

/// A header's value. It is marked as secret, so that it is not shown in what is logged.
pub(super) fn header_value(name: &HeaderName, text: &str, bytes_max: usize) -> Result<HeaderValue, TemplateError> {
    if text.len() > bytes_max {
        let message = format!("longer than the {bytes_max} bytes that are taken (ANYHOOK_DELIVER_HEADER_BYTES_MAX)");
        return Err(TemplateError::new(field(name.as_str()), message));
    }
    let wrong = |_| TemplateError::new(field(name.as_str()), "has characters that cannot stand in a header");
    let mut value = HeaderValue::from_str(text).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}
