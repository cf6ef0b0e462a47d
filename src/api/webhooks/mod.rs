//! `/unified/webhook`: subscriptions.

mod backfill;
mod create;
mod delete;
mod deliveries;
mod get;
mod list;
mod preview;
mod replay;
mod replay_parts;
mod resume;
mod runs;
mod secret;
mod settings;
mod skip;
mod test;
mod told;
mod trigger;
mod update;
mod view;

pub(crate) use backfill::{backfill, cancel_backfill, get_backfill};
pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use deliveries::{deliveries, deliveries_of, delivery, delivery_of};
pub(crate) use get::get;
pub(crate) use list::list;
pub(crate) use preview::{preview, preview_of};
pub(crate) use replay::{cancel_replay, cancel_replay_of, get_replay, last_replay_of, replay, replay_of};
pub(crate) use resume::resume;
pub(crate) use runs::runs;
pub(crate) use secret::{end as end_secret, rotate as rotate_secret};
pub(crate) use settings::hook_url;
pub(crate) use skip::{skip, skip_of};
pub(crate) use test::{test, test_url};
pub(crate) use trigger::trigger;
pub(crate) use update::update;
