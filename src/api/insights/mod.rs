//! `/unified/insight`: what was done for a connection's object types, by the hour and by the day.

mod list;

pub(crate) use list::list;
