//! A vendor's side of the sandbox: records, events and their signatures.

use crate::http_support::{Answer, Server};
use anyhook::clock::Clock;
use anyhook::simulator::{Object, Simulator, SimulatorSettings};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// The secret of connections that `http_support::sandbox` makes.
pub(crate) const SECRET: &str = "whs-very-secret";

/// A record of the vendor's as it is now, made up by the simulator.
pub(crate) fn contact() -> Value {
    let settings = SimulatorSettings { records: 0, ..SimulatorSettings::default() };
    let simulator = Simulator::new(settings, Clock::system());
    let made =
        simulator.with(|vendor, now| vendor.create(Object::Contacts, Default::default(), now.timestamp_millis()));
    serde_json::from_slice(&made.unwrap()).unwrap()
}

/// The body of an event about it.
pub(crate) fn event(name: &str, record: &Value) -> String {
    serde_json::json!({"event": name, "id": "evt_1", "data": {"record": record}}).to_string()
}

/// The signature's header over a body at a time.
pub(crate) fn signature(secret: &str, at_s: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at_s}.{body}").as_bytes());
    format!("t={at_s},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// Pushes a body, signed now.
pub(crate) async fn push(server: &Server, connection: &str, body: &str) -> Answer {
    let signature = signature(SECRET, server.context.clock.now().timestamp(), body);
    let headers = [("x-sandbox-signature", signature.as_str()), ("content-type", "application/json")];
    server.send("POST", &format!("/ingress/{connection}"), &headers, body.as_bytes()).await
}
