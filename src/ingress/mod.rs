//! The ingress: webhooks that vendors push to `/ingress/{connection_id}`.
//!
//! A delivery is verified before it is parsed ([`verify`]), read by its connector, held against the ledger, and
//! acknowledged once it is durable. What cannot be ordered, compared or matched becomes a ping, and the feed is polled.
//! [`registrar`] asks vendors to push in the first place.

mod arrival;
mod change;
mod handshake;
pub mod registrar;
mod registration;
mod take;
pub mod verify;

pub(crate) use handshake::greet;
pub(crate) use take::take;
