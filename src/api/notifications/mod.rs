//! `/unified/notification`: what happened to connections and webhooks.

mod list;

pub(crate) use list::list;
