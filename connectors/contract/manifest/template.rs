//! What a vendor signs, as a text with places in it: `v0:{timestamp}:{body}`.

/// A text with places: `{body}` is the raw body, `{timestamp}` the signed time as it was sent, `{url}` the URL that the
/// vendor pushed to, `{method}` the request's method, and `{header:<name>}` the value of a header, its name in lower
/// case. What stands between is taken as it is; braces can stand only around places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template<'a>(pub &'a str);

/// A part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// The raw body.
    Body,
    /// The timestamp as sent.
    Timestamp,
    /// The URL the vendor pushed to.
    Url,
    /// The request's method.
    Method,
    /// The value of a header.
    Header(&'a str),
    /// A fixed text.
    Text(&'a str),
}

impl<'a> Template<'a> {
    /// The raw body alone.
    pub const BODY: Template<'static> = Template("{body}");

    /// Its parts in order; none where a place is not known or a brace stands alone.
    pub fn parts(self) -> Option<Vec<Content<'a>>> {
        let mut parts = Vec::new();
        let mut rest = self.0;
        while let Some((text, place)) = rest.split_once('{') {
            parts.extend(text_part(text)?);
            let (name, behind) = place.split_once('}')?;
            parts.push(match name {
                "body" => Content::Body,
                "timestamp" => Content::Timestamp,
                "url" => Content::Url,
                "method" => Content::Method,
                _ => Content::Header(name.strip_prefix("header:").filter(|name| is_header(name))?),
            });
            rest = behind;
        }
        parts.extend(text_part(rest)?);
        Some(parts)
    }
}

/// A text between places: nothing of nothing, none where it has a brace.
fn text_part(text: &str) -> Option<Option<Content<'_>>> {
    if text.contains('}') { None } else { Some((!text.is_empty()).then_some(Content::Text(text))) }
}

/// Whether this is a header's name in lower case (RFC 9110, "Tokens", as far as vendors go).
pub fn is_header(name: &str) -> bool {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    !name.is_empty() && name.chars().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_what_stands_between() {
        let parts = |text| Template(text).parts();
        assert_eq!(parts("{body}"), Some(vec![Content::Body]));
        let slack = [Content::Text("v0:"), Content::Timestamp, Content::Text(":"), Content::Body];
        assert_eq!(parts("v0:{timestamp}:{body}"), Some(slack.to_vec()));
        let all = [Content::Method, Content::Url, Content::Header("x-id")];
        assert_eq!(parts("{method}{url}{header:x-id}"), Some(all.to_vec()));
        assert_eq!(parts(""), Some(vec![]));
        for odd in ["{", "}", "{body", "body}", "{boby}", "{header:}", "{header:X}", "{{body}}", "{header:a b}"] {
            assert_eq!(parts(odd), None, "{odd}");
        }
    }
}
