//! The right half of the line: log, batch, sign, deliver, audit. It owns positions alone: a webhook reads its feed's log
//! from its position, makes a batch, delivers it, moves on.

pub mod backoff;
pub mod batch;
pub mod derive;
pub mod payload;
pub mod project;
pub mod sign;
pub mod verdict;
pub mod verify;
