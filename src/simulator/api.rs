//! The vendor's API: all routes on one page.

use super::Object;
use super::answer::{Answer, Request, Transport};
use super::hooks::is_loopback;
use super::limits::Allowance;
use super::listing::list;
use super::plan::Plan;
use super::query::{Query, QueryError};
use super::vendor::Vendor;
use super::wear::worn;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use url::{Url, form_urlencoded};
use xxhash_rust::xxh3::xxh3_64;

impl Vendor {
    /// Answers one request at this time.
    pub fn answer(&mut self, request: &Request<'_>, now: DateTime<Utc>) -> Answer {
        self.tick(now);
        let segments: Vec<&str> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
        if segments.first() == Some(&"_control") {
            return self.control(request, &segments[1..], now);
        }
        let plan = self.faults.plan(request.path, &mut self.request_random);
        let answer = spoil(self.answer_as_planned(request, &segments, &plan, now), &plan);
        let answer = answer.with("date", http_date(self.time(now)));
        self.stats.count(route_name(request.method, &segments), answer.status, answer.records);
        answer
    }

    fn answer_as_planned(
        &mut self,
        request: &Request<'_>,
        segments: &[&str],
        plan: &Plan,
        now: DateTime<Utc>,
    ) -> Answer {
        if let Some(retry_after_s) = plan.too_many {
            return too_many(retry_after_s);
        }
        if let Some(status) = plan.status {
            return Answer::error(status, "fault", "This error was asked for.");
        }
        match (request.method, segments) {
            ("GET", ["oauth", "authorize"]) => self.authorize(request),
            ("POST", ["oauth", "token"]) => self.token(request, now),
            (_, ["v1", rest @ ..]) => self.answer_signed_in(request, rest, plan, now),
            _ => not_found(),
        }
    }

    fn answer_signed_in(&mut self, request: &Request<'_>, rest: &[&str], plan: &Plan, now: DateTime<Utc>) -> Answer {
        let now_ms = now.timestamp_millis();
        let token = request.authorization.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
        let account = match self.settings.tokens.iter().find(|known| *known == token) {
            Some(_) => token,
            None if self.oauth.accepts(token, now_ms) => "oauth",
            None => return unauthorised("invalid_token", "Send Authorization: Bearer with a token of this vendor."),
        };
        if plan.expired_token {
            return unauthorised("expired_token", "The token has expired.");
        }
        let Some(allowance) = self.limits.take(account, now_ms) else { return self.route(request, rest, plan, now_ms) };
        let answer = match allowance.retry_after_s {
            Some(seconds) => too_many(Some(seconds)),
            None => self.route(request, rest, plan, now_ms),
        };
        let reset_s = allowance.reset_s + (self.time(now) - now).num_seconds();
        with_allowance(answer, Allowance { reset_s, ..allowance })
    }

    fn route(&mut self, request: &Request<'_>, rest: &[&str], plan: &Plan, now_ms: i64) -> Answer {
        match (request.method, rest) {
            ("GET", ["webhooks"]) => Answer::of(200, &serde_json::json!({"data": self.hooks.list()})),
            ("POST", ["webhooks"]) => self.add_hook(request.body),
            ("DELETE", ["webhooks", id]) if self.hooks.remove(id) => Answer::empty(204),
            ("GET", [name]) => {
                Object::parse(name).map_or_else(not_found, |object| self.list(object, request, plan, now_ms))
            }
            ("GET", [name, id]) => Object::parse(name)
                .and_then(|object| self.get(object, id, plan, now_ms))
                .map_or_else(not_found, |record| Answer { records: 1, ..Answer::json(200, record) }),
            _ => not_found(),
        }
    }

    fn list(&mut self, object: Object, request: &Request<'_>, plan: &Plan, now_ms: i64) -> Answer {
        let table = &self.tables[object.index()];
        let tag = format!("W/\"{:x}-{:x}\"", table.revision(), xxh3_64(request.query.as_bytes()));
        let shown_at = DateTime::from_timestamp_millis(table.shown_ms() + self.faults.skew_ms()).unwrap_or_default();
        if plan.lists_as_asked() && is_unchanged(request, &tag, shown_at) {
            return Answer::empty(304).with("etag", tag);
        }
        let listed = Query::parse(object, request.query, self.settings.page_size_max, plan.zone)
            .and_then(|query| list(table, &query, plan, now_ms));
        match listed {
            Ok(listed) => {
                let answer = Answer { records: listed.records, ..Answer::json(200, listed.body) };
                self.after_page(object, &listed.followed, plan, now_ms);
                if !plan.lists_as_asked() {
                    return answer;
                }
                answer.with("etag", tag).with("last-modified", http_date(shown_at))
            }
            Err(QueryError::Invalid(message)) => Answer::error(400, "invalid_parameter", &message),
            Err(QueryError::BeyondWindow(message)) => Answer::error(400, "result_window", &message),
            Err(QueryError::CursorExpired) => Answer::error(410, "cursor_expired", "Start again without a cursor."),
        }
    }

