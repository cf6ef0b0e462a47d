//! `anyhook migrate`: everything moves, from one engine to another and back, whatever happens on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod killed;
mod life;
mod program;
mod refused;
mod round_trip;
mod rows;
