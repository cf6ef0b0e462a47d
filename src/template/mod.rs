//! Output templates: a Jinja template (minijinja) that makes the body of a delivery out of its payload, and headers of a
//! person's own. Pure: no clock, no randomness, no IO, so that a retry renders the same bytes again.
//!
//! - A template sees the payload: `data` (always a list), `webhook`, `type`, `nonce`, `external_xref`; and `object` where
//!   it is rendered per object. Signatures are not there: they stand in headers, over what the template makes.
//! - What is printed is made safe for the content type ([`escape`]); `|tojson` and `|safe` stand as they are.
//! - A check is strict: it fails on a name that a fully populated sample does not have. A delivery is lenient: a field
//!   that an object lacks prints nothing.
//! - Nothing but white space means that there is nothing to send.
//! - What is not there: other templates, macros, files, the time, random numbers.

mod check;
mod error;
mod escape;
mod headers;
mod output;
mod plan;
#[cfg(test)]
mod tests;

pub use check::{Sample, check};
pub use error::TemplateError;
pub use headers::{MASK, header_name};
pub use output::{Output, Parts, Payload, Reading, Rendered, Seen};
pub use plan::Plan;

/// The content type of what a template makes where none is set.
pub const CONTENT_TYPE: &str = "application/json";
