//! The HTTP API: what people and their programs ask of Anyhook.
//!
//! [`router`] has every route on one page; a folder is a noun, a file in it a verb. [`wire`] reads requests, `error`
//! has the one shape of everything that is no success, and the shapes of answers are in [`crate::api_model`].

mod api_calls;
mod auth;
mod connections;
pub(crate) mod delivery_settings;
mod destinations;
pub(crate) mod error;
mod fallback;
pub(crate) mod find;
mod health;
mod insights;
mod integrations;
mod limiter;
mod limits;
mod notifications;
mod output;
mod recipient;
mod router;
mod secrets;
mod serve;
mod socket;
pub(crate) mod state;
mod version;
mod webhooks;
pub(crate) mod wire;
mod workspace;

pub use router::router;
pub use serve::serve;
pub use state::{ApiOptions, Guards};
