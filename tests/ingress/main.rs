//! Vendors' own webhooks: who is believed, what is kept, and how a vendor is asked to push.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail by panicking

#[path = "../http_support/mod.rs"]
mod http_support;

mod arrivals;
mod custom;
mod handshakes;
mod published;
mod refusals;
mod registration;
mod vendor;
