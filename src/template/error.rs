//! Why a template cannot be used.

use minijinja::ErrorKind;
use thiserror::Error;

/// Bytes of a template's part that is repeated; a longer one says nothing.
const PART_BYTES_MAX: usize = 80;

/// The setting that a template is, and what the engine calls it.
pub(super) const TEMPLATE: &str = "template";

/// Why a template or a header cannot be used: where it is wrong, and what to do. Holds nothing of a header's value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct TemplateError {
    /// The setting: `template`, `content_type` or `headers.<name>`.
    pub field: String,
    /// What is wrong, with the line where it is known.
    pub message: String,
}

impl TemplateError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        TemplateError { field: field.into(), message: message.into() }
    }

    /// From what the template engine says.
    pub(super) fn of(field: &str, error: &minijinja::Error, fuel: u64) -> Self {
        let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
        let what = match error.kind() {
            ErrorKind::OutOfFuel => {
                format!("it does more than the {fuel} steps that are allowed (ANYHOOK_DELIVER_TEMPLATE_FUEL)")
            }
            // A detail may repeat what stands in the source, and a header's source is secret.
            kind => match error.detail().filter(|_| field == TEMPLATE) {
                Some(detail) => format!("{kind}: {detail}"),
                None => kind.to_string(),
            },
        };
        let part = error.template_source().zip(error.range()).and_then(|(source, range)| source.get(range));
        let part = part.filter(|part| field == TEMPLATE && part.len() <= PART_BYTES_MAX && !what.contains(part));
        let part = part.map(|part| format!(" in `{part}`")).unwrap_or_default();
        Self::new(field, format!("{line}{what}{part}"))
    }
}
