//! What the benches share: a user of the API, the other processes, and what a process costs.

#![allow(dead_code)] // each bench uses a part of it

pub(crate) mod client;
pub(crate) mod cost;
pub(crate) mod peers;
