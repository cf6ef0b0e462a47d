//! Anyhook's connectors: what it knows of each vendor's API, without IO, clock, secrets or async.
//!
//! [`contract`] says what a connector is, [`model`] holds the unified objects, [`walk`] the arithmetic of paging over a
//! listing that moves, and every other folder is one integration with its recorded exchanges in `fixtures/`.

pub mod caldav;
pub mod contract;
pub mod custom;
#[cfg(test)]
mod fixtures;
pub mod github;
pub mod hubspot;
pub mod json;
pub mod kinto;
pub mod linear;
pub mod model;
pub mod redmine;
pub mod sandbox;
pub mod slack;
pub mod stripe;
pub mod trello;
pub mod walk;
pub mod wordpress;

use contract::Connector;

/// Every integration, sorted by name: one line each.
static REGISTRY: &[&dyn Connector] = &[
    &caldav::CalDav,
    &custom::Custom,
    &github::GitHub,
    &hubspot::HubSpot,
    &kinto::Kinto,
    &linear::Linear,
    &redmine::Redmine,
    &sandbox::Sandbox,
    &slack::Slack,
    &stripe::Stripe,
    &trello::Trello,
    &wordpress::WordPress,
];

/// Every integration, sorted by name.
pub fn all() -> &'static [&'static dyn Connector] {
    REGISTRY
}

/// The integration of this name.
pub fn find(integration: &str) -> Option<&'static dyn Connector> {
    REGISTRY.iter().copied().find(|connector| connector.manifest().integration == integration)
}
