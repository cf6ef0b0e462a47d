//! What the receiver has got: counted, verified and kept, so that it can be compared with the vendor. Pure.

use crate::verify::{Outcome, Payload, check};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Latencies and ids of deliveries that are remembered. A demo that was left running forgets them beyond that: repeats
/// come soon, and the summary has been shown.
const REMEMBERED_MAX: usize = 1_000_000;

/// Which of the two webhooks a delivery came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// `updated`, with the history.
    Updated,
    /// `deleted`.
    Deleted,
}

/// How a payload's page was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InitialPartial,
    InitialComplete,
    Virtual,
    Native,
    /// Something that Anyhook does not send.
    Unknown,
}

impl Kind {
    fn parse(name: &str) -> Self {
        match name {
            "INITIAL-PARTIAL" => Kind::InitialPartial,
            "INITIAL-COMPLETE" => Kind::InitialComplete,
            "VIRTUAL" => Kind::Virtual,
            "NATIVE" => Kind::Native,
            _ => Kind::Unknown,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::InitialPartial => "INITIAL-PARTIAL",
            Kind::InitialComplete => "INITIAL-COMPLETE",
            Kind::Virtual => "VIRTUAL",
            Kind::Native => "NATIVE",
            Kind::Unknown => "UNKNOWN",
        }
    }

    fn is_initial(self) -> bool {
        matches!(self, Kind::InitialPartial | Kind::InitialComplete)
    }
}

/// One delivery, as the screen shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) at: DateTime<Utc>,
    pub(super) hook: Hook,
    pub(super) kind: Kind,
    pub(super) objects: usize,
    /// Objects that were not known before.
    pub(super) new: usize,
    /// The longest time from a change at the vendor to here, in milliseconds; none for the history.
    pub(super) latency_ms: Option<u64>,
    /// True if it came before, with the same webhook-id.
    pub(super) is_repeat: bool,
    /// Why it was refused.
    pub(super) refused: Option<String>,
}

/// The part of an object that the demo looks at.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default)]
    updated_at: Option<DateTime<Utc>>,
}

/// Everything that has arrived.
#[derive(Debug, Default)]
pub(super) struct Tally {
    deliveries: HashSet<String>,
    /// When each record was last changed, by what `updated` brought.
    pub(super) updated: HashMap<String, Option<DateTime<Utc>>>,
    /// Records that `deleted` brought.
    pub(super) deleted: HashSet<String>,
    latencies_ms: Vec<u64>,
    pub(super) initial_payloads: usize,
    pub(super) initial_objects: usize,
    pub(super) later_payloads: usize,
    pub(super) later_objects: usize,
    pub(super) verified: usize,
    pub(super) refused: usize,
    pub(super) repeats: usize,
    first_at: Option<DateTime<Utc>>,
    initial_ended_at: Option<DateTime<Utc>>,
}

impl Tally {
    /// Takes in one delivery, unless its signatures are wrong.
    pub(super) fn take(
        &mut self,
        hook: Hook,
        body: &[u8],
        headers: &[(String, String)],
        secret: &str,
        at: DateTime<Utc>,
    ) -> Arrival {
        let mut arrival = Arrival {
            at,
            hook,
            kind: Kind::Unknown,
            objects: 0,
            new: 0,
            latency_ms: None,
            is_repeat: false,
            refused: refusal(body, headers, secret, at),
        };
        if arrival.refused.is_none()
            && let Err(error) = self.take_verified(&mut arrival, body, headers)
        {
            arrival.refused = Some(error);
        }
        match arrival.refused {
            None => self.verified += 1,
            Some(_) => self.refused += 1,
        }
        arrival
    }

    fn take_verified(
        &mut self,
        arrival: &mut Arrival,
        body: &[u8],
        headers: &[(String, String)],
    ) -> Result<(), String> {
        let payload = Payload::parse(body).map_err(|error| error.to_string())?;
        let objects: Vec<Object<'_>> = serde_json::from_str(payload.data.get()).map_err(|error| error.to_string())?;
        arrival.kind = Kind::parse(payload.kind.as_deref().unwrap_or_default());
        arrival.objects = objects.len();
        let id = headers.iter().find(|(name, _)| name == "webhook-id").map(|(_, id)| id.clone()).unwrap_or_default();
        if self.deliveries.len() >= REMEMBERED_MAX {
            self.deliveries.clear();
        }
        arrival.is_repeat = !self.deliveries.insert(id);
        if arrival.is_repeat {
            self.repeats += 1;
            return Ok(());
        }
        self.count(arrival);
        for object in &objects {
            if !arrival.kind.is_initial() {
                let latency_ms =
                    object.updated_at.map(|at| u64::try_from((arrival.at - at).num_milliseconds()).unwrap_or(0));
                if self.latencies_ms.len() < REMEMBERED_MAX {
                    self.latencies_ms.extend(latency_ms);
                }
                arrival.latency_ms = arrival.latency_ms.max(latency_ms);
            }
            match arrival.hook {
                Hook::Updated => {
                    arrival.new += usize::from(!self.updated.contains_key(&*object.id));
                    self.updated.insert(object.id.clone().into_owned(), object.updated_at);
                }
                Hook::Deleted => arrival.new += usize::from(self.deleted.insert(object.id.clone().into_owned())),
            }
        }
        Ok(())
    }

