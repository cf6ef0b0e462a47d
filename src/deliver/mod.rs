//! The right half of the line: log, batch, sign, deliver, audit. It owns positions alone: a webhook reads its feed's log
//! from its position, makes a batch, delivers it, moves on.
//!
//! [`run`] is the whole of it: a hub hears of what became durable and starts a pump for each webhook with something to
//! deliver; a pump ends when there is nothing left. An idle webhook has no task and no memory.

pub mod backoff;
pub mod batch;
pub mod derive;
pub mod payload;
pub mod project;
pub mod sign;
pub mod verdict;

mod answer;
mod attempt;
mod behind;
mod commits;
mod cursor;
mod desk;
mod hub;
mod keeping;
mod keys;
mod lanes;
mod notices;
mod outputs;
mod pages;
mod plan;
mod pump;
mod queue;
mod readers;
mod reading;
mod rendering;
mod replay_pages;
mod replayer;
mod replays;
mod send;
mod shared;
mod signal;
mod slots;
mod slow;
mod speeds;
mod subscriber;
mod trial;
mod trim;

pub use desk::{Desk, DeskError, Payload};
pub use hub::run;
pub(crate) use notices::sample_object;
pub use plan::{Plan, Reached};
pub(crate) use trim::keep;
