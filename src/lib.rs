//! Anyhook: webhooks from any API, self-hosted.
//!
//! Polls vendors' List endpoints, takes in the webhooks they send themselves, and pushes both to subscribers as the same
//! signed payload. ARCHITECTURE.md has the bird's eye.

pub mod api;
pub mod api_model;
pub mod bootstrap;
pub mod cli;
pub mod clock;
pub mod context;
pub mod credentials;
pub mod deliver;
pub mod demo;
pub mod engine;
pub mod ids;
pub mod ingress;
pub mod leases;
pub mod limits;
pub mod log;
pub mod outbound;
pub mod poll;
pub mod random;
pub mod secrets;
pub mod server;
pub mod settings;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod template;
mod ui;
pub mod verify;
