//! How what a template prints is made safe for the content type it becomes part of.

use super::check::Anything;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, Value, escape_formatter};
use url::form_urlencoded::byte_serialize;

const JSON: &str = "json";
const FORM: &str = "form";

/// What a body is, as far as printing into it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON: text is printed as the inside of a string, to stand between quotes; numbers, true and false as they are.
    Json,
    /// A form's fields: what is printed is percent-encoded.
    Form,
    /// HTML and XML: what is printed has its markup escaped.
    Markup,
    /// Anything else: what is printed stands as it is.
    Plain,
}

impl Kind {
    /// By the content type, with or without parameters.
    pub(super) fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Kind::Json,
            "application/x-www-form-urlencoded" => Kind::Form,
            "text/html" | "text/xml" | "application/xml" => Kind::Markup,
            other if other.ends_with("+json") => Kind::Json,
            other if other.ends_with("+xml") => Kind::Markup,
            _ => Kind::Plain,
        }
    }

    pub(super) fn auto_escape(self) -> AutoEscape {
        match self {
            Kind::Json => AutoEscape::Custom(JSON.into()),
            Kind::Form => AutoEscape::Custom(FORM.into()),
            Kind::Markup => AutoEscape::Html,
            Kind::Plain => AutoEscape::None,
        }
    }
}

/// Prints a value.
pub(super) fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let how = match state.auto_escape() {
        AutoEscape::Custom(how) if !value.is_safe() => how.clone(),
        _ if value.is_safe() => return write!(out, "{value}").map_err(Error::from),
        _ => return escape_formatter(out, state, value),
    };
    if how == FORM {
        let text = value.to_string();
        return byte_serialize(text.as_bytes()).try_for_each(|part| out.write_str(part)).map_err(Error::from);
    }
    match value.kind() {
        ValueKind::Undefined => Ok(()),
        ValueKind::None => out.write_str("null").map_err(Error::from),
        ValueKind::String => json_text(out, value),
        _ if value.downcast_object_ref::<Anything>().is_some() => write!(out, "{value}").map_err(Error::from),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => Err(Error::new(
            ErrorKind::InvalidOperation,
            "a list or an object cannot stand in text; put |tojson behind it",
        )),
        _ => write!(out, "{value}").map_err(Error::from),
    }
}

/// The inside of a JSON string.
fn json_text(out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    let quoted = serde_json::to_string(value.as_str().unwrap_or_default())
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    out.write_str(inside).map_err(Error::from)
}
