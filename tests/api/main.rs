//! The HTTP API as a client sees it: the wire's rules, what each noun does, and how mistakes are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail by panicking

#[path = "../http_support/mod.rs"]
mod http_support;

mod backfills;
mod bad_input;
mod connections;
mod dashboard;
mod deliveries;
mod delivery_settings;
mod destinations;
mod insights;
mod notifications;
mod oauth;
mod roles;
mod rules;
mod secrets;
mod templates;
mod webhooks;
mod workspace;
