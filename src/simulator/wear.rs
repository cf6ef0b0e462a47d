//! What faults make of records on their way out, and of the table behind a page.

use super::plan::Plan;
use super::raw::chance_edit;
use super::{Object, Vendor};
use anyhook_connectors::model::{Zone, parse_time};
use bytes::Bytes;

/// The fields of records that hold times.
const TIMES: [&str; 3] = ["\"created_at\":\"", "\"updated_at\":\"", "\"expected_close_at\":\""];

impl Vendor {
    /// What happens behind a page that more follow: records of it change, or vanish.
    pub(super) fn after_page(&mut self, object: Object, listed: &[u64], plan: &Plan, now_ms: i64) {
        for number in listed.iter().take(plan.changes_after as usize) {
            let fields = chance_edit(&mut self.request_random, object);
            // One that has just vanished cannot be changed.
            let _ = self.update(object, &object.id(*number), fields, now_ms);
        }
        for number in listed.iter().take(plan.vanish_after as usize) {
            self.vanish(object, *number, now_ms);
        }
    }
}

/// A record as it is sent. `number` is its own.
pub(super) fn worn(json: &Bytes, plan: &Plan, now_ms: i64, number: u64) -> Bytes {
    let mut json = json.clone();
    if let Some(zone) = plan.zone {
        json = in_local_times(&json, zone);
    }
    if plan.volatile {
        json = with_volatile_fields(&json, now_ms, number);
    }
    json
}

fn with_volatile_fields(json: &[u8], now_ms: i64, number: u64) -> Bytes {
    let body = json.strip_suffix(b"}").unwrap_or(json);
    let signature = xxhash_rust::xxh3::xxh3_64_with_seed(&now_ms.to_le_bytes(), number);
    let fields = format!(
        r#","fetched_at":{now_ms},"avatar_url":"https://files.example.com/a.png?signature={signature:016x}"}}"#
    );
    [body, fields.as_bytes()].concat().into()
}

fn in_local_times(json: &[u8], zone: Zone) -> Bytes {
    let Ok(text) = std::str::from_utf8(json) else { return json.to_vec().into() };
    let mut text = text.to_owned();
    for field in TIMES {
        let Some(start) = text.find(field).map(|at| at + field.len()) else { continue };
        let Some(length) = text[start..].find('"') else { continue };
        if let Some(at) = parse_time(&text[start..start + length]) {
            let local = zone.local(at).format("%Y-%m-%dT%H:%M:%S%.f").to_string();
            text.replace_range(start..start + length, &local);
        }
    }
    text.into()
}