    /// One record, as the vendor or a copy of it has it.
    fn get(&self, object: Object, id: &str, plan: &Plan, now_ms: i64) -> Option<Bytes> {
        let (number, version) = self.find(object, id).ok()?;
        let version = match plan.behind_ms {
            Some(behind_ms) => self.tables[object.index()].as_of(number, now_ms.saturating_sub_unsigned(behind_ms))?,
            None => version,
        };
        Some(worn(&version.json, plan, now_ms, number))
    }

    fn add_hook(&mut self, body: &[u8]) -> Answer {
        let added = serde_json::from_slice(body)
            .map_err(|error| format!("the body must be {{url, events, secret}}: {error}"))
            .and_then(|request| self.hooks.add(request));
        match added {
            Ok(hook) => Answer::of(201, hook),
            Err(message) => Answer::error(400, "invalid_webhook", &message),
        }
    }

    /// Consents at once, in place of a person.
    fn authorize(&mut self, request: &Request<'_>) -> Answer {
        let parameter = |name: &str| {
            form_urlencoded::parse(request.query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value)
        };
        let target = parameter("redirect_uri").filter(|uri| is_loopback(uri)).and_then(|uri| Url::parse(&uri).ok());
        let Some(mut target) = target else {
            return Answer::error(400, "invalid_request", "redirect_uri must be http on this machine.");
        };
        if parameter("client_id").as_deref() != Some(self.settings.client_id.as_str()) {
            return Answer::error(400, "invalid_client", "client_id is not known.");
        }
        target.query_pairs_mut().append_pair("code", &self.oauth.give_code(&mut self.request_random));
        if let Some(state) = parameter("state") {
            target.query_pairs_mut().append_pair("state", &state);
        }
        Answer::empty(302).with("location", target.as_str())
    }

    fn token(&mut self, request: &Request<'_>, now: DateTime<Utc>) -> Answer {
        let now_ms = now.timestamp_millis();
        let answer = match self.oauth.exchange(request.body, request.authorization, now_ms, &mut self.request_random) {
            Ok(tokens) => Answer::of(200, &tokens),
            Err(error) => Answer::of(error.status(), &serde_json::json!({"error": error.code()})),
        };
        answer.with("cache-control", "no-store")
    }
}

/// Applies what goes wrong on the way out.
fn spoil(mut answer: Answer, plan: &Plan) -> Answer {
    if plan.html {
        const PAGE: &str = "<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>";
        answer = Answer { body: PAGE.into(), ..Answer::empty(200).with("content-type", "text/html; charset=utf-8") };
    }
    if plan.truncated {
        answer.body.truncate(answer.body.len() / 2);
    }
    answer.delay_ms = plan.delay_ms;
    answer.transport = match (plan.hang, plan.reset, plan.length_off_by) {
        (true, _, _) => Transport::Hang,
        (_, true, _) => Transport::Reset,
        (_, _, Some(by)) if by != 0 => Transport::LengthOff(by),
        _ => Transport::Whole,
    };
    answer
}

fn not_found() -> Answer {
    Answer::error(404, "not_found", "There is nothing here.")
}

fn unauthorised(code: &str, message: &str) -> Answer {
    Answer::error(401, code, message).with("www-authenticate", "Bearer")
}

fn too_many(retry_after_s: Option<u32>) -> Answer {
    let answer = Answer::error(429, "rate_limited", "Too many requests: wait.");
    match retry_after_s {
        Some(seconds) => answer.with("retry-after", seconds.to_string()),
        None => answer,
    }
}

fn with_allowance(answer: Answer, allowance: Allowance) -> Answer {
    answer
        .with("x-ratelimit-limit", allowance.limit.to_string())
        .with("x-ratelimit-remaining", allowance.remaining.to_string())
        .with("x-ratelimit-reset", allowance.reset_s.to_string())
}

/// True where the request says that it knows this answer. A tag goes before a time (RFC 9110, section 13.2.2).
fn is_unchanged(request: &Request<'_>, tag: &str, shown_at: DateTime<Utc>) -> bool {
    match (request.if_none_match, request.if_modified_since) {
        (Some(known), _) => known == tag,
        (None, Some(known)) => {
            DateTime::parse_from_rfc2822(known).is_ok_and(|known| shown_at.timestamp() <= known.timestamp())
        }
        (None, None) => false,
    }
}

fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What a request is counted as: known routes by pattern, all others as one.
fn route_name(method: &str, segments: &[&str]) -> String {
    match (method, segments) {
        ("GET", ["v1", name]) if Object::parse(name).is_some() => format!("GET /v1/{name}"),
        ("GET", ["v1", name, _]) if Object::parse(name).is_some() => format!("GET /v1/{name}/{{id}}"),
        ("GET" | "POST", ["v1", "webhooks"]) => format!("{method} /v1/webhooks"),
        ("DELETE", ["v1", "webhooks", _]) => "DELETE /v1/webhooks/{id}".to_owned(),
        ("GET", ["oauth", "authorize"]) => "GET /oauth/authorize".to_owned(),
        ("POST", ["oauth", "token"]) => "POST /oauth/token".to_owned(),
        _ => "other".to_owned(),
    }
}