    fn count(&mut self, arrival: &Arrival) {
        self.first_at = self.first_at.or(Some(arrival.at));
        if arrival.kind.is_initial() {
            self.initial_payloads += 1;
            self.initial_objects += arrival.objects;
            self.initial_ended_at = Some(arrival.at);
        } else {
            self.later_payloads += 1;
            self.later_objects += arrival.objects;
        }
    }

    /// From the history's first page to its last, in milliseconds.
    pub(super) fn initial_ms(&self) -> i64 {
        match (self.first_at, self.initial_ended_at) {
            (Some(first), Some(last)) => (last - first).num_milliseconds(),
            _ => 0,
        }
    }

    /// The latency that this share of the changes, in percent, did not exceed; none without changes.
    pub(super) fn latency_ms(&self, percent: usize) -> Option<u64> {
        let mut sorted = self.latencies_ms.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }
}

/// Why a receiver refuses a delivery: all of `sig`, `sig256` and the Standard Webhooks headers must match.
fn refusal(body: &[u8], headers: &[(String, String)], secret: &str, now: DateTime<Utc>) -> Option<String> {
    let report = match check(body, headers, secret, now) {
        Ok(report) => report,
        Err(error) => return Some(error.to_string()),
    };
    report.checks.into_iter().find_map(|check| match check.outcome {
        Outcome::Matches(_) => None,
        Outcome::Differs(why) | Outcome::Absent(why) => Some(format!("{}: {why}", check.name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use hmac::{Hmac, KeyInit, Mac};

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==";

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + ms).unwrap()
    }

    fn delivery(kind: &str, data: &str) -> (Vec<u8>, Vec<(String, String)>) {
        let mut sig = Hmac::<sha1::Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
        sig.update(format!("{data}n").as_bytes());
        let mut sig256 = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        sig256.update(format!("{data}n").as_bytes());
        let (sig, sig256) = (BASE64.encode(sig.finalize().into_bytes()), BASE64.encode(sig256.finalize().into_bytes()));
        let body = format!(r#"{{"data":{data},"nonce":"n","sig":"{sig}","sig256":"{sig256}","type":"{kind}"}}"#);
        let id = format!("{kind}{data}");
        let seconds = at(0).timestamp();
        let signature = standardwebhooks::Webhook::new(SECRET).unwrap().sign(&id, seconds, body.as_bytes()).unwrap();
        let headers =
            [("webhook-id", id), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", signature)];
        (body.into_bytes(), headers.map(|(name, value)| (name.to_owned(), value)).to_vec())
    }

    #[test]
    fn arrivals_are_counted_once_with_their_latency() {
        let mut tally = Tally::default();
        let (body, headers) = delivery("INITIAL-COMPLETE", r#"[{"id":"1"},{"id":"2"}]"#);
        let arrival = tally.take(Hook::Updated, &body, &headers, SECRET, at(0));
        assert_eq!(
            (arrival.kind, arrival.objects, arrival.new, arrival.latency_ms),
            (Kind::InitialComplete, 2, 2, None)
        );
        assert_eq!(arrival.refused, None);
        assert!(tally.take(Hook::Updated, &body, &headers, SECRET, at(5)).is_repeat);

        let data = format!(r#"[{{"id":"2","updated_at":"{}"}},{{"id":"3"}}]"#, at(0).to_rfc3339());
        let (body, headers) = delivery("VIRTUAL", &data);
        let arrival = tally.take(Hook::Updated, &body, &headers, SECRET, at(250));
        assert_eq!((arrival.new, arrival.latency_ms, arrival.is_repeat), (1, Some(250), false));
        assert_eq!((tally.initial_objects, tally.later_objects, tally.repeats, tally.verified), (2, 2, 1, 3));
        assert_eq!((tally.updated.len(), tally.updated["2"]), (3, Some(at(0))));
    }

    #[test]
    fn what_cannot_be_verified_is_refused_and_not_kept() {
        let mut tally = Tally::default();
        let (body, headers) = delivery("VIRTUAL", r#"[{"id":"1"}]"#);
        let changed = String::from_utf8(body.clone()).unwrap().replace(r#""1""#, r#""9""#);
        let refused = |arrival: Arrival| arrival.refused.unwrap();
        assert!(refused(tally.take(Hook::Updated, changed.as_bytes(), &headers, SECRET, at(0))).starts_with("sig:"));
        let without = refused(tally.take(Hook::Updated, &body, &headers[..0], SECRET, at(0)));
        assert!(without.starts_with("webhook-signature:"), "{without}");
        assert_eq!((tally.refused, tally.verified, tally.updated.len()), (2, 0, 0));
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let tally = Tally { latencies_ms: (1..=200).rev().collect(), ..Tally::default() };
        assert_eq!(
            (tally.latency_ms(50), tally.latency_ms(99), tally.latency_ms(100)),
            (Some(100), Some(198), Some(200))
        );
        assert_eq!(Tally::default().latency_ms(50), None);
    }
}
