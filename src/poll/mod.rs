//! The left half: polls vendors, finds what changed, writes it to the log.

pub mod budget;
pub mod diff;
pub mod error;
pub mod rate_headers;
mod refresh;
pub mod sign_in;
pub mod transport;
