//! Shapes of the public API that more than one part writes.

pub mod webhook;
