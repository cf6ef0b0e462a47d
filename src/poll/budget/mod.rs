//! Budgets: how often, and how much at once, a vendor may be asked.
//!
//! A request is counted by its credential and, where the vendor counts that, by the app over all credentials. Each of
//! these quotas has a [`pace`], and a gate, which is the vendor's own word ([`quota`]); a pause is kept in the store by
//! whoever observes it. [`host`] says whose turn it is, [`turns`] in which order the feeds of one credential come;
//! [`gate`] waits. All but that is pure.

mod caller;
pub mod gate;
pub mod host;
pub mod pace;
mod plan;
pub mod quota;
pub mod slots;
pub mod turns;

#[cfg(test)]
mod tests;

pub use caller::{Caller, Priority};
pub use plan::Plan;
