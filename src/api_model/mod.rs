//! Shapes of the public API that more than one part writes.

pub mod api_call;
pub mod backfill;
pub mod connection;
pub mod delivery;
pub mod delivery_settings;
pub mod destination;
pub mod health;
pub mod insight;
pub mod integration;
pub mod notification;
pub mod replay;
pub mod webhook;
pub mod workspace;
