//! `/unified/destination`: where notifications go, apart from the webhooks that changes go to.

mod create;
mod delete;
mod deliveries;
mod get;
mod list;
mod replay;
mod resume;
mod secret;
mod subscriptions;
mod test;
mod update;
mod view;

pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use deliveries::{deliveries, delivery};
pub(crate) use get::get;
pub(crate) use list::list;
pub(crate) use replay::{cancel_replay, get_replay, replay, skip};
pub(crate) use resume::resume;
pub(crate) use secret::{end as end_secret, rotate as rotate_secret};
pub(crate) use test::test;
pub(crate) use update::update;
