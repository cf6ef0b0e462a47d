//! The control API: what a test or a curious person does to the vendor. It is not counted, limited, faulted or signed
//! in to, so the simulator belongs on loopback.

use super::answer::{Answer, Request};
use super::faults::FaultRule;
use super::{Object, Refusal, Vendor};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

/// Records made by one request at most.
const BULK_MAX: u64 = 100_000;
/// Rows of state or history in one answer at most, and where none are asked for.
const ROWS_MAX: usize = 10_000;
const ROWS_DEFAULT: usize = 1_000;

impl Vendor {
    /// Answers a request below `/_control`.
    pub(super) fn control(&mut self, request: &Request<'_>, rest: &[&str], now: DateTime<Utc>) -> Answer {
        match (request.method, rest) {
            ("GET", ["stats"]) => Answer::of(200, &self.current_stats()),
            ("DELETE", ["stats"]) => {
                self.stats = Default::default();
                Answer::empty(204)
            }
            ("GET", ["faults"]) => Answer::of(200, &self.faults.rules()),
            ("POST", ["faults"]) => self.post_faults(request.body),
            ("DELETE", ["faults"]) => self.post_faults(b"[]"),
            ("POST", ["settings"]) => self.post_settings(request.body, now),
            ("POST", ["oauth", "revoke"]) => {
                self.oauth.revoke_access();
                Answer::empty(204)
            }
            ("GET", ["history"]) => self.get_history(request.query),
            ("GET", ["state", name]) => with_object(name, |object| self.get_state(object, request.query)),
            (_, [name, rest @ ..]) => with_object(name, |object| self.control_records(request, object, rest, now)),
            _ => Answer::error(404, "not_found", "There is no such control."),
        }
    }

    fn control_records(&mut self, request: &Request<'_>, object: Object, rest: &[&str], now: DateTime<Utc>) -> Answer {
        let now_ms = now.timestamp_millis();
        match (request.method, rest) {
            ("POST", []) => fields(request.body, |fields| Ok(Answer::json(201, self.create(object, fields, now_ms)?))),
            ("POST", ["bulk"]) => fields(request.body, |fields| self.bulk(object, &fields, now_ms)),
            ("PATCH", [id]) => {
                fields(request.body, |fields| Ok(Answer::json(200, self.update(object, id, fields, now_ms)?)))
            }
            ("DELETE", [id]) => answered(self.delete(object, id, now_ms).map(|()| Answer::empty(204))),
            _ => Answer::error(404, "not_found", "There is no such control."),
        }
    }

    fn bulk(&mut self, object: Object, body: &Map<String, Value>, now_ms: i64) -> Result<Answer, Refusal> {
        let count = body.get("count").and_then(Value::as_u64).filter(|count| (1..=BULK_MAX).contains(count));
        let count = count.ok_or_else(|| Refusal::Invalid(format!("count must be a number from 1 to {BULK_MAX}")))?;
        if self.len(object) as u64 + count > u64::from(self.settings.records_max) {
            return Err(Refusal::Full);
        }
        for _ in 0..count {
            self.create(object, Map::new(), now_ms)?;
        }
        Ok(Answer::of(201, &json!({"created": count})))
    }

    fn current_stats(&self) -> super::Stats {
        super::Stats { pushes_dropped: self.hooks.dropped, ..self.stats.clone() }
    }

    fn post_faults(&mut self, body: &[u8]) -> Answer {
        let replaced = serde_json::from_slice::<Vec<FaultRule>>(body)
            .map_err(|error| format!("the body must be a list of faults: {error}"))
            .and_then(|rules| self.faults.replace(rules));
        match replaced {
            Ok(()) => Answer::of(200, &self.faults.rules()),
            Err(message) => Answer::error(400, "invalid_fault", &message),
        }
    }

    fn post_settings(&mut self, body: &[u8], now: DateTime<Utc>) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Settings {
            changes_per_second: f64,
        }
        match serde_json::from_slice::<Settings>(body) {
            Ok(settings) => {
                self.set_changes_per_second(settings.changes_per_second, now);
                Answer::empty(204)
            }
            Err(error) => Answer::error(400, "invalid_setting", &error.to_string()),
        }
    }

    fn get_history(&self, query: &str) -> Answer {
        let seq = number(query, "after").unwrap_or(0);
        match self.history.page(seq, rows(query)) {
            Ok(body) => Answer::json(200, body),
            Err(error) => Answer::error(500, "internal", &error.to_string()),
        }
    }

    /// The records as they are now, by id, whatever listings show of them.
    fn get_state(&self, object: Object, query: &str) -> Answer {
        let after = parameter(query, "after").and_then(|id| object.number(&id)).unwrap_or(0);
        let (body, last) = self.tables[object.index()].state(after, rows(query));
        let last = last.map_or_else(|| "null".to_owned(), |number| format!("\"{}\"", object.id(number)));
        let mut answer = b"{\"data\":[".to_vec();
        answer.extend(body);
        answer.extend_from_slice(format!("],\"next_after\":{last}}}").as_bytes());
        Answer::json(200, answer)
    }
}

fn with_object(name: &str, act: impl FnOnce(Object) -> Answer) -> Answer {
    match Object::parse(name) {
        Some(object) => act(object),
        None => Answer::error(404, "not_found", "The objects are contacts, companies, deals and tickets."),
    }
}

/// Reads a body that is an object of fields, or empty, and acts on it.
fn fields(body: &[u8], act: impl FnOnce(Map<String, Value>) -> Result<Answer, Refusal>) -> Answer {
    let body = if body.is_empty() { b"{}" } else { body };
    match serde_json::from_slice(body) {
        Ok(fields) => answered(act(fields)),
        Err(error) => Answer::error(400, "invalid_body", &format!("the body must be a JSON object: {error}")),
    }
}

fn answered(result: Result<Answer, Refusal>) -> Answer {
    result.unwrap_or_else(|refusal| match refusal {
        Refusal::NotFound => Answer::error(404, "not_found", &refusal.to_string()),
        Refusal::Full => Answer::error(409, "full", &refusal.to_string()),
        Refusal::Invalid(_) => Answer::error(400, "invalid_field", &refusal.to_string()),
    })
}

fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn number(query: &str, name: &str) -> Option<u64> {
    parameter(query, name)?.parse().ok()
}

fn rows(query: &str) -> usize {
    number(query, "limit").and_then(|rows| usize::try_from(rows).ok()).unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX)
}
