//! The vendor's own webhooks: who listens to what, and what is yet to be pushed.

use super::Object;
use anyhook_connectors::contract::Change;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::VecDeque;
use url::{Host, Url};

/// Webhooks at most.
const HOOKS_MAX: usize = 100;
/// Pushes that wait at most; beyond it the oldest are dropped and counted.
const OUTBOX_MAX: usize = 10_000;
/// Bytes of a URL or secret at most.
const TEXT_BYTES_MAX: usize = 2_048;

/// A webhook as it is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookRequest {
    url: String,
    events: Vec<String>,
    secret: String,
}

/// A webhook as it is answered.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Hook {
    pub(super) id: String,
    url: String,
    events: Vec<String>,
    #[serde(skip)]
    secret: String,
}

/// A push that is to be made.
#[derive(Debug, Clone)]
pub struct Push {
    /// Where to.
    pub url: String,
    /// Its id, the same in every attempt.
    pub delivery_id: String,
    /// The body.
    pub body: Bytes,
    secret: String,
}

impl Push {
    /// The value of `x-sandbox-signature` at this time: `t=<seconds>,v1=<hex>`, the HMAC-SHA256 of `<t>.<body>`.
    pub fn signature(&self, at_s: i64) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) else { return String::new() };
        mac.update(format!("{at_s}.").as_bytes());
        mac.update(&self.body);
        format!("t={at_s},v1={}", hex::encode(mac.finalize().into_bytes()))
    }
}

/// The webhooks and what waits to be pushed.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    outbox: VecDeque<Push>,
    next_hook: u64,
    next_delivery: u64,
    pub(super) dropped: u64,
}

impl Hooks {
    pub(super) fn list(&self) -> &[Hook] {
        &self.hooks
    }

    /// Adds a webhook, or says what is wrong with it.
    pub(super) fn add(&mut self, request: HookRequest) -> Result<&Hook, String> {
        if self.hooks.len() >= HOOKS_MAX {
            return Err(format!("there are {HOOKS_MAX} webhooks already: remove one"));
        }
        if request.url.len() > TEXT_BYTES_MAX || request.secret.len() > TEXT_BYTES_MAX || request.secret.is_empty() {
            return Err(format!("url and secret must have from 1 to {TEXT_BYTES_MAX} bytes"));
        }
        if !is_loopback(&request.url) {
            return Err("url must be http on this machine, such as http://127.0.0.1:8080/hook".to_owned());
        }
        if let Some(event) = request.events.iter().find(|event| !is_event(event)) {
            return Err(format!("{event} is no event: they are like contact.updated, contact.* or *"));
        }
        self.next_hook += 1;
        let HookRequest { url, events, secret } = request;
        self.hooks.push(Hook { id: format!("whk_{}", self.next_hook), url, events, secret });
        self.hooks.last().ok_or_else(String::new)
    }

    /// Removes a webhook; false if there is none of this id.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.hooks.len();
        self.hooks.retain(|hook| hook.id != id);
        self.hooks.len() < before
    }

    /// Notes a change for those who listen to it. `at` and `record` are JSON already.
    pub(super) fn notice(&mut self, object: Object, change: Change, id: &str, at: &str, record: &[u8]) {
        if self.hooks.is_empty() {
            return;
        }
        let event = format!("{}.{}", object.singular(), change.as_str());
        let mut body = format!(r#"{{"event":"{event}","id":"{id}","at":"{at}","data":{{"record":"#).into_bytes();
        body.extend_from_slice(record);
        body.extend_from_slice(b"}}");
        let body = Bytes::from(body);
        for hook in self.hooks.iter().filter(|hook| hook.events.iter().any(|wanted| matches(wanted, &event))) {
            self.next_delivery += 1;
            if self.outbox.len() >= OUTBOX_MAX {
                self.outbox.pop_front();
                self.dropped += 1;
            }
            self.outbox.push_back(Push {
                url: hook.url.clone(),
                delivery_id: format!("dlv_{:08}", self.next_delivery),
                body: body.clone(),
                secret: hook.secret.clone(),
            });
        }
    }

    pub(super) fn waits(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(super) fn take(&mut self) -> Option<Push> {
        self.outbox.pop_front()
    }
}

fn matches(wanted: &str, event: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => event.starts_with(prefix),
        None => wanted == event,
    }
}

fn is_event(name: &str) -> bool {
    const CHANGES: [&str; 4] = ["created", "updated", "deleted", "*"];
    name == "*"
        || name.split_once('.').is_some_and(|(object, change)| {
            Object::ALL.iter().any(|known| known.singular() == object) && CHANGES.contains(&change)
        })
}

/// The simulator pushes to this machine alone, so that it is no way into anyone's network.
pub(super) fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let on_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    on_loopback && url.scheme() == "http"
}
