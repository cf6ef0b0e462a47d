//! `/unified/apicall`: the audit trail.

mod get;
mod list;

pub(crate) use get::get;
pub(crate) use list::list;
